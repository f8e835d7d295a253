"""`seedling eval heldout`: text of projects that were never trained on: bits per byte, and missing lines.

Two kinds of places (heldout_places.py): a whole line, and the rest of a begun one. Each is written by block decoding
with free length, by block decoding with the true length given, and by the clean stream one token at a time; the
comparison of the first and the last is paired, place by place, with a bootstrap interval. The gate's table says which
answers would be shown at which confidence, and how many of those are right. Floors: gzip; an empty answer; a copy of
the line above. Source: this project's own protocol. Left out: longer stretches (block.py).
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from model.evaluation.options import EvalError, add_common, load_model, report, watched

if TYPE_CHECKING:
    from model.evaluation.bits import Bits
    from model.evaluation.decode import Answer, Decoder, Place

SEED = 0
NUM_PLACES = 400
MAX_BITS_TOKENS = 60_000
NUM_DRAWS = 2
KINDS = ("whole", "rest")
GOAL = 0.9
"""The share of the clean stream's score that block decoding is to reach."""


class Tries(msgspec.Struct, frozen=True):
    """Scores of one way of writing, one entry a place."""

    exact: list[float]
    similarity: list[float]
    answers: list["Answer"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common(parser, what_data=None)
    parser.add_argument("--shards", type=Path, required=True, help="folder of `seedling corpus build`")


def run(args: argparse.Namespace) -> int:
    """Prints the scores; 0 = done. Raises EvalError."""
    checkpoint = load_model(args)
    from model.evaluation.bits import measure, sample_documents
    from model.evaluation.decode import Decoder
    from model.evaluation.heldout_places import heldout_documents, line_places

    documents = list(heldout_documents(args.shards))
    chosen = sample_documents(documents, checkpoint.tokenizer, max_tokens=MAX_BITS_TOKENS, num=args.limit, seed=SEED)
    by_kind = {kind: line_places(documents, kind=kind, num=args.limit or NUM_PLACES, seed=SEED) for kind in KINDS}
    if not chosen or not all(by_kind.values()):
        raise EvalError(f"the held-out text of {args.shards} has no line of code to test on")
    bits = measure(checkpoint, chosen, num_draws=NUM_DRAWS, seed=SEED)
    decoder = Decoder(checkpoint)
    scores = {kind: score_places(decoder, places, kind) for kind, places in by_kind.items()}
    result = {"model": checkpoint.preset.name, **msgspec.to_builtins(bits), "floor": "gzip -9", **scores}
    return report(_table(bits, scores), result, args)


def score_places(decoder: "Decoder", places: Sequence["Place"], kind: str) -> dict:
    """Every way of writing at the same places, compared. Shares 0..1; forwards are means over places."""
    from model.evaluation.metrics import SIMILARITY, gate

    block: list[Answer] = []
    oracle: list[Answer] = []
    clean: list[Answer] = []
    for place in watched(places, f"{kind} lines"):
        block.append(decoder.complete(place, stop="line"))
        oracle.append(decoder.complete(place, stop="line", length="oracle"))
        clean.append(decoder.complete_clean(place, stop="line"))
    by_block, by_clean = tries(places, block), tries(places, clean)
    right = [exact == 1 for exact in by_block.exact]
    above = [line_above(place) for place in places]
    return {
        "num": len(places),
        "similarity_measure": SIMILARITY,
        "block": summary(by_block, length="free"),
        "clean": summary(by_clean, length="free"),
        "oracle": summary(tries(places, oracle), length="oracle"),
        **{f"exact_{key}": value for key, value in compare(by_block.exact, by_clean.exact).items()},
        **{f"similarity_{key}": value for key, value in compare(by_block.similarity, by_clean.similarity).items()},
        "floor": {"empty": floor(places, [""] * len(places)), "line_above": floor(places, above)},
        "gate": msgspec.to_builtins(gate([(a.confidence, ok) for a, ok in zip(block, right, strict=True)])),
    }


def tries(places: Sequence["Place"], answers: Sequence["Answer"]) -> Tries:
    """First lines against the true ones, white space around both left out."""
    scores = [line_scores(place, answer.text) for place, answer in zip(places, answers, strict=True)]
    return Tries([exact for exact, _ in scores], [similarity for _, similarity in scores], list(answers))


def line_scores(place: "Place", text: str) -> tuple[float, float]:
    """(exact 0 or 1, edit similarity 0..1) of an answer's first line."""
    from model.evaluation.metrics import edit_similarity, first_line, line_exact

    return float(line_exact(text, place.gold)), edit_similarity(first_line(text), place.gold.strip())


def summary(scored: Tries, *, length: str) -> dict:
    """Mean scores, and the costs as in infill_scores.py."""
    from model.evaluation.infill_scores import costs_of

    num = len(scored.answers)
    return {
        "length": length,
        "exact_match": sum(scored.exact) / num,
        "edit_similarity": sum(scored.similarity) / num,
        **costs_of(scored.answers),
    }


def compare(block: Sequence[float], clean: Sequence[float]) -> dict:
    """Ratio and difference of the means with 95 % intervals, and the chance-proof form of "at least 0.9 times".

    `margin` = mean of block - 0.9 * clean: the goal is met where it is not negative, and met beyond the chance of this
    draw of places where `margin_low` is not. Ratio and interval are None where the clean stream scores 0.
    """
    from model.evaluation.metrics import paired_bootstrap

    difference, low, high = paired_bootstrap(block, clean)
    margin, margin_low, _ = paired_bootstrap(block, [GOAL * score for score in clean])
    ratio, ratio_low, ratio_high = ratio_interval(block, clean)
    return {
        "ratio": ratio,
        "ratio_low": ratio_low,
        "ratio_high": ratio_high,
        "difference": difference,
        "difference_low": low,
        "difference_high": high,
        "margin": margin,
        "margin_low": margin_low,
    }


def ratio_interval(
    a: Sequence[float], b: Sequence[float], *, num_samples: int = 2000, seed: int = 0
) -> tuple[float | None, float | None, float | None]:
    """mean(a) / mean(b) of the same rows and the ends of its 95 % percentile bootstrap interval, resampling rows.

    All None where mean(b) is 0. Resamples with mean(b) = 0 count as an infinite ratio; an end there is None.
    """
    import numpy as np

    scores_2N = np.array([a, b], np.float64)
    if not scores_2N[1].any():
        return None, None, None
    num = scores_2N.shape[1]
    picks_SN = np.random.default_rng(seed).integers(num, size=(num_samples, num))
    sums_2S = scores_2N[:, picks_SN].sum(-1)
    ratios = np.divide(sums_2S[0], sums_2S[1], out=np.full(num_samples, np.inf), where=sums_2S[1] > 0)
    low, high = np.percentile(ratios, (2.5, 97.5), method="nearest")
    ratio = float(scores_2N[0].mean() / scores_2N[1].mean())
    return ratio, _finite(low), _finite(high)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def line_above(place: "Place") -> str:
    """What a copy of the last line above with something on it would give, from the cursor's column on."""
    lines = place.before.split("\n")
    column = len(lines[-1])
    return next((line for line in reversed(lines[:-1]) if line.strip()), "")[column:]


def floor(places: Sequence["Place"], texts: Sequence[str]) -> dict:
    scores = [line_scores(place, text) for place, text in zip(places, texts, strict=True)]
    return {
        "exact_match": sum(exact for exact, _ in scores) / len(places),
        "edit_similarity": sum(similarity for _, similarity in scores) / len(places),
    }


def _table(bits: "Bits", scores: dict[str, dict]) -> list[tuple[str, str]]:
    rows = [
        ("text", f"{bits.num_documents} documents, {bits.num_tokens:,} tokens, {bits.num_bytes:,} bytes"),
        (
            "bits per byte",
            f"{bits.twin_bits_per_byte:.3f} clean stream (floor, gzip -9: {bits.floor_bits_per_byte:.3f})",
        ),
        (
            "",
            f"at most {bits.diffusion_bits_per_byte:.3f} ± {bits.diffusion_error:.3f} blocks of {bits.block}, "
            f"{bits.num_draws} draws each",
        ),
    ]
    for kind, score in scores.items():
        rows += _kind_rows(kind, score)
    return rows


def _kind_rows(kind: str, score: dict) -> list[tuple[str, str]]:
    from model.evaluation.metrics import Gate, gate_text

    names = {"block": "blocks, free length", "oracle": "blocks, oracle length", "clean": "clean stream, free"}
    rows = [(f"{kind} lines", f"{score['num']} places")]
    for key, name in names.items():
        rows.append(
            (
                f"  {name}",
                f"{_scores(score[key])}, {score[key]['forwards']:.1f} forwards, "
                f"{score[key]['tpf']:.2f} tokens a forward, {score[key]['empty']:.1%} empty",
            )
        )
    rows += [
        ("  floor, empty", _scores(score["floor"]["empty"])),
        ("  floor, line above", _scores(score["floor"]["line_above"])),
    ]
    for what in ("exact", "similarity"):
        ratio, low, high = (_number(score[f"{what}_{key}"]) for key in ("ratio", "ratio_low", "ratio_high"))
        rows.append(
            (
                f"  blocks / clean, {what}",
                f"{ratio} ({low} to {high}), difference {score[f'{what}_difference']:+.3f} "
                f"({score[f'{what}_difference_low']:+.3f} to {score[f'{what}_difference_high']:+.3f})",
            )
        )
    rows.append(("  gate", gate_text([Gate(**row) for row in score["gate"]])))
    return rows


def _scores(scores: dict) -> str:
    return f"{scores['exact_match']:6.1%} exact, similarity {scores['edit_similarity']:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
