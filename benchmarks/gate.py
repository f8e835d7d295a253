"""Which proposals deserve to be shown: how right what is shown is, against how right everything proposed would be.

Held-out places of two kinds (a new line behind its indentation, and the rest of a begun one), and lines typed from
their indentation on, a question at each character; each is proposed as the language server proposes (proposals.py).
Right = the cursor's line becomes the true one exactly. Gates are numbers between 0 and 1 from 0 (doubtful) on;
their order is compared by the area under the ROC curve, on the test projects alone. A threshold is calibrated on three
projects and tested on the others: the highest show rate whose precision is twice that of all proposals. Intervals
resample whole lines, since the keystrokes of a line are no independent trials.
`python -m benchmarks.gate --shards DIR [--limit N] [--keep FILE]` prints tables, then one line of JSON. --keep: figures
of every proposal, no code; they are read instead of made where the file exists.

Left out: the rest of the server's quiet rules, brackets that an editor closes by itself, what users accept.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from benchmarks.header import print_header
from benchmarks.options import line_arguments, rounded, run
from lsp_server.features.gate import AGREEMENT, Weights, Witness, certainty
from lsp_server.settings import Settings
from model.evaluation.options import EvalError, load_model

if TYPE_CHECKING:
    from model.evaluation.decode import Place

SEED, TYPED_SEED = 0, 1
PLACES_PER_TYPED_LINE = 3
PLACES, KEYSTROKES = "places", "keystrokes"
AIM = 2.0
MEAN_UNTIL_NOW = 0.4
THRESHOLDS = (0.0, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
NUM_SAMPLES = 1000
MIN_TOLD = 20
RIDGE = 1.0
NUM_NEWTON_STEPS = 30


class Tried(msgspec.Struct, frozen=True):
    """One question. `group`: PLACES or KEYSTROKES; `line`: which line it belongs to (keystrokes of one line share it);
    `num_left`: characters of the line that are still missing; of the proposal no text, only figures (proposals.py).
    """

    group: str
    kind: str  # "new", "rest" or "typed"
    is_test: bool
    line: int
    num_left: int
    outcome: str
    is_right: bool
    num_chars: int
    confidence: float
    num_tokens: int
    least_p: float
    first_p: float
    entropy: float
    forwards: int = 0
    witness: Witness | None = None


Score = Callable[[Tried], float]


def gates() -> dict[str, Score]:
    """The shipped gate first; the last one is a floor that knows nothing of the model."""
    return {
        "whole text, witness": lambda tried: certainty(tried.confidence, tried.num_tokens, tried.witness),
        "whole text": lambda tried: certainty(tried.confidence, tried.num_tokens),
        "mean of the tokens": lambda tried: tried.confidence,
        "least token": lambda tried: tried.least_p,
        "first token": lambda tried: tried.first_p,
        "entropy": lambda tried: float(np.exp(-tried.entropy)),
        "shortness (floor)": lambda tried: 1 / max(1, tried.num_chars),
    }


class Shown(msgspec.Struct, frozen=True):
    """What a gate shows of `questions`. Shares 0..1: `shown` of the questions, `precision` of what is shown, `kept` of
    the right proposals, `hidden` of the wrong ones; `ratio` = precision over that of all proposals.
    """

    threshold: float
    shown: float
    precision: float
    ratio: float
    kept: float
    hidden: float


def shown_at(tries: Sequence[Tried], score: Score, threshold: float) -> Shown:
    """The figures of one threshold. Nothing shown has precision 0."""
    proposed = [tried for tried in tries if tried.outcome == "proposed"]
    shown = [tried for tried in proposed if score(tried) >= threshold]
    num_right, num_right_shown = (sum(tried.is_right for tried in part) for part in (proposed, shown))
    num_wrong, num_wrong_shown = len(proposed) - num_right, len(shown) - num_right_shown
    precision, base = num_right_shown / max(1, len(shown)), num_right / max(1, len(proposed))
    return Shown(
        threshold=threshold,
        shown=len(shown) / max(1, len(tries)),
        precision=precision,
        ratio=precision / base if base else 0.0,
        kept=num_right_shown / max(1, num_right),
        hidden=1 - num_wrong_shown / max(1, num_wrong),
    )


def ratio_interval(tries: Sequence[Tried], score: Score, threshold: float) -> tuple[float, float]:
    """The 95 % bootstrap interval of `Shown.ratio`, resampling lines."""
    sums: dict[int, np.ndarray] = {}
    for tried in tries:
        if tried.outcome == "proposed":
            is_shown = score(tried) >= threshold
            counts = np.array([1, tried.is_right, is_shown, is_shown and tried.is_right], np.float64)
            sums[tried.line] = sums.get(tried.line, np.zeros(4)) + counts
    rows_L4 = np.array(list(sums.values()))
    picks_SL = np.random.default_rng(SEED).integers(len(rows_L4), size=(NUM_SAMPLES, len(rows_L4)))
    proposed_S, right_S, shown_S, right_shown_S = rows_L4[picks_SL].sum(1).T
    ratios = (right_shown_S / np.maximum(shown_S, 1)) / np.maximum(right_S / proposed_S, 1e-9)
    low, high = np.percentile(ratios, (2.5, 97.5))
    return float(low), float(high)


def fitted(tries: Sequence[Tried]) -> Weights | None:
    """The weights of the regression where a similar line says the same (lsp_server/features/gate.py), from these
    proposals; None where too few have such a line.
    """
    told = [t for t in tries if t.outcome == "proposed" and t.witness is not None and t.witness.agrees]
    if len(told) < MIN_TOLD:
        return None
    rows_N4 = np.array(
        [
            [1.0, certainty(t.confidence, t.num_tokens) ** 0.5, t.witness.likeness, t.witness.agreeing]
            for t in told
            if t.witness is not None
        ]
    )
    right_N = np.array([t.is_right for t in told], np.float64)
    # Newton's method for the logistic loss; the ridge keeps the weights finite where few rows decide.
    ridge_4, weights_4 = np.array([0.0, RIDGE, RIDGE, RIDGE]), np.zeros(4)
    for _ in range(NUM_NEWTON_STEPS):
        p_N = 1 / (1 + np.exp(-rows_N4 @ weights_4))
        slope_4 = rows_N4.T @ (right_N - p_N) - ridge_4 * weights_4
        bend_44 = (rows_N4 * (p_N * (1 - p_N))[:, None]).T @ rows_N4 + np.diag(ridge_4 + 1e-6)
        weights_4 += np.linalg.solve(bend_44, slope_4)
    return Weights(*map(float, weights_4))


def calibrated(tries: Sequence[Tried], score: Score, aim: float) -> float | None:
    """The lowest score as threshold whose precision is at least `aim` times that of all; None if none reaches it."""
    proposed = sorted(((score(t), t.is_right) for t in tries if t.outcome == "proposed"), reverse=True)
    base = sum(is_right for _, is_right in proposed) / max(1, len(proposed))
    best, num_right = None, 0
    for index, (value, is_right) in enumerate(proposed):
        num_right += is_right
        is_last_of_equals = index + 1 == len(proposed) or proposed[index + 1][0] < value
        if is_last_of_equals and base and num_right / (index + 1) >= aim * base:
            best = value
    return best


def area(tries: Sequence[Tried], score: Score) -> float:
    """The chance that a right proposal scores above a wrong one (equal scores count half); 0.5 where one is missing."""
    proposed = [tried for tried in tries if tried.outcome == "proposed"]
    right = np.array([score(tried) for tried in proposed if tried.is_right])
    wrong = np.sort([score(tried) for tried in proposed if not tried.is_right])
    if not len(right) or not len(wrong):
        return 0.5
    below = np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")
    return float(below.mean() / 2 / len(wrong))


def characters_saved(keystrokes: Sequence[Tried], score: Score, threshold: float) -> float:
    """The share of the typed lines' characters that need not be typed by someone who accepts the first right text."""
    lines: dict[int, list[Tried]] = {}
    for tried in keystrokes:
        lines.setdefault(tried.line, []).append(tried)
    num_saved = num_all = 0
    for tries in lines.values():
        tries.sort(key=lambda tried: -tried.num_left)
        num_all += tries[0].num_left
        num_saved += next((t.num_left for t in tries if t.is_right and score(t) >= threshold), 0)
    return num_saved / max(1, num_all)


def places_of(documents: Sequence[tuple[str, str]], num: int) -> Iterator[tuple[str, str, int, "Place"]]:
    """(group, kind, line, place), at most `num` places of each kind and a third as many typed lines."""
    from model.evaluation.heldout_places import line_places

    line = 0
    for place in line_places(documents, kind="rest", num=num, seed=SEED):
        yield PLACES, "rest", (line := line + 1), place
    for place in line_places(documents, kind="whole", num=num, seed=SEED):
        yield PLACES, "new", (line := line + 1), typed_up_to(place, _indent(place.gold))
    for place in line_places(documents, kind="whole", num=max(1, num // PLACES_PER_TYPED_LINE), seed=TYPED_SEED):
        line += 1
        for column in range(_indent(place.gold), len(place.gold.rstrip())):
            yield KEYSTROKES, "typed", line, typed_up_to(place, column)


def typed_up_to(place: "Place", column: int) -> "Place":
    """The place with so many characters of the missing text typed."""
    typed, gold = place.gold[:column], place.gold[column:]
    return msgspec.structs.replace(place, before=place.before + typed, gold=gold)


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def main() -> None:
    parser = line_arguments("gate", __doc__ or "")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="the figures of every proposal, written or read")
    parser.set_defaults(limit=600)
    args = parser.parse_args()
    if args.keep is not None and args.keep.exists():
        tries = [msgspec.json.decode(line, type=Tried) for line in args.keep.read_bytes().splitlines()]
    elif args.shards is None:
        raise EvalError("this needs projects that were never trained on: name their shards with --shards DIR")
    else:
        checkpoint = load_model(args)  # before anything imports torch
        from benchmarks.gate_tries import tries_of

        tries = tries_of(checkpoint, args)
        if args.keep is not None:
            args.keep.write_bytes(b"".join(msgspec.json.encode(tried) + b"\n" for tried in tries))
    print_header("gate")
    print(json.dumps(rounded(report(tries))))


def report(tries: Sequence[Tried]) -> dict:
    """Prints the tables; gives what stands in them."""
    result: dict = {"default": Settings().confidence, "aim": AIM}
    for group in (PLACES, KEYSTROKES):
        halves = [[t for t in tries if t.group == group and t.is_test == is_test] for is_test in (False, True)]
        if not all(halves):
            raise EvalError("these shards do not hold both the projects to calibrate on and others to test on")
        result[group] = _report_group(group, *halves)
    told = fitted(tries)
    if told is not None:
        print("where a similar line says the same, fitted on all: " + _words(told))
        print(f"{'':24}shipped (lsp_server/features/gate.py): " + _words(AGREEMENT))
        result["agreement"] = msgspec.to_builtins(told)
    return result


def _words(weights: Weights) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in msgspec.to_builtins(weights).items())


def _report_group(group: str, calibration: list[Tried], test: list[Tried]) -> dict:
    shipped, *_ = scores = gates().values()
    result: dict = {"num_calibration": len(calibration), "num_test": len(test)}
    everything = shown_at(test, shipped, 0.0)
    result |= {"proposed": everything.shown, "precision_of_all": everything.precision}
    for kind in sorted({tried.kind for tried in test}):
        part = shown_at([tried for tried in test if tried.kind == kind], shipped, 0.0)
        result[f"precision_of_{kind}"] = part.precision
        print(f"{group}, {kind}: {part.shown:.0%} proposed, {part.precision:.1%} of that right")
    print(f"{'gate':22}{'area':>8}{'threshold':>11}{'shown':>8}{'precision':>11}{'times all':>11}")
    for name, score in zip(gates(), scores, strict=True):
        threshold = calibrated(calibration, score, AIM)
        figures = f"{area(test, score):8.3f}"
        result[f"area of {name}"] = area(test, score)
        if threshold is not None:
            at = shown_at(test, score, threshold)
            figures += f"{threshold:11.3f}{at.shown:8.0%}{at.precision:11.1%}{at.ratio:11.2f}"
            result[f"calibrated {name}"] = msgspec.to_builtins(at)
        print(f"{name:22}{figures}")
    columns = f"{'shown':>8}{'precision':>11}{'times all':>11}{'right kept':>12}{'wrong hidden':>14}"
    print(f"{'shipped gate, from':22}{columns}" + (f"{'saved':>8}" if group == KEYSTROKES else ""))
    result["curve"] = []
    for threshold in THRESHOLDS:
        at = shown_at(test, shipped, threshold)
        saved = characters_saved(test, shipped, threshold) if group == KEYSTROKES else None
        _print_row(f"{threshold:.2f}", at, saved)
        result["curve"].append(msgspec.to_builtins(at) | ({} if saved is None else {"saved": saved}))
    mean = gates()["mean of the tokens"]
    for name, score, threshold in (("default", shipped, Settings().confidence), ("mean 0.4", mean, MEAN_UNTIL_NOW)):
        at, interval = shown_at(test, score, threshold), ratio_interval(test, score, threshold)
        saved = characters_saved(test, score, threshold) if group == KEYSTROKES else None
        _print_row(f"{name}", at, saved)
        print(f"{'':22}times all: {interval[0]:.2f} to {interval[1]:.2f}")
        result[name] = msgspec.to_builtins(at) | {"ratio_low": interval[0], "ratio_high": interval[1], "saved": saved}
    print()
    return result


def _print_row(name: str, at: Shown, saved: float | None) -> None:
    figures = f"{at.shown:8.0%}{at.precision:11.1%}{at.ratio:11.2f}{at.kept:12.0%}{at.hidden:14.0%}"
    print(f"{name:22}{figures}" + ("" if saved is None else f"{saved:8.1%}"))


if __name__ == "__main__":
    sys.exit(run(main))
