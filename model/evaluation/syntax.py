"""`seedling eval syntax`: is a syntax error mended by the first quick fix?

Faults of one mark in held-out text (syntax_faults.py). The question is the language server's: the cursor stands where
the text's first error is named, the rows to look at come from the same rules (model/syntax/errors.py), the engine's
repairs pass the same test, the surest is the first entry of the menu. It is exact if the document is the true one
again. Floor: the text unchanged. Source: this project's own protocol; Wilson's 95 % score intervals. Left out: texts
with several errors, and lines that somebody else names (fix.py).
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from model.evaluation.edits import wilson_low
from model.evaluation.fix import SEED, about, editing, mender_of, percent, share
from model.evaluation.options import EvalError, add_common, load_model, report, watched
from model.syntax.errors import first_error_row, named_rows, num_errors
from model.syntax.python import parses

if TYPE_CHECKING:
    from model.evaluation.syntax_faults import Faults, SyntaxFault
    from model.mending.repair import Mender

QuickFixes = Callable[[str, str, int], Sequence[str]]
"""Path, text and the row of the cursor to the texts that the menu's entries would make, the first entry first."""

NUM_FAULTS = 480


class Answer(NamedTuple):
    """offered: some entry was; parses: the text after the first one does; second: not the first but a later one is
    exact.
    """

    kind: str
    exact: bool
    offered: bool
    parses: bool
    second: bool
    ms: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common(parser, what_data=None)
    parser.add_argument("--shards", type=Path, required=True, help="folder of token shards with held-out projects")
    parser.add_argument("--force-edits", action="store_true", help="edit with weights that were not trained to edit")
    parser.add_argument("--through-server", action="store_true", help="ask a language server, as an editor does")


def run(args: argparse.Namespace) -> int:
    """Prints scores with floors; 0 = done. Raises EvalError with a sentence."""
    checkpoint = editing(load_model(args), force=args.force_edits)

    from model.evaluation.heldout_places import heldout_documents
    from model.evaluation.syntax_faults import make_syntax_faults

    num = NUM_FAULTS if args.limit is None else args.limit
    made = make_syntax_faults(list(heldout_documents(args.shards)), num=num, seed=SEED)
    if not made.faults:
        raise EvalError(f"no fault can be made in the held-out text of {args.shards}")
    if args.through_server:
        from model.evaluation.through_server import served

        with served(args, checkpoint.preset) as server:
            answers = answers_of(server.quick_fixes, made.faults)
    else:
        mender = mender_of(checkpoint, args)
        if mender is None:
            raise EvalError(
                f"the model {checkpoint.preset.name} has no calibration of repairs that this version reads: make one "
                "with seedling eval mend --calibrate"
            )
        answers = answers_of(by_mender(mender), made.faults)
    result = about(checkpoint, args) | summary(answers, made)
    return report(table_of(result), result | {"way": "server" if args.through_server else "engine"}, args)


def by_mender(mender: "Mender") -> QuickFixes:
    """What the server would offer, without the server."""
    from model.mending.text_view import TextView

    def quick_fixes(path: str, text: str, row: int) -> list[str]:
        rows = named_rows(text, "python", (row, row), [row])
        if rows is None:
            return []
        found = sorted(mender.fix(TextView(path, text), rows.first, rows.last), key=lambda one: -one.confidence)
        before = num_errors(text, "python")
        changed = [finding.applied(text) for finding in found if rows.first <= finding.row <= rows.last]
        return [new for new in changed if rows.allow(before, num_errors(new, "python"))]

    return quick_fixes


def answers_of(quick_fixes: QuickFixes, faults: Sequence["SyntaxFault"]) -> list[Answer]:
    """One question a fault."""
    answers: list[Answer] = []
    for fault in watched(faults, "syntax errors"):
        begun_s = time.perf_counter()
        row = first_error_row(fault.text_bad, "python")
        texts = [] if row is None else quick_fixes(fault.path, fault.text_bad, row)
        answers.append(
            Answer(
                kind=fault.kind,
                exact=texts[:1] == [fault.text],
                offered=bool(texts),
                parses=bool(texts) and parses(texts[0]),
                second=fault.text in texts[1:],
                ms=1000 * (time.perf_counter() - begun_s),
            )
        )
    return answers


def summary(answers: Sequence[Answer], made: "Faults") -> dict:
    """The result without what belongs to the run."""
    by_kind = {kind: [one for one in answers if one.kind == kind] for kind in sorted({one.kind for one in answers})}
    times = sorted(one.ms for one in answers)
    return {
        "data": "held-out texts, one syntax error each",
        "cursor": "at the first error",
        "num": len(answers),
        "num_left_out": sum(made.num_sound.values()),
        **_scores(answers),
        "by_kind": {
            kind: {"num": len(some), "num_left_out": made.num_sound[kind], **_scores(some)}
            for kind, some in by_kind.items()
        },
        "floors": {"exact": 0.0, "what": "the text unchanged"},
        "ms_median": times[len(times) // 2],
        "ms_p95": times[math.ceil(0.95 * len(times)) - 1],
    }


def _scores(answers: Sequence[Answer]) -> dict:
    exact = share([one.exact for one in answers])
    return {
        "exact": exact,
        "exact_low": wilson_low(exact, len(answers)),
        "exact_high": 1.0 - wilson_low(1.0 - exact, len(answers)),
        "exact_second": share([one.second for one in answers]),
        "offered_another": share([one.offered and not one.exact for one in answers]),
        "parses": share([one.parses for one in answers]),
    }


def table_of(result: dict) -> list[tuple[str, str]]:
    """The rows a person reads."""
    return [
        (
            "errors",
            f"{result['num']} held-out texts, one each, the cursor where it is named; {result['num_left_out']} more "
            "drawn parse and were left out",
        ),
        ("exact, first fix", f"{_line(result)}  (floor 0.0 %)"),
        *[(f"  {kind}", f"{_line(scores)} of {scores['num']}") for kind, scores in result["by_kind"].items()],
        ("exact, second fix", percent(result["exact_second"])),
        ("something else first", percent(result["offered_another"])),
        ("parses after the first", percent(result["parses"])),
        ("an answer", f"median {result['ms_median']:.0f} ms, 95 % within {result['ms_p95']:.0f} ms"),
    ]


def _line(scores: dict) -> str:
    return f"{percent(scores['exact'])}  [{100 * scores['exact_low']:.1f}, {100 * scores['exact_high']:.1f}]"
