"""`seedling eval mend`: finding a fault that nothing names, and repairing the line it is on.

Exactly what the engine does with a whole text (model/mending), looked through some rows around a fault at a time. Its
weights and thresholds are the checkpoint's; `--calibrate` fits them anew: weights on damaged text of training projects,
thresholds on sound text of the calibration projects. Tested are the other held-out projects: faults of known kinds,
one a text, and stretches of sound rows. Rows count if they hold code. A mend is exact if the text is the true one
again. Precision is stated at the test's rate of faults and at one fault in 1,000 lines. Source: this project's own
protocol. Left out: what an editor would show, faults of several lines.
"""

import argparse
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from model.evaluation.fix import SEED, about, editing, mender_of, percent, reader_of, share
from model.evaluation.options import EvalError, add_common, load_model, report, watched
from model.syntax.python import error_row

if TYPE_CHECKING:
    from model.checkpoints.load import Checkpoint
    from model.evaluation.faults import Fault
    from model.mending.repair import Finding as Repair
    from model.mending.repair import Mender
    from model.mending.text_view import TextView

NUM_FAULTS = 480
CLEAN_LINES_PER_FAULT = 40
STRETCH_ROWS = 80
NEAR_ROWS = 6
"""Rows on either side of a fault that are looked through with it."""
FAULTS_PER_LINE = 0.001
"""The rate of faults that precision is also stated at."""
COST_ROWS = 300
COST_TEXTS = 3


class Finding(msgspec.Struct, frozen=True):
    """What is found of one fault: whether a repair of its line is shown, the sound lines around it, how many of those
    are repaired too, whether the text is the true one again, whether the parser names the line.
    """

    kind: str
    found: bool
    num_clean: int
    num_alarms: int
    exact: bool
    parser_names: bool


class Mends(Protocol):
    """What looks rows first..last of a text through."""

    def mend(self, view: "TextView", first_row: int = 0, last_row: int | None = None) -> Iterable["Repair"]: ...


class Stretch(NamedTuple):
    """Rows first..last of a sound text, num_lines of them with code."""

    view: "TextView"
    first: int
    last: int
    num_lines: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common(parser, what_data=None)
    parser.add_argument("--shards", type=Path, required=True, help="folder of token shards with held-out projects")
    parser.add_argument("--force-edits", action="store_true", help="edit with weights that were not trained to edit")
    parser.add_argument(
        "--calibrate", action="store_true", help="fit repairs to the checkpoint and write mending.json beside it"
    )


def run(args: argparse.Namespace) -> int:
    """Prints scores with floors; 0 = done. Raises EvalError with a sentence."""
    checkpoint = editing(load_model(args), force=args.force_edits)
    if args.calibrate:
        return _calibrate(checkpoint, args)

    from model.evaluation.faults import make_faults
    from model.evaluation.heldout_places import heldout_documents
    from model.mending.calibrate import PROJECTS

    mender = mender_of(checkpoint, args)
    if mender is None or mender.calibration.mend_threshold is None:
        raise EvalError(
            f"the model {checkpoint.preset.name} has no calibration of repairs that this version reads: make one with "
            "seedling eval mend --calibrate"
        )
    calibration, test = by_project(list(heldout_documents(args.shards)))
    if not calibration or not test:
        raise EvalError(
            f"the held-out text of {args.shards} must hold projects to calibrate on ({', '.join(PROJECTS)}) and "
            "others to test on"
        )
    faults = make_faults(test, num=NUM_FAULTS if args.limit is None else args.limit, seed=SEED)
    stretches = clean_stretches(test, len(faults) * CLEAN_LINES_PER_FAULT)
    if not faults or not stretches:
        raise EvalError(f"the held-out text of {args.shards} holds too little code to test on")
    found = find(faults, mender)
    num_alarms = sum(
        len(list(mender.mend(stretch.view, stretch.first, stretch.last)))
        for stretch in watched(stretches, "sound stretches")
    )
    result = summary(found, sum(stretch.num_lines for stretch in stretches), num_alarms)
    result = about(checkpoint, args) | result | cost(test, mender)
    result["threshold"] = mender.calibration.mend_threshold
    result["num_calibration_lines"] = int(mender.calibration.fitted_on.get("sound_lines", 0))
    return report(table_of(result), result, args)


def _calibrate(checkpoint: "Checkpoint", args: argparse.Namespace) -> int:
    """Fits, writes, and prints what was reached on what it was fitted on."""
    from model.checkpoints.load import default_checkpoint
    from model.mending.calibrate import calibrate, calibration_documents
    from model.mending.ranking import save_calibration
    from model.training.shards import ShardError, open_shards

    begun_s = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun_s:5.0f} s  {line}", flush=True)

    try:
        documents = calibration_documents(open_shards(args.shards, "heldout"))
        reached = calibrate(reader_of(checkpoint), open_shards(args.shards), documents, say)
    except (ShardError, ValueError) as error:
        raise EvalError(str(error)) from None
    path = save_calibration(args.model or default_checkpoint(), reached.calibration)
    print("\n".join([*reached.lines, f"written: {path}"]))
    return 0


def by_project(documents: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The documents of the projects that thresholds were chosen on, and those to test on."""
    from model.mending.calibrate import PROJECTS
    from model.training.shards import project_of

    parts: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    for path, text in documents:
        parts[project_of(path) not in PROJECTS].append((path, text))
    return parts


def clean_stretches(documents: Sequence[tuple[str, str]], num_lines: int) -> list[Stretch]:
    """Stretches drawn evenly from all documents that are no tables, until they hold so many lines of code."""
    from model.evaluation.faults import is_table
    from model.mending.text_view import TextView

    stretches: list[Stretch] = []
    for path, text in sorted(documents):
        if is_table(text):
            continue
        view = TextView(path, text)
        for first in range(0, len(view.lines), STRETCH_ROWS):
            last = min(first + STRETCH_ROWS, len(view.lines)) - 1
            num = sum(view.has_code(row) for row in range(first, last + 1))
            if num:
                stretches.append(Stretch(view, first, last, num))
    Random(f"clean/{SEED}").shuffle(stretches)
    taken: list[Stretch] = []
    for stretch in stretches:
        if num_lines <= 0:
            break
        taken.append(stretch)
        num_lines -= stretch.num_lines
    return taken


def find(faults: Sequence["Fault"], mender: Mends) -> list[Finding]:
    """What is found in the rows around each fault."""
    from model.mending.text_view import TextView

    findings = []
    for fault in watched(faults, "faults"):
        view = TextView(fault.path, fault.text_bad)
        first, last = max(0, fault.row - NEAR_ROWS), min(fault.row + NEAR_ROWS, len(view.lines) - 1)
        shown = list(mender.mend(view, first, last))
        text_good = (
            fault.text_bad[: fault.start] + fault.gold_line + fault.text_bad[fault.start + len(fault.bad_line) :]
        )
        is_exact = any(finding.applied(fault.text_bad) == text_good for finding in shown)
        rows = {finding.row for finding in shown}
        findings.append(
            Finding(
                kind=fault.kind,
                found=fault.row in rows or is_exact,
                num_clean=sum(view.has_code(row) for row in range(first, last + 1) if row != fault.row),
                num_alarms=0 if is_exact and len(rows) == 1 else len(rows - {fault.row}),
                exact=is_exact,
                parser_names=error_row(fault.text_bad) == fault.row,
            )
        )
    return findings


def cost(documents: Sequence[tuple[str, str]], mender: "Mender") -> dict[str, float]:
    """Passes and milliseconds of looking through the first 300 rows of a few texts."""
    from model.mending.text_view import TextView

    texts = [(path, text) for path, text in sorted(documents) if text.count("\n") >= COST_ROWS][:COST_TEXTS]
    before, begun = mender.reader.num_forwards, time.perf_counter()
    for path, text in texts:
        list(mender.mend(TextView(path, "".join(line + "\n" for line in text.split("\n")[:COST_ROWS]))))
    num = max(1, len(texts))
    return {
        "forwards_per_300_lines": (mender.reader.num_forwards - before) / num,
        "ms_per_300_lines": 1000 * (time.perf_counter() - begun) / num,
    }


def summary(findings: Sequence[Finding], num_clean_lines: int, num_alarms: int) -> dict:
    """The result without what belongs to the run. The alarm rate is that of sound stretches; precision counts every
    alarm.
    """
    num_found = sum(finding.found for finding in findings)
    num_beside = sum(finding.num_alarms for finding in findings)
    num_clean = num_clean_lines + sum(finding.num_clean for finding in findings)
    recall = num_found / len(findings)
    alarm_rate = num_alarms / num_clean_lines
    by_kind: dict[str, dict[str, float]] = {}
    for kind in sorted({finding.kind for finding in findings}):
        of_kind = [finding for finding in findings if finding.kind == kind]
        by_kind[kind] = {
            "num": len(of_kind),
            "recall": share([finding.found for finding in of_kind]),
            "precision": share([finding.exact for finding in of_kind if finding.found])
            if any(finding.found for finding in of_kind)
            else 0.0,
            "exact_repair": share([finding.exact for finding in of_kind]),
            "recall_parser": share([finding.parser_names for finding in of_kind]),
        }
    true_rate, false_rate = recall * FAULTS_PER_LINE, alarm_rate * (1 - FAULTS_PER_LINE)
    return {
        "data": "held-out texts, one fault each, and sound stretches",
        "place": "found",
        "length": "free",
        "num": len(findings),
        "num_clean_lines": num_clean_lines,
        "fault_rate": len(findings) / (len(findings) + num_clean),
        "exact_repair": share([finding.exact for finding in findings]),
        "recall": recall,
        "precision": num_found / (num_found + num_beside + num_alarms) if num_found + num_beside + num_alarms else None,
        "precision_at_1_fault_per_1000_lines": true_rate / (true_rate + false_rate) if true_rate + false_rate else None,
        "false_alarms_per_1000_lines": 1000 * alarm_rate,
        "by_kind": by_kind,
        "floors": {
            "exact_repair": 0.0,
            "recall_chance": alarm_rate,
            "recall_parser": share([finding.parser_names for finding in findings]),
            "what": "text unchanged; as many alarms at random; the line CPython's parser names",
        },
    }


def table_of(result: dict) -> list[tuple[str, str]]:
    """The rows a person reads."""
    floors = result["floors"]
    return [
        (
            "test",
            f"{result['num']} faults, {result['num_clean_lines']} lines in sound stretches; one line in "
            f"{1 / result['fault_rate']:.0f} is faulty",
        ),
        ("threshold", f"{result['threshold']:.2f}, from {result['num_calibration_lines']} sound lines elsewhere"),
        ("false alarms", f"{result['false_alarms_per_1000_lines']:.2f} per 1,000 clean lines"),
        (
            "found",
            f"{percent(result['recall'])}  (floors: chance {percent(floors['recall_chance'])}, parser "
            f"{percent(floors['recall_parser'])})",
        ),
        ("found and repaired exactly", f"{percent(result['exact_repair'])}  (floor 0.0 %)"),
        (
            "precision",
            f"{percent(result['precision'])}; at one fault in 1,000 lines "
            f"{percent(result['precision_at_1_fault_per_1000_lines'])}",
        ),
        *[
            (
                f"  {kind}",
                f"found {percent(scores['recall'])}, repaired {percent(scores['exact_repair'])} of {scores['num']}, "
                f"right when found {percent(scores['precision'])}  "
                f"(parser finds {percent(scores['recall_parser'])})",
            )
            for kind, scores in result["by_kind"].items()
        ],
        (
            "300 lines take",
            f"{result['forwards_per_300_lines']:.0f} forwards, {result['ms_per_300_lines'] / 1000:.1f} s",
        ),
    ]
