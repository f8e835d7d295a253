"""`seedling eval fix`: repair of a place that is given, as when a diagnostic names it.

Exactly what the engine does with named rows (model/mending); beside it the block sampler alone, which edits the place
as a draft, and the unchanged code. With --data: HumanEvalFix, QuixBugs (tests, in the sandbox) or DebugBench's single
faults that do not parse (right text and parse rate). With --shards: held-out lines with one known fault, by kind, and
the same lines without it, which should stay as they are. Source: this project's own protocol, data sets as in
fix_data.py. Left out: finding the place (mend.py), several samples a task (pass@k needs k of them).
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from model.evaluation.options import EvalError, add_common, data_file, load_model, report, watched

if TYPE_CHECKING:
    from model.checkpoints.load import Checkpoint
    from model.evaluation.decode import Decoder, Place
    from model.evaluation.faults import Fault
    from model.evaluation.fix_data import Task
    from model.mending.reader import Reader
    from model.mending.repair import Mender

Repair = Callable[["Place", str], tuple[str, int]]
"""What becomes of a draft at a place, and the passes it took."""

DATA = "humanevalpack/humanevalpack-python.jsonl"
NUM_FAULTS = 480
SEED = 0
TIMEOUT_S = 10.0
"""Twice the sandbox's own: a few true solutions of QuixBugs take seconds on a busy machine."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common(parser, what_data="HumanEvalFix, QuixBugs or DebugBench rows")
    parser.add_argument("--shards", type=Path, default=None, help="instead of --data: faults in held-out text")
    parser.add_argument("--force-edits", action="store_true", help="edit with weights that were not trained to edit")
    parser.add_argument("--through-server", action="store_true", help="ask a language server, as an editor does")


def run(args: argparse.Namespace) -> int:
    """Prints scores with floors; 0 = done. Raises EvalError with a sentence."""
    if args.shards is not None and args.data is not None:
        raise EvalError("--data and --shards are two different evaluations: give one of them")
    path = data_file(args, DATA) if args.shards is None else args.shards
    checkpoint = editing(load_model(args), force=args.force_edits)

    from model.evaluation.decode import Decoder

    if args.through_server:
        from model.evaluation.through_server import served

        with served(args, checkpoint.preset) as server:
            table, result = _scored(args, path, server.repaired, None)
        return report(table, about(checkpoint, args) | result | {"way": "server"}, args)
    sampler = by_sampler(Decoder(checkpoint))
    mender = mender_of(checkpoint, args)
    repair = sampler if mender is None else by_mender(mender)
    table, result = _scored(args, path, repair, sampler)
    return report(table, about(checkpoint, args) | result | {"way": "engine"}, args)


def _scored(
    args: argparse.Namespace, path: Path, repair: Repair, sampler: Repair | None
) -> tuple[list[tuple[str, str]], dict]:
    """Table and result of --shards or --data."""
    from model.evaluation.faults import make_faults
    from model.evaluation.fix_data import fix_tasks
    from model.evaluation.heldout_places import heldout_documents

    if args.shards is not None:
        num = NUM_FAULTS if args.limit is None else args.limit
        faults = make_faults(list(heldout_documents(path)), num=num, seed=SEED)
        if not faults:
            raise EvalError(f"no fault can be made in the held-out text of {path}")
        return score_faults(repair, faults, sampler)
    name, tasks = fix_tasks(path, args.limit)
    return score_tasks(repair, name, tasks, sampler)


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


def mender_of(checkpoint: "Checkpoint", args: argparse.Namespace) -> "Mender | None":
    """What repairs with the calibration beside the checkpoint's weights; None if there is none: then the engine, too,
    leaves named rows to the sampler.
    """
    from model.checkpoints.load import default_checkpoint
    from model.mending.ranking import load_calibration
    from model.mending.repair import Mender

    calibration = load_calibration(args.model or default_checkpoint())
    return None if calibration is None else Mender(reader_of(checkpoint), calibration)


def reader_of(checkpoint: "Checkpoint") -> "Reader":
    """The checkpoint as the engine would have it repair: weights packed where that helps, the engine's prompts."""
    from model.engine.prompting import LineEncoder
    from model.engine.repairs import prompts
    from model.mending.reader import Reader
    from model.network.packed import can_pack, pack_weights

    if can_pack(checkpoint.network):
        pack_weights(checkpoint.network)
    encoder = LineEncoder(checkpoint.tokenizer)
    return Reader(checkpoint, prompts(checkpoint, encoder), encoder)


def by_sampler(decoder: "Decoder") -> Repair:
    """The block sampler edits the draft; one that does not fit stays (0 passes)."""
    from model.engine.job import BadRequest

    def repair(place: "Place", draft: str) -> tuple[str, int]:
        try:
            answer = decoder.repair(place, draft)
        except BadRequest as error:
            if error.code != "too_long":
                raise
            return draft, 0
        return answer.text, answer.forwards

    return repair


def by_mender(mender: "Mender") -> Repair:
    """The surest repair of the draft's rows."""
    from model.mending.text_view import TextView

    def repair(place: "Place", draft: str) -> tuple[str, int]:
        num_forwards = mender.reader.num_forwards
        view = TextView(place.path, place.before + draft + place.after)
        first = place.before.count("\n")
        found = [
            finding
            for finding in mender.fix(view, first, first + draft.count("\n"))
            if len(place.before) <= finding.start and finding.end <= len(place.before) + len(draft)
        ]
        text = draft
        if found:
            text = max(found, key=lambda finding: finding.confidence).applied(view.text)
            text = text[len(place.before) : len(text) - len(place.after)]
        return text, mender.reader.num_forwards - num_forwards

    return repair


def score_faults(
    repair: Repair, faults: Sequence["Fault"], sampler: Repair | None = None
) -> tuple[list[tuple[str, str]], dict]:
    """Table and result of known faults: exact repairs by kind, and how many clean lines are left alone.

    sampler: a second one, of which only the sums are shown.
    """
    begun = time.perf_counter()
    answers = [repair(fault.place, fault.draft) for fault in watched(faults, "faults")]
    milliseconds = 1000 * (time.perf_counter() - begun) / len(answers)
    kept = [repair(fault.place, fault.place.gold)[0] == fault.place.gold for fault in watched(faults, "clean lines")]
    exact = [text == fault.place.gold for fault, (text, _) in zip(faults, answers, strict=True)]
    changed = [text != fault.draft for fault, (text, _) in zip(faults, answers, strict=True)]
    by_kind: dict[str, dict[str, float]] = {}
    for kind in sorted({fault.kind for fault in faults}):
        of_kind = [index for index, fault in enumerate(faults) if fault.kind == kind]
        num_changed = sum(changed[index] for index in of_kind)
        num_exact = sum(exact[index] for index in of_kind)
        by_kind[kind] = {
            "num": len(of_kind),
            "exact_repair": num_exact / len(of_kind),
            "precision": num_exact / num_changed if num_changed else 0.0,
            "floor": 0.0,
        }
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
        "ms_per_answer": milliseconds,
    }
    table = [
        ("faults", f"{len(faults)} held-out lines, one fault each, the line is given; floor = line unchanged"),
        ("exact repair", f"{percent(result['exact_repair'])}  (floor 0.0 %)"),
        *[
            (
                f"  {kind}",
                f"{percent(scores['exact_repair'])}  of {scores['num']}  (floor 0.0 %); right when changed "
                f"{percent(scores['precision'])}",
            )
            for kind, scores in by_kind.items()
        ],
        ("clean lines left alone", f"{percent(result['kept_clean'])}  of {len(kept)}  (floor 100.0 %)"),
        ("faulty lines changed", percent(result["changed"])),
        ("forwards an answer", f"{result['forwards_per_answer']:.1f}, {milliseconds:.0f} ms"),
    ]
    if sampler is not None and sampler is not repair:
        alone = [sampler(fault.place, fault.draft)[0] for fault in watched(faults, "sampler alone")]
        clean = [sampler(fault.place, fault.place.gold)[0] for fault in watched(faults, "sampler on clean lines")]
        result["sampler_alone"] = {
            "exact_repair": share([text == fault.place.gold for fault, text in zip(faults, alone, strict=True)]),
            "kept_clean": share([text == fault.place.gold for fault, text in zip(faults, clean, strict=True)]),
        }
        exact_alone, kept_alone = result["sampler_alone"].values()
        table.append(("sampler alone", f"{percent(exact_alone)} exact; clean lines left alone {percent(kept_alone)}"))
    return table, result


def score_tasks(
    repair: Repair, name: str, tasks: Sequence["Task"], sampler: Repair | None = None
) -> tuple[list[tuple[str, str]], dict]:
    """Table and result of a benchmark: exact match, parse rate and, where there are tests and a sandbox, pass@1."""
    from model.evaluation.fix_data import pass_line
    from model.syntax.python import parses

    answers = [repair(task.place, task.draft) for task in watched(tasks, "repairs")]
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
    if sampler is not None and sampler is not repair:
        alone = [task.with_answer(sampler(task.place, task.draft)[0]) for task in watched(tasks, "sampler alone")]
        result["sampler_alone"] = {
            "exact": share([task.is_exact(text) for task, text in zip(tasks, alone, strict=True)]),
            "parse_rate": share([parses(text) for text in alone]),
        }
        exact_alone, parse_alone = result["sampler_alone"].values()
        table.append(("sampler alone", f"{percent(exact_alone)} exact, {percent(parse_alone)} parse"))
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
