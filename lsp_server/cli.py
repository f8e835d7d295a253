"""The command `seedling`: reads the command line, runs one command, turns every failure into one sentence.

Imports are lazy: `seedling serve` must answer `initialize` within 0.6 s, so no command pays for another. This file
alone may import `model.cli`, inside the function that hands a model command over.
Left out: what the commands do (complete_command, doctor, clean, server, model.cli) and isolation (seedling_lsp.py).
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from lsp_server.engine_options import NEEDS_LISTEN, add_serve_options, serve_words

DESCRIPTION = "Seedling completes, rewrites and mends code with a resident block-diffusion model."

EXAMPLES = """\
examples:
  seedling complete src/app.py:42      complete line 42 and watch the model denoise it
  seedling rewrite src/app.py:40-52 -m "add type hints" --diff
  seedling mend src                    look for likely mistakes in a folder
  seedling serve                       the language server on stdin and stdout, as editors start it
  seedling engine status               is the model resident, where, and since when
  seedling doctor                      what is installed, what is missing, what to do about it
"""

MODEL_COMMANDS = {
    "train": "train a model",
    "average": "a checkpoint between others",
    "quantize": "store a model's weights as 8-bit integers",
    "eval": "measure a model",
    "trace": "denoise once, step by step, as text, JSON or SVG",
    "corpus": "build a corpus to train on",
    "tokenizer": "train a tokenizer",
    "models": "larger models of others: list, pull, check, use",
}

ENGINE_ACTIONS = {
    "serve": "run an engine in the foreground",
    "status": "is an engine resident, which model, which device",
    "stop": "stop the engine",
    "restart": "stop the engine and start it anew",
    "logs": "print the end of the engine's log",
}


class UsageError(Exception):
    """The command line asks for something impossible: one sentence, exit code 2."""


class CommandError(Exception):
    """A command failed for a reason outside the program: one sentence, exit code 1."""


class _Parser(argparse.ArgumentParser):
    """argparse, but a wrong use gets one sentence instead of the usage block."""

    def error(self, message: str) -> NoReturn:
        from lsp_server.printable import printable

        sys.stderr.write(printable(f"{self.prog}: {message}; {self.prog} --help shows how.\n"))
        sys.exit(2)


class _Version(argparse.Action):
    """`--version`, looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version

        print(f"seedling {version('seedling-lsp')}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(
        prog="seedling",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    complete = _command(
        commands,
        "complete",
        "complete a place in a file",
        "On a terminal the denoising is shown as it happens; in a pipe only the text is printed.\n\nexamples:\n"
        "  seedling complete src/app.py:42         at the end of line 42\n"
        "  seedling complete src/app.py:42:9       before its 9th character\n"
        "  seedling complete src/app.py:42 --json  one JSON object",
    )
    complete.add_argument(
        "place", metavar="FILE:LINE[:COL]", help="lines and columns count from 1, columns in characters"
    )
    complete.add_argument("--json", action="store_true", help="print one JSON object")

    rewrite = _command(
        commands,
        "rewrite",
        "rewrite lines of a file as an instruction says",
        "The lines grow to whole statements. Without --diff or --write the new code is printed.\n\nexamples:\n"
        '  seedling rewrite src/app.py:40-52 -m "add type hints" --diff\n'
        '  seedling rewrite src/app.py:42 -m "use an f-string" --write',
    )
    rewrite.add_argument("rows", metavar="FILE:LINE[-LINE]", help="lines count from 1")
    rewrite.add_argument("-m", dest="instruction", metavar="TEXT", required=True, help="what to do, in words")
    forms = rewrite.add_mutually_exclusive_group()
    forms.add_argument("--diff", dest="form", action="store_const", const="diff", help="print a unified diff")
    forms.add_argument("--write", dest="form", action="store_const", const="write", help="write the file")
    rewrite.add_argument(
        "--seed", metavar="N", type=_seed, default=0, help="another answer for each number; 0 is the likeliest"
    )

    _add_repairs(commands)

    serve = _command(
        commands,
        "serve",
        "run the language server",
        "Speaks LSP on stdin and stdout; editors start it so. With --tcp it listens on the loopback address only,\n"
        "and wants the token of the environment variable SEEDLING_LSP_TOKEN as the connection's first line.",
    )
    serve.add_argument(
        "--tcp", metavar="PORT", type=_port, help="listen on this loopback port instead (0: any free one)"
    )

    engine = _command(commands, "engine", "look after the engine, the process that keeps the model resident", "")
    actions = engine.add_subparsers(dest="action", metavar="ACTION", parser_class=_Parser, required=True)
    for name, what in ENGINE_ACTIONS.items():
        _command(actions, name, what, "")
    add_serve_options(actions.choices["serve"])

    doctor = _command(
        commands,
        "doctor",
        "say what is installed, what is missing, what to do",
        "Exit code 1 if something needs doing.",
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON object")

    clean = _command(
        commands,
        "clean",
        "list and remove what Seedling stored outside the project",
        "Caches, logs and runtime files; with --all also settings and models. Lists first, then asks.",
    )
    clean.add_argument("--all", action="store_true", help="settings and downloaded models too")
    clean.add_argument("--yes", action="store_true", help="do not ask")

    editor = _command(
        commands,
        "editor",
        "install the plugin of an editor that comes with Seedling",
        "Prints the plugin's folder; --install links it to where Neovim finds it. VS Code has an extension instead.",
    )
    editor.add_argument("editor", metavar="EDITOR", choices=["neovim"], help="neovim")
    actions = editor.add_mutually_exclusive_group()
    actions.add_argument("--install", action="store_true", help="link the plugin into Neovim's plugin folder")
    actions.add_argument("--uninstall", action="store_true", help="remove that link")

    for name, what in MODEL_COMMANDS.items():
        _command(commands, name, what, "", takes_help=False)
    return parser


def _add_repairs(commands: "argparse._SubParsersAction[_Parser]") -> None:
    codes = "Exit codes: 0 nothing found, 1 found, 2 something could not be done.\n\nexamples:\n"
    fix = _command(
        commands,
        "fix",
        "repair what another tool, or the parser, stumbles over in a file",
        f"Without --from the file's syntax errors are repaired. {codes}"
        "  seedling fix src/app.py --diff\n"
        "  ruff check --output-format json src/app.py | seedling fix src/app.py --from - --write",
    )
    fix.add_argument("file", metavar="FILE", help="a file of a language that the model knows")
    fix.add_argument("--from", dest="findings", metavar="FINDINGS", help="ruff's JSON or SARIF; - is standard input")
    mend = _command(
        commands,
        "mend",
        "look for likely mistakes in files and folders",
        f"Folders are searched without hidden and ignored files. {codes}"
        "  seedling mend src\n"
        "  seedling mend --format sarif src > mend.sarif",
    )
    mend.add_argument("paths", metavar="PATH", nargs="+", help="files and folders")
    mend.add_argument("--format", choices=["text", "sarif"], default="text", help="how findings are printed")
    for parser in (fix, mend):
        parser.add_argument("--diff", action="store_true", help="print a unified diff of all repairs instead")
        parser.add_argument("--write", action="store_true", help="write the repaired files")


def _command(
    commands: "argparse._SubParsersAction[_Parser]", name: str, what: str, details: str, takes_help: bool = True
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=takes_help,
    )


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number")
    return int(text)


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2147483647")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        exit_code = _run(words)
        if sys.stdout is not None:  # None: started with standard output closed
            sys.stdout.flush()  # here, where a closed pipe can still be caught
        return exit_code
    except UsageError as error:
        return _complain(error, 2)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _silence()
    except Exception as error:
        return _complain(error, 1)


def _silence() -> int:
    """The reader of our output left: nothing more is written, also not by the interpreter while it shuts down."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _run(words: list[str]) -> int:
    if words and words[0] in MODEL_COMMANDS:
        return _model_command(words)
    parser = build_parser()
    try:
        options = parser.parse_args(words)
    except SystemExit as leaving:  # argparse has printed help, the version or a sentence
        return leaving.code if isinstance(leaving.code, int) else 0
    if options.command is None:
        parser.print_help()
        return 0
    import logging

    # anyio may report a race of its own through asyncio's logger when a connection closes while data arrives (its
    # reader sets the result of a future that was just cancelled): a traceback that says nothing to the user.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
    return _COMMANDS[options.command](options)


def _complain(error: Exception, exit_code: int) -> int:
    """One sentence on standard error. SEEDLING_TRACEBACK=1 adds the traceback, for reports of our own faults."""
    import os

    from lsp_server.printable import printable

    if os.environ.get("SEEDLING_TRACEBACK") == "1":
        import traceback

        traceback.print_exception(error)
    sentence = str(error).strip() or type(error).__name__
    expected = isinstance(error, (UsageError, CommandError)) or hasattr(error, "sentence")
    if not expected:
        sentence = f"{type(error).__name__}: {sentence}"
    sys.stderr.write(printable(f"seedling: {' '.join(sentence.split())}\n"))
    return exit_code


def _complete(options: argparse.Namespace) -> int:
    from lsp_server.place import PlaceError, read_place

    try:
        place = read_place(options.place)
    except PlaceError as error:
        raise UsageError(f"{error}.") from None
    from lsp_server import complete_command
    from lsp_server.engine_client.errors import EngineUnavailable

    try:
        return complete_command.run(place, as_json=options.json)
    except EngineUnavailable as error:
        if error.reason in ("model_failed", "bad_address"):  # SEEDLING_MODEL or SEEDLING_ENGINE names nothing usable
            raise UsageError(error.sentence) from None
        raise


def _rewrite(options: argparse.Namespace) -> int:
    from lsp_server.place import PlaceError, read_rows

    if not options.instruction.strip():
        raise UsageError("-m must say in words what to do.")
    try:
        rows = read_rows(options.rows)
    except PlaceError as error:
        raise UsageError(f"{error}.") from None
    from lsp_server import rewrite_command
    from lsp_server.engine_client.errors import EngineUnavailable

    try:
        return rewrite_command.run(rows, options.instruction, form=options.form or "code", seed=options.seed)
    except EngineUnavailable as error:
        if error.reason in ("model_failed", "bad_address"):  # SEEDLING_MODEL or SEEDLING_ENGINE names nothing usable
            raise UsageError(error.sentence) from None
        raise


def _fix(options: argparse.Namespace) -> int:
    from lsp_server import repair_command

    form = "diff" if options.diff else "text"
    return _repaired(lambda: repair_command.run_fix(options.file, options.findings, form=form, write=options.write))


def _mend(options: argparse.Namespace) -> int:
    from lsp_server import repair_command

    if options.diff and options.format == "sarif":
        raise UsageError("--diff and --format sarif cannot be printed at once.")
    form = "diff" if options.diff else options.format
    return _repaired(lambda: repair_command.run_mend(options.paths, form=form, write=options.write))


def _repaired(run: Callable[[], int]) -> int:
    """Runs a repair; whatever fails is exit code 2, as 1 means that something was found."""
    try:
        return run()
    except Exception as error:
        if hasattr(error, "sentence"):
            raise UsageError(str(error)) from None
        return _complain(error, 2)


def _serve(options: argparse.Namespace) -> int:
    from lsp_server import server

    return server.serve(options.tcp)


def _engine(options: argparse.Namespace) -> int:
    from lsp_server import engine_command

    words = serve_words(options) if options.action == "serve" else []
    if words and options.listen is None:
        raise UsageError(NEEDS_LISTEN.format(words[0].partition("=")[0]))
    return engine_command.serve_others(words) if words else engine_command.run(options.action)


def _doctor(options: argparse.Namespace) -> int:
    from lsp_server import doctor

    return doctor.run(options.json)


def _clean(options: argparse.Namespace) -> int:
    from lsp_server import clean

    return clean.run(options.all, options.yes)


def _editor(options: argparse.Namespace) -> int:
    from lsp_server import editor_command

    return editor_command.run(options.install, options.uninstall)


def _model_command(words: list[str]) -> int:
    """Hands a command that needs torch over to the model's own command line."""
    try:
        from model.cli import main as model_main
    except ModuleNotFoundError as error:
        advice = 'run pip install "seedling-lsp[train]"'
        raise CommandError(
            f"seedling {words[0]} needs packages that are not installed ({error.name}): {advice}."
        ) from None
    if words[0] != "models":
        return model_main(words)
    from lsp_server import models_use

    return models_use.run(words, model_main)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "complete": _complete,
    "rewrite": _rewrite,
    "fix": _fix,
    "mend": _mend,
    "serve": _serve,
    "engine": _engine,
    "doctor": _doctor,
    "clean": _clean,
    "editor": _editor,
}
