"""The model's commands of `seedling`: `corpus build`, `tokenizer train`, `train`, `eval …`, `models …`, `trace`.

`lsp_server/cli.py` hands the words over. Only the module of the chosen command is imported, so help and wrong use
cost nothing and need none of the packages that training needs. Left out: the engine's commands
(lsp_server/engine_command.py, model/engine/command.py) and what the commands do.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import msgspec

INSTALL = 'pip install "seedling-lsp[train]"'


class Command(msgspec.Struct, frozen=True):
    """`module` has `add_arguments(parser)` and `run(args) -> int`; its errors with a `sentence` are the user's."""

    words: tuple[str, ...]
    module: str
    what: str


COMMANDS = (
    Command(("corpus", "build"), "model.training.corpus.command", "build shards from package archives"),
    Command(("corpus", "split"), "model.training.corpus.split", "cut shards into parts that are read one by one"),
    Command(("tokenizer", "train"), "model.training.tokenizer_command", "train a tokenizer"),
    Command(
        ("tokenizer", "convert"), "model.training.tokenizer_convert_command", "take over a foreign model's tokenizer"
    ),
    Command(("train",), "model.training.command", "train a model on shards"),
    Command(("average",), "model.checkpoints.average_command", "a checkpoint between others"),
    Command(("quantize",), "model.checkpoints.quantize_command", "store a model's weights as 8-bit integers"),
    Command(("eval", "infill"), "model.evaluation.infill", "write the missing lines or spans of a benchmark file"),
    Command(("eval", "heldout"), "model.evaluation.heldout", "complete lines of unseen projects; bits per byte"),
    Command(("eval", "block"), "model.evaluation.block", "write held-out stretches of code: quality against forwards"),
    Command(("eval", "fix"), "model.evaluation.fix", "restore faulty code that is pointed at"),
    Command(("eval", "syntax"), "model.evaluation.syntax", "mend syntax errors of one mark, as the first quick fix"),
    Command(("eval", "edit"), "model.evaluation.edit", "edits asked for in words, of a benchmark file, run with tests"),
    Command(("eval", "edits"), "model.evaluation.edits", "edits asked for in words, by kind; lists those that work"),
    Command(("eval", "mend"), "model.evaluation.mend", "find and restore faults nobody points at; false alarms"),
    Command(("eval", "speed"), "model.evaluation.speed", "score against the passes a completion takes, as a picture"),
    Command(("models", "list"), "model.checkpoints.list_command", "name the models of others that can be had"),
    Command(("models", "pull"), "model.checkpoints.pull_command", "fetch a model"),
    Command(("models", "check"), "model.checkpoints.check_command", "say whether a model can be used on this machine"),
    Command(("models", "use"), "model.checkpoints.use_command", "choose the model for all editors"),
    Command(("trace",), "model.engine.trace_command", "denoise once, step by step, as text, JSON or SVG"),
)

GROUPS = {"eval": "measure a checkpoint: docs/evaluation.md says what each number means"}
"""Names of several commands, where a list of what these do would be too long."""


class _Parser(argparse.ArgumentParser):
    """argparse, but a wrong use gets one sentence instead of the usage block."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message}; {self.prog} --help shows how.\n")
        sys.exit(2)


def main(argv: Sequence[str]) -> int:
    """Runs one command and returns its exit code: 0 done, 1 failed, 2 wrong use or input, 130 interrupted."""
    words = list(argv)
    try:
        return _run(words)
    except SystemExit as leaving:  # argparse has printed help or a sentence
        return leaving.code if isinstance(leaving.code, int) else 0
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("model", "kernels", "lsp_server"):
            raise  # a fault of ours, not of the installation
        return _complain(f"this command needs {error.name}, which is not installed: run {INSTALL}", 1)
    except KeyboardInterrupt:
        is_kept = words[:1] == ["corpus"] or words[:2] == ["models", "pull"]
        goes_on = "; the same command goes on where it was" if is_kept else ""
        return _complain(f"interrupted{goes_on}", 130)
    except Exception as error:
        sentence = getattr(error, "sentence", None)
        if not isinstance(sentence, str):
            raise
        return _complain(sentence, 2)


def _run(words: list[str]) -> int:
    command = next((command for command in COMMANDS if tuple(words[: len(command.words)]) == command.words), None)
    if command is None:
        parser = _overview(words)
        parser.parse_args(words)
        parser.print_help()
        return 2
    module = import_module(command.module)
    parser = _Parser(
        prog=" ".join(["seedling", *command.words]),
        description=f"{command.what[0].upper()}{command.what[1:]}.",
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    return module.run(parser.parse_args(words[len(command.words) :]))


def _overview(words: list[str]) -> argparse.ArgumentParser:
    """Parser of the command names alone: for help, and for the sentence when a name is wrong."""
    root = _Parser(prog="seedling", description="Commands of the model.", allow_abbrev=False)
    groups = root.add_subparsers(metavar="COMMAND", parser_class=_Parser, required=True)
    for name in dict.fromkeys(command.words[0] for command in COMMANDS):
        inside = [command for command in COMMANDS if command.words[0] == name]
        what = GROUPS.get(name) or "; ".join(command.what for command in inside)
        group = groups.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False)
        if len(inside[0].words) > 1:
            actions = group.add_subparsers(metavar="ACTION", parser_class=_Parser, required=True)
            for command in inside:
                actions.add_parser(command.words[1], help=command.what)
    return root


def _complain(sentence: str, exit_code: int) -> int:
    text = " ".join(sentence.split()).rstrip(".")
    print(f"seedling: {text}.", file=sys.stderr)
    return exit_code
