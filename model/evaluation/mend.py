"""`seedling eval mend`: finding a fault that nothing names, and repairing the line it is on.

The detector is the edit margin alone (detector.py). Its threshold is chosen on clean lines of the calibration projects
so that at most one line in a thousand raises a false alarm, and tested on the other held-out projects: faults of known
kinds, one a window, and clean windows. Lines count if they hold code outside comments and strings. A mend is exact if
the faulty line is flagged and its repair gives the true line. Precision is stated at the test's rate of faults and at
one fault in 1,000 lines. Source: this project's own protocol. Left out: the other features of a detector (blind margin,
surprisal, proof by likelihood; the parser is shown as a rival), and what an editor would show.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from model.evaluation.fix import SEED, about, editing, percent, repaired, share
from model.evaluation.options import EvalError, add_common, load_model, report, watched
from model.evaluation.parsing import error_row

if TYPE_CHECKING:
    from model.evaluation.decode import Decoder
    from model.evaluation.detector import Window
    from model.evaluation.faults import Fault

CALIBRATION = ("attr", "attrs", "click", "requests")
"""Projects whose clean lines choose the threshold; all others test it."""
NUM_FAULTS = 480
CLEAN_LINES_PER_FAULT = 40
ALARMS_PER_1000 = 1.0
FAULTS_PER_LINE = 0.001
"""The rate of faults that precision is also stated at."""


class Finding(msgspec.Struct, frozen=True):
    """What the detector says about one fault: whether its line is flagged, the clean lines of its window, how many of
    those are flagged, whether the repair of a flagged line is exact, whether the parser names the line.
    """

    kind: str
    found: bool
    num_clean: int
    num_alarms: int
    exact: bool
    parser_names: bool


class View(NamedTuple):
    """A window of a text with a path."""

    path: str
    text: str
    window: "Window"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common(parser, what_data=None)
    parser.add_argument("--shards", type=Path, required=True, help="folder of token shards with held-out projects")
    parser.add_argument("--force-edits", action="store_true", help="edit with weights that were not trained to edit")


def run(args: argparse.Namespace) -> int:
    """Prints scores with floors; 0 = done. Raises EvalError with a sentence."""
    checkpoint = editing(load_model(args), force=args.force_edits)

    from model.evaluation.decode import Decoder
    from model.evaluation.detector import choose_threshold
    from model.evaluation.faults import make_faults
    from model.evaluation.heldout_places import heldout_documents

    calibration, test = by_project(list(heldout_documents(args.shards)))
    if not calibration or not test:
        raise EvalError(
            f"the held-out text of {args.shards} must hold projects to calibrate on ({', '.join(CALIBRATION)}) and "
            "others to test on"
        )
    faults = make_faults(test, num=NUM_FAULTS if args.limit is None else args.limit, seed=SEED)
    decoder = Decoder(checkpoint)
    num_lines = len(faults) * CLEAN_LINES_PER_FAULT
    calibration_scores = flat(scores_of(clean_views(calibration, num_lines, decoder), decoder, "calibration"))
    test_scores = flat(scores_of(clean_views(test, num_lines, decoder), decoder, "clean windows"))
    if not faults or not calibration_scores or not test_scores:
        raise EvalError(f"the held-out text of {args.shards} holds too little code to test on")
    threshold = choose_threshold(calibration_scores, ALARMS_PER_1000)
    result = summary(find(faults, threshold, decoder), test_scores, threshold)
    result = about(checkpoint, args) | result | {"num_calibration_lines": len(calibration_scores)}
    return report(table_of(result), result, args)


def by_project(documents: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The documents to calibrate on and those to test on, by the first part of their paths."""
    parts: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    for path, text in documents:
        parts[path.split("/")[0] not in CALIBRATION].append((path, text))
    return parts


def clean_views(documents: Sequence[tuple[str, str]], num_lines: int, decoder: "Decoder") -> list[View]:
    """Windows drawn evenly from all documents that are no tables, until they hold so many judged lines."""
    from model.evaluation.detector import windows
    from model.evaluation.faults import is_table

    views = [
        View(path, text, window)
        for path, text in sorted(documents)
        if not is_table(text)
        for window in windows(text, decoder.checkpoint.tokenizer, decoder.encoder)
        if any(window.judged)
    ]
    Random(f"clean/{SEED}").shuffle(views)
    taken: list[View] = []
    for view in views:
        if num_lines <= 0:
            break
        taken.append(view)
        num_lines -= len(view.window.judged_rows)
    return taken


def scores_of(views: Sequence[View], decoder: "Decoder", what: str) -> list[dict[int, float]]:
    """The scores of the judged lines of each view."""
    from model.evaluation.detector import line_scores, scan, window_query

    checkpoint = decoder.checkpoint
    queries = (
        window_query(view.path, view.text, view.window, checkpoint, decoder.encoder) for view in watched(views, what)
    )
    margins = scan(checkpoint.network, queries)
    return [line_scores(view.window, margins_N) for view, margins_N in zip(views, margins, strict=True)]


def flat(scores: Sequence[dict[int, float]]) -> list[float]:
    return [score for lines in scores for score in lines.values()]


def find(faults: Sequence["Fault"], threshold: float, decoder: "Decoder") -> list[Finding]:
    """What the detector finds of each fault in the window that holds its line (none if the line is too long)."""
    from model.evaluation.detector import windows

    views: list[View | None] = []
    for fault in faults:
        tiles = windows(fault.text_bad, decoder.checkpoint.tokenizer, decoder.encoder)
        window = next((window for window in tiles if fault.row in window.rows), None)
        views.append(None if window is None else View(fault.path, fault.text_bad, window))
    scores = iter(scores_of([view for view in views if view is not None], decoder, "faults"))
    findings = []
    for fault, view in zip(faults, views, strict=True):
        lines = {} if view is None else next(scores)
        flagged = {row for row, score in lines.items() if score > threshold}
        found = fault.row in flagged
        findings.append(
            Finding(
                kind=fault.kind,
                found=found,
                num_clean=len(lines.keys() - {fault.row}),
                num_alarms=len(flagged - {fault.row}),
                exact=found and repaired(decoder, fault.place, fault.draft)[0] == fault.place.gold,
                parser_names=error_row(fault.text_bad) == fault.row,
            )
        )
    return findings


def summary(findings: Sequence[Finding], clean_scores: Sequence[float], threshold: float) -> dict:
    """The result without what belongs to the run. Alarms count in clean windows; precision counts every alarm."""
    num_found = sum(finding.found for finding in findings)
    num_alarms = sum(score > threshold for score in clean_scores)
    num_beside = sum(finding.num_alarms for finding in findings)
    num_clean = len(clean_scores) + sum(finding.num_clean for finding in findings)
    recall = num_found / len(findings)
    alarm_rate = num_alarms / len(clean_scores)
    by_kind: dict[str, dict[str, float]] = {}
    for kind in sorted({finding.kind for finding in findings}):
        of_kind = [finding for finding in findings if finding.kind == kind]
        by_kind[kind] = {
            "num": len(of_kind),
            "recall": share([finding.found for finding in of_kind]),
            "exact_repair": share([finding.exact for finding in of_kind]),
            "recall_parser": share([finding.parser_names for finding in of_kind]),
        }
    true_rate, false_rate = recall * FAULTS_PER_LINE, alarm_rate * (1 - FAULTS_PER_LINE)
    return {
        "data": "held-out windows, one fault each, and clean windows",
        "place": "found",
        "length": "free",
        "num": len(findings),
        "num_clean_lines": len(clean_scores),
        "fault_rate": len(findings) / (len(findings) + num_clean),
        "threshold": threshold,
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
            f"{result['num']} faults, {result['num_clean_lines']} lines in clean windows; one line in "
            f"{1 / result['fault_rate']:.0f} is faulty",
        ),
        ("threshold", f"{result['threshold']:.2f} nats, from {result['num_calibration_lines']} clean lines elsewhere"),
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
                f"found {percent(scores['recall'])}, repaired {percent(scores['exact_repair'])} of {scores['num']}  "
                f"(parser finds {percent(scores['recall_parser'])})",
            )
            for kind, scores in result["by_kind"].items()
        ],
    ]
