"""`seedling eval fix`: repair of a place that is given, as when a diagnostic names it.

The faulty line (or lines) stands as a draft, the rest of the file is the prompt, and the model edits. With --data:
HumanEvalFix, QuixBugs (tests, in the sandbox) or DebugBench's single faults that do not parse (right text and parse
rate). With --shards: held-out lines with one known fault, by kind, and the same lines without it, which should stay as
they are. Every number stands beside its floor, the unchanged code. Source: this project's own protocol, data sets as
in fix_data.py. Left out: finding the place (mend.py), several samples a task (pass@k needs k of them).
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from model.evaluation.options import EvalError, add_common, data_file, load_model, report, watched

if TYPE_CHECKING:
    from model.checkpoints.load import Checkpoint
    from model.evaluation.decode import Decoder, Place
    from model.evaluation.faults import Fault
    from model.evaluation.fix_data import Task

DATA = "humanevalpack/humanevalpack-python.jsonl"
NUM_FAULTS = 480
SEED = 0
TIMEOUT_S = 10.0
"""Twice the sandbox's own: a few true solutions of QuixBugs take seconds on a busy machine."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common(parser, what_data="HumanEvalFix, QuixBugs or DebugBench rows")
    parser.add_argument("--shards", type=Path, default=None, help="instead of --data: faults in held-out text")
    parser.add_argument("--force-edits", action="store_true", help="edit with weights that were not trained to edit")


def run(args: argparse.Namespace) -> int:
    """Prints scores with floors; 0 = done. Raises EvalError with a sentence."""
    if args.shards is not None and args.data is not None:
        raise EvalError("--data and --shards are two different evaluations: give one of them")
    path = data_file(args, DATA) if args.shards is None else args.shards
    checkpoint = editing(load_model(args), force=args.force_edits)

    from model.evaluation.decode import Decoder
    from model.evaluation.faults import make_faults
    from model.evaluation.fix_data import fix_tasks
    from model.evaluation.heldout_places import heldout_documents

    decoder = Decoder(checkpoint)
    if args.shards is not None:
        num = NUM_FAULTS if args.limit is None else args.limit
        faults = make_faults(list(heldout_documents(path)), num=num, seed=SEED)
        if not faults:
            raise EvalError(f"no fault can be made in the held-out text of {path}")
        table, result = score_faults(decoder, faults)
    else:
        name, tasks = fix_tasks(path, args.limit)
        table, result = score_tasks(decoder, name, tasks)
    return report(table, about(checkpoint, args) | result, args)


def editing(checkpoint: "Checkpoint", *, force: bool) -> "Checkpoint":
    """The checkpoint with edits on. EvalError if it was not trained to edit, unless that is forced."""
    import msgspec

    preset = checkpoint.preset
    if force:
        sampling = msgspec.structs.replace(preset.sampling, edits="insert-delete")
        return replace(checkpoint, preset=msgspec.structs.replace(preset, sampling=sampling))
    if preset.sampling.edits == "none":
        raise EvalError(
            f"the model {preset.name} was not trained to edit (edits = none in its preset), so there is nothing to "
            "measure; --force-edits measures it all the same"
        )
    return checkpoint


def about(checkpoint: "Checkpoint", args: argparse.Namespace) -> dict:
    """The part of a result that says what was measured."""
    sampling = checkpoint.preset.sampling
    return {
        "model": checkpoint.preset.name,
        "edits": sampling.edits,
        "forced_edits": args.force_edits,
        "tau_edit": sampling.tau_edit,
        "tau_mask": sampling.tau_mask,
    }


def repaired(decoder: "Decoder", place: "Place", draft: str) -> tuple[str, int]:
    """The text at the place after the model's edits and the passes it took; a draft that does not fit stays (0)."""
    from model.engine.runner import BadRequest

    try:
        answer = decoder.repair(place, draft)
    except BadRequest as error:
        if error.code != "too_long":
            raise
        return draft, 0
    return answer.text, answer.forwards


def score_faults(decoder: "Decoder", faults: Sequence["Fault"]) -> tuple[list[tuple[str, str]], dict]:
    """Table and result of known faults: exact repairs by kind, and how many clean lines are left alone."""
    answers = [repaired(decoder, fault.place, fault.draft) for fault in watched(faults, "faults")]
    kept = [
        repaired(decoder, fault.place, fault.place.gold)[0] == fault.place.gold
        for fault in watched(faults, "clean lines")
    ]
    exact = [text == fault.place.gold for fault, (text, _) in zip(faults, answers, strict=True)]
    changed = [text != fault.draft for fault, (text, _) in zip(faults, answers, strict=True)]
    by_kind: dict[str, dict[str, float]] = {}
    for kind in sorted({fault.kind for fault in faults}):
        of_kind = [ok for fault, ok in zip(faults, exact, strict=True) if fault.kind == kind]
        by_kind[kind] = {"num": len(of_kind), "exact_repair": share(of_kind), "floor": 0.0}
    result = {
        "data": "held-out lines with one fault each",
        "place": "given",
        "length": "free",
        "num": len(faults),
        "exact_repair": share(exact),
        "changed": share(changed),
        "kept_clean": share(kept),
        "by_kind": by_kind,
        "floors": {"exact_repair": 0.0, "kept_clean": 1.0, "what": "the line unchanged"},
        "forwards_per_answer": sum(forwards for _, forwards in answers) / len(answers),
    }
    table = [
        ("faults", f"{len(faults)} held-out lines, one fault each, the line is given; floor = line unchanged"),
        ("exact repair", f"{percent(result['exact_repair'])}  (floor 0.0 %)"),
        *[
            (f"  {kind}", f"{percent(scores['exact_repair'])}  of {scores['num']}  (floor 0.0 %)")
            for kind, scores in by_kind.items()
        ],
        ("clean lines left alone", f"{percent(result['kept_clean'])}  of {len(kept)}  (floor 100.0 %)"),
        ("faulty lines changed", percent(result["changed"])),
        ("forwards an answer", f"{result['forwards_per_answer']:.1f}"),
    ]
    return table, result


def score_tasks(decoder: "Decoder", name: str, tasks: Sequence["Task"]) -> tuple[list[tuple[str, str]], dict]:
    """Table and result of a benchmark: exact match, parse rate and, where there are tests and a sandbox, pass@1."""
    from model.evaluation.fix_data import pass_line
    from model.evaluation.parsing import parses

    answers = [repaired(decoder, task.place, task.draft) for task in watched(tasks, "repairs")]
    texts = [task.with_answer(text) for task, (text, _) in zip(tasks, answers, strict=True)]
    unchanged = [task.with_answer(task.draft) for task in tasks]
    exact = [task.is_exact(text) for task, (text, _) in zip(tasks, answers, strict=True)]
    one_line = [ok for task, ok in zip(tasks, exact, strict=True) if task.one_line]
    result = {
        "data": name,
        "place": "given",
        "length": "free",
        "num": len(tasks),
        "exact": share(exact),
        "num_one_line": len(one_line),
        "exact_one_line": share(one_line) if one_line else None,
        "parse_rate": share([parses(text) for text in texts]),
        "floors": {
            "exact": share([task.is_exact(task.draft) for task in tasks]),
            "parse_rate_unchanged": share([parses(text) for text in unchanged]),
            "parse_rate_pass": share([parses(task.with_answer(pass_line(task.draft))) for task in tasks]),
        },
        "forwards_per_answer": sum(forwards for _, forwards in answers) / len(answers),
    }
    floors = result["floors"]
    table = [
        ("tasks", f"{len(tasks)} of {name}, the place is given; floor = code unchanged"),
        ("exact", f"{percent(result['exact'])}  (floor {percent(floors['exact'])})"),
        ("exact, one-line faults", f"{percent(result['exact_one_line'])}  of {len(one_line)}  (floor 0.0 %)"),
        (
            "parses",
            f"{percent(result['parse_rate'])}  (floors: unchanged {percent(floors['parse_rate_unchanged'])}, "
            f"`pass` at the place {percent(floors['parse_rate_pass'])})",
        ),
        ("forwards an answer", f"{result['forwards_per_answer']:.1f}"),
    ]
    if any(task.tests is not None for task in tasks):
        passed, passed_unchanged, why_not = _pass_rates(tasks, texts, unchanged)
        result |= {"pass_at_1": passed, "no_execution": why_not}
        floors["pass_at_1"] = passed_unchanged
        line = f"{percent(passed)}  (floor {percent(passed_unchanged)})" if why_not is None else f"not run: {why_not}"
        table.insert(1, ("pass@1", line))
    return table, result


def share(marks: Sequence[bool]) -> float:
    return sum(marks) / len(marks)


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _pass_rates(
    tasks: Sequence["Task"], texts: Sequence[str], unchanged: Sequence[str]
) -> tuple[float | None, float | None, str | None]:
    """Share of programs that pass their tests, repaired and unchanged; or a sentence why nothing could be run."""
    from model.evaluation import sandbox

    why_not = sandbox.available()
    if why_not is not None:
        return None, None, why_not

    known: dict[str, bool] = {}

    def passes(program: str) -> bool:
        if program not in known:
            known[program] = sandbox.run_program(program, timeout_s=TIMEOUT_S).passed
        return known[program]

    def rate(programs: Sequence[str], what: str) -> float:
        rows = watched(list(zip(tasks, programs, strict=True)), what)
        return share([task.tests is not None and passes(program + task.tests) for task, program in rows])

    return rate(texts, "programs"), rate(unchanged, "programs unchanged"), None
