"""Scores of answers: exact line, edit similarity, paired differences, and what a confidence gate would show.

Source: line match as in the SantaCoder-FIM harness; percentile bootstrap of Efron. Left out: running code (sandbox.py).
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from rapidfuzz import fuzz

SIMILARITY = "rapidfuzz fuzz.ratio / 100"
CONFIDENCES = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Gate(msgspec.Struct, frozen=True):
    """Answers whose confidence is at least `confidence`: their share of all, and the share of them that is right."""

    confidence: float
    shown: float
    right: float


def first_line(answer: str) -> str:
    """What the SantaCoder harness compares: the first line after one skipped newline, stripped."""
    return answer.removeprefix("\n").split("\n", 1)[0].strip()


def line_exact(answer: str, gold: str) -> bool:
    """Whether the first line of the answer (one leading newline skipped) is the gold line, blanks around it aside."""
    return first_line(answer) == gold.strip()


def edit_similarity(answer: str, gold: str) -> float:
    """0..1: normalized similarity without substitutions (Indel distance), `fuzz.ratio` of rapidfuzz over 100."""
    return fuzz.ratio(answer, gold) / 100


def paired_bootstrap(
    a: Sequence[float], b: Sequence[float], *, num_samples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """mean(a - b) over the same rows, and the ends of its 95 % percentile interval."""
    assert len(a) == len(b) > 0, "paired scores are of the same rows"
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    rng = np.random.default_rng(seed)
    num = len(differences)
    means = [differences[rng.integers(num, size=num)].mean() for _ in range(num_samples)]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(differences.mean()), float(low), float(high)


def gate(answers: Sequence[tuple[float, bool]]) -> list[Gate]:
    """For each of some confidences: which share of (confidence, right) would be shown, and how much of it is right."""
    rows = []
    for confidence in CONFIDENCES:
        shown = [right for c, right in answers if c >= confidence]
        rows.append(Gate(confidence, len(shown) / max(1, len(answers)), sum(shown) / max(1, len(shown))))
    return rows


def gate_text(rows: Sequence[Gate]) -> str:
    """The gate's table in one line, for a report."""
    return ", ".join(f">= {row.confidence:.1f}: {row.shown:.0%} shown, {row.right:.0%} right" for row in rows)
