"""What the later training stages bring: passes at equal score, before and after, on long canvases and on lines.

BLOCK: stretches of held-out documents of 32 to 128 tokens (model/evaluation/block_set.json), length given, edit
similarity as the score. Two baselines of the weights before: one token a forward ("slow"), and the fastest threshold at
equal score. "Equal score": the lower end of the paired 95 % interval against slow is above -1 point; where no way
reaches that, the one that comes closest is taken and the JSON says so (`equal`). What comes after is the fastest of all
thresholds and of `speculate` (the clean stream's text, guessed ahead); `forwards_after_blocks` is that of thresholds
alone. LINE: begun lines of the same documents, free length, written the way that BLOCK chose. `--after` is the
checkpoint of the last stage; without it the weights before are compared with themselves. Left out: time (twin.py).
`python -m benchmarks.stages --shards DIR [--before DIR] [--after DIR]` prints a table, then one line of JSON.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.header import print_header
from benchmarks.options import line_arguments, rounded, run
from model.evaluation.options import load_model, watched

if TYPE_CHECKING:
    from model.checkpoints.load import Checkpoint
    from model.evaluation.decode import Place

TAUS = (0.2, 0.3, 0.5, 0.7, 0.9)
ONE_BY_ONE = 2.0
MARGIN = 0.01
NUM_LINES = 200
SEED = 11


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """BLOCK written in one way: scores place by place, mean passes, tokens over passes. tau_mask None = speculate."""

    tau_mask: float | None
    similarity: list[float]
    forwards: float
    tokens_per_forward: float
    parses: float

    @property
    def score(self) -> float:
        return statistics.fmean(self.similarity)

    @property
    def way(self) -> str:
        return "speculate" if self.tau_mask is None else f"tau {self.tau_mask:g}"


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A way of writing against slow decoding: mean difference of the score, and its 95 % interval."""

    written: Written
    difference: tuple[float, float, float]

    @property
    def is_equal(self) -> bool:
        return self.difference[1] > -MARGIN


def main() -> None:
    args = _arguments()
    before = load_model(argparse.Namespace(**{**vars(args), "model": args.before}))
    after = load_model(argparse.Namespace(**{**vars(args), "model": args.after})) if args.after else before
    places, lines = _places(args)
    print_header("stages")
    print(f"# {len(places)} places of 32 to 128 tokens, {len(lines)} lines")
    slow = write(before, places, ONE_BY_ONE)
    judged_before = [judge(write(before, places, tau), slow) for tau in (*TAUS, None)]
    judged_after = judged_before
    if after is not before:
        judged_after = [judge(write(after, places, tau), slow) for tau in (*TAUS, None)]
    best_before, best_blocks = chosen(_blocks(judged_before)), chosen(_blocks(judged_after))
    best_after = chosen(judged_after)
    _print_table(slow, judged_before, judged_after if after is not before else [])
    result = {
        "forwards_slow": slow.forwards,
        "forwards_best_threshold": best_before.written.forwards,
        "forwards_after": best_after.written.forwards,
        "forwards_after_blocks": best_blocks.written.forwards,
        "score_slow": slow.score,
        "score_best_threshold": best_before.written.score,
        "score_after": best_after.written.score,
        "score_after_blocks": best_blocks.written.score,
        "equal": [best_before.is_equal, best_after.is_equal, best_blocks.is_equal],
        "way": [best_before.written.way, best_after.written.way, best_blocks.written.way],
        "line_forwards_after": line_forwards(after, lines, best_after.written.tau_mask),
        "line_forwards_after_blocks": line_forwards(after, lines, best_blocks.written.tau_mask),
        "places": len(places),
    }
    print(json.dumps(rounded(result)))


def write(checkpoint: "Checkpoint", places: Sequence["Place"], tau: float | None) -> Written:
    """All places with one threshold, or speculated."""
    from model.evaluation.decode import Decoder
    from model.evaluation.metrics import edit_similarity
    from model.syntax.python import parses

    decoder = Decoder(checkpoint, tau_mask=tau)
    way = decoder.complete if tau is not None else decoder.complete_speculate
    rows = watched(places, "speculate" if tau is None else f"tau {tau:g}")
    answers = [way(place, stop="eom", length="oracle") for place in rows]
    pairs = list(zip(places, answers, strict=True))
    return Written(
        tau_mask=tau,
        similarity=[edit_similarity(answer.text, place.gold) for place, answer in pairs],
        forwards=statistics.fmean(answer.forwards for answer in answers),
        tokens_per_forward=sum(len(answer.ids) for answer in answers) / sum(answer.forwards for answer in answers),
        parses=statistics.fmean(parses(place.before + answer.text + place.after) for place, answer in pairs),
    )


def judge(written: Written, slow: Written) -> Judged:
    """A way against slow decoding, place by place."""
    from model.evaluation.metrics import paired_bootstrap

    return Judged(written=written, difference=paired_bootstrap(written.similarity, slow.similarity))


def chosen(judged: Sequence[Judged]) -> Judged:
    """The one with fewest passes at equal score; where there is none, the one that comes closest to it."""
    equal = [each for each in judged if each.is_equal]
    if equal:
        return min(equal, key=lambda each: each.written.forwards)
    return max(judged, key=lambda each: each.difference[1])


def line_forwards(checkpoint: "Checkpoint", lines: Sequence["Place"], tau: float | None) -> float:
    """Mean passes of a completed line."""
    from model.evaluation.decode import Decoder

    decoder = Decoder(checkpoint, tau_mask=tau)
    way = decoder.complete if tau is not None else decoder.complete_speculate
    return statistics.fmean(way(place, stop="line").forwards for place in lines)


def _blocks(judged: Sequence[Judged]) -> list[Judged]:
    return [each for each in judged if each.written.tau_mask is not None]


def _places(args: argparse.Namespace) -> tuple[list["Place"], list["Place"]]:
    from model.evaluation.block_set import LIST_FILE, find_places, read_list
    from model.evaluation.heldout_places import heldout_documents, line_places

    documents = list(heldout_documents(args.shards))
    blocks = find_places(read_list(LIST_FILE), documents, limit=args.limit).places
    return list(blocks), list(line_places(documents, kind="rest", num=NUM_LINES, seed=SEED))


def _print_table(slow: Written, before: Sequence[Judged], after: Sequence[Judged]) -> None:
    print(f"{'':26}{'similar':>9}{'parses':>8}{'forwards':>10}{'tokens a forward':>18}  similarity against slow (95 %)")
    print(f"{'slow, one token a forward':26}{_figures(slow)}")
    for name, ways in (("before", before), ("after", after)):
        for way in ways:
            mean, low, high = way.difference
            equal = "equal" if way.is_equal else ""
            label = f"{name}, {way.written.way}"
            print(f"{label:26}{_figures(way.written)}  {mean:+.3f} ({low:+.3f} to {high:+.3f}) {equal}")


def _figures(way: Written) -> str:
    return f"{way.score:9.3f}{way.parses:8.1%}{way.forwards:10.1f}{way.tokens_per_forward:18.2f}"


def _arguments() -> argparse.Namespace:
    parser = line_arguments("stages", __doc__ or "")
    parser.add_argument("--before", type=Path, metavar="DIR", help="weights of the edit stage (default: embedded)")
    parser.add_argument("--after", type=Path, metavar="DIR", help="weights of the last stage")
    args = parser.parse_args()
    if args.shards is None:
        parser.error("--shards is needed: the places are in held-out documents")
    return args


if __name__ == "__main__":
    sys.exit(run(main))
