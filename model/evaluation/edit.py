"""`seedling eval edit`: edits that people asked for in words, checked by tests.

EditEval or CanItEdit's standard-library rows (edit_data.py): the whole code, or the marked part of it, is the draft,
the instruction stands behind it in the prompt, and the engine's own path writes once, the likeliest text. Beside every
score stands its floor, the code unchanged. Scored are tasks whose true answer passes its own tests here. With
--through-server the question goes the editors' way (through_server.py). Source: the benchmarks' own tests, run in the
sandbox. Left out: several samples a task (pass@k), and kinds of edit by their own measure (edits.py).
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from model.evaluation.fix import TIMEOUT_S, about, editing, percent, share
from model.evaluation.options import add_common, data_file, load_model, report, watched

if TYPE_CHECKING:
    from model.checkpoints.load import Checkpoint
    from model.evaluation.decode import Decoder
    from model.evaluation.edit_data import EditTask

Rewrite = Callable[["EditTask"], tuple[str, int]]
"""What becomes of the old code of a task, and the passes that took (0: it was left as it is)."""

DATA = "editeval/edit_eval.jsonl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common(parser, what_data="EditEval or CanItEdit rows")
    parser.add_argument("--force-edits", action="store_true", help="edit with weights that were not trained to edit")
    parser.add_argument("--through-server", action="store_true", help="ask a language server, as an editor does")


def run(args: argparse.Namespace) -> int:
    """Prints scores with floors; 0 = done. Raises EvalError with a sentence."""
    path = data_file(args, DATA)
    from model.evaluation.edit_data import edit_tasks

    name, tasks = edit_tasks(path, args.limit)
    checkpoint = rewriting(editing(load_model(args), force=args.force_edits))
    if args.through_server:
        from model.evaluation.through_server import served

        with served(args, checkpoint.preset) as server:
            table, result = score(server.rewritten, name, tasks)
    else:
        from model.evaluation.decode import Decoder

        table, result = score(by_decoder(Decoder(packed(checkpoint))), name, tasks)
    result["way"] = "server" if args.through_server else "engine"
    return report(table, about(checkpoint, args) | result, args)


def rewriting(checkpoint: "Checkpoint") -> "Checkpoint":
    """The checkpoint asked whatever the benchmark asks, also where its preset offers certain edits only, or none."""
    return replace(checkpoint, preset=msgspec.structs.replace(checkpoint.preset, rewrite="free"))


def packed(checkpoint: "Checkpoint") -> "Checkpoint":
    """Its layers as the engine runs them, so that both ways give the same text."""
    from model.network.packed import can_pack, pack_weights

    if can_pack(checkpoint.network):
        pack_weights(checkpoint.network)
    return checkpoint


def by_decoder(decoder: "Decoder") -> Rewrite:
    """The engine's own path without an engine; what does not fit the context stays as it is."""
    from model.engine.job import BadRequest

    def rewrite(task: "EditTask") -> tuple[str, int]:
        try:
            answer = decoder.rewrite(task.place, task.old, task.instruction)
        except BadRequest as error:
            if error.code != "too_long":
                raise
            return task.old, 0
        # The server trims so: whole lines stay whole lines, and code inside its lines stays inside them.
        end = "\n" if task.old.endswith("\n") and answer.text.strip() else ""
        return answer.text.rstrip("\n") + end, answer.forwards

    return rewrite


def score(rewrite: Rewrite, name: str, tasks: Sequence["EditTask"]) -> tuple[list[tuple[str, str]], dict]:
    """Table and result: pass@1 by wording where there is a sandbox, exact answers, parse rate, each with its floor."""
    from model.evaluation import sandbox
    from model.syntax.python import parses

    why_not = sandbox.available()
    if why_not is None:
        golds = [_passes(task, task.place.gold) for task in watched(tasks, "true answers")]
        tasks = [task for task, passes in zip(tasks, golds, strict=True) if passes]
    answers = [rewrite(task) for task in watched(tasks, "edits")]
    texts = [task.with_answer(text) for task, (text, _) in zip(tasks, answers, strict=True)]
    num = max(1, len(tasks))
    result: dict = {
        "data": name,
        "num": len(tasks),
        "exact": _share([text == task.place.gold for task, (text, _) in zip(tasks, answers, strict=True)]),
        "parse_rate": _share([parses(text) for text in texts]),
        "unchanged": _share([text == task.old for task, (text, _) in zip(tasks, answers, strict=True)]),
        "refused": _share([forwards == 0 for _, forwards in answers]),
        "forwards_per_answer": sum(forwards for _, forwards in answers) / num,
        "floors": {
            "exact": _share([task.place.gold == task.old for task in tasks]),
            "parse_rate": _share([parses(task.with_answer(task.old)) for task in tasks]),
        },
        "no_execution": why_not,
        "pass_at_1": None,
    }
    table = [("tasks", f"{len(tasks)} of {name} whose true answer passes; floor = code unchanged")]
    if why_not is None:
        table += _pass_rows(result, tasks, [text for text, _ in answers])
    else:
        table.append(("pass@1", f"not run: {why_not}"))
    floors = result["floors"]
    table += [
        ("exact", f"{percent(result['exact'])}  (floor {percent(floors['exact'])})"),
        ("parses", f"{percent(result['parse_rate'])}  (floor {percent(floors['parse_rate'])})"),
        ("left unchanged", f"{percent(result['unchanged'])}; did not fit or refused {percent(result['refused'])}"),
        ("forwards an answer", f"{result['forwards_per_answer']:.1f}"),
    ]
    return table, result


def _pass_rows(result: dict, tasks: Sequence["EditTask"], answers: Sequence[str]) -> list[tuple[str, str]]:
    floor = [_passes(task, task.old) for task in watched(tasks, "programs unchanged")]
    # Some tests depend on time or chance: the same program is the same result, or a score could differ from its floor.
    rows = zip(tasks, answers, floor, strict=True)
    passed = [
        of_old if text == task.old else _passes(task, text) for task, text, of_old in watched(list(rows), "programs")
    ]
    result["pass_at_1"], result["floors"]["pass_at_1"] = _share(passed), _share(floor)
    shown = [("pass@1", f"{percent(result['pass_at_1'])}  (floor {percent(result['floors']['pass_at_1'])})")]
    wordings = dict.fromkeys(task.wording for task in tasks if task.wording)
    result["by_wording"] = {}
    for wording in wordings:
        of_it = [ok for task, ok in zip(tasks, passed, strict=True) if task.wording == wording]
        result["by_wording"][wording] = {"num": len(of_it), "pass_at_1": _share(of_it)}
        shown.append((f"  {wording}", f"{percent(_share(of_it))}  of {len(of_it)}"))
    return shown


def _passes(task: "EditTask", answer: str) -> bool:
    from model.evaluation import sandbox

    return sandbox.run_program(task.with_answer(answer) + task.tests, timeout_s=TIMEOUT_S).passed


def _share(marks: Sequence[bool]) -> float:
    return share(marks) if marks else 0.0
