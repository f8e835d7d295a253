"""Which names stand near a cursor, and which lines of another text speak of the same things.

Source: Copilot's windows of similar code (Jaccard over identifiers), with BM25's idea that rare names say more than
common ones. All windows of a text have about the same size, so the weights of the names that they share with the cursor
can be summed. Left out: meaning; this is a matter of names.
"""

import math
import re
from collections.abc import Iterable, Mapping

import msgspec

LINES_ABOVE = 24
LINES_BELOW = 8
FADE = 0.93
BELOW_WEIGHT = 0.4
LEAD_LINES = 2
TRAIL_LINES = 3
MAX_LINE_CHARS = 400
MAX_ANCHORS = 400

_NAME = re.compile(r"[^\W\d]\w{2,}")
_IMPORT = re.compile(r"\s*(?:from|import|use|package|#\s*include)\b")


def names_near(lines: tuple[str, ...], row: int) -> dict[str, float]:
    """The names around `row`, each with the weight of its nearest place: 1 on the row, less with each line."""
    weights: dict[str, float] = {}
    for distance in range(LINES_ABOVE + 1):
        if row - distance >= 0:
            _note(lines[row - distance], FADE**distance, weights)
    for distance, line in enumerate(lines[row + 1 : row + 1 + LINES_BELOW]):
        _note(line, BELOW_WEIGHT * FADE**distance, weights)
    return weights


def _note(line: str, weight: float, weights: dict[str, float]) -> None:
    for name in _NAME.findall(line[:MAX_LINE_CHARS]):
        if weight > weights.get(name, 0.0):
            weights[name] = weight


class Window(msgspec.Struct, frozen=True):
    """Rows `row` up to but excluding `end_row`; `score` between 0 and 1."""

    row: int
    end_row: int
    score: float


Hits = Mapping[int, frozenset[str]]


def hits_of(lines: Iterable[str], names: Mapping[str, float]) -> Hits:
    """Which of `names` stand in which rows. Rows too long for a person to have written have none, nor have imports:
    they hold many names and say nothing about them."""
    hits: dict[int, frozenset[str]] = {}
    for row, line in enumerate(lines):
        if len(line) > MAX_LINE_CHARS or _IMPORT.match(line):
            continue
        found = names.keys() & _NAME.findall(line)
        if found:
            hits[row] = frozenset(found)
    return hits


def rarity(all_hits: Iterable[Hits], names: Mapping[str, float], num_rows: int) -> dict[str, float]:
    """The weight of each name that stands anywhere: near the cursor and rare elsewhere is what counts."""
    counts: dict[str, int] = {}
    for hits in all_hits:
        for found in hits.values():
            for name in found:
                counts[name] = counts.get(name, 0) + 1
    return {name: names[name] * math.log(1 + num_rows / (1 + count)) for name, count in counts.items()}


def best_windows(
    lines: tuple[str, ...], hits: Hits, weights: Mapping[str, float], *, max_chars: int, num_windows: int
) -> list[Window]:
    """The windows of whole lines, at most `max_chars` each, with the highest scores; they do not overlap."""
    whole = sum(weights.values())
    if not whole:
        return []
    # Where names are rare enough to say something; of a long text the best rows.
    anchors = sorted(hits, key=lambda row: -sum(weights[name] for name in hits[row]))[:MAX_ANCHORS]
    windows = []
    for start in sorted({max(0, row - LEAD_LINES) for row in anchors}):
        row, end = window_at(lines, start, max_chars)
        last = max((inside for inside in range(row, end) if inside in hits), default=row)
        end = min(end, last + 1 + TRAIL_LINES)
        if end > row:
            shared = frozenset().union(*(hits.get(inside, frozenset()) for inside in range(row, end)))
            windows.append(Window(row, end, sum(weights[name] for name in shared) / whole))
    windows.sort(key=lambda window: (-window.score, window.row))
    chosen: list[Window] = []
    for window in windows:
        if len(chosen) == num_windows:
            break
        if window.score > 0 and all(window.end_row <= kept.row or kept.end_row <= window.row for kept in chosen):
            chosen.append(window)
    return chosen


def window_at(lines: tuple[str, ...], start: int, max_chars: int) -> tuple[int, int]:
    """The rows from `start` on that fit, without blank ones at either end; none where the first is too long."""
    while start < len(lines) and not lines[start].strip():
        start += 1
    end, num_chars = start, 0
    while end < len(lines) and num_chars + len(lines[end]) <= max_chars and len(lines[end]) <= MAX_LINE_CHARS:
        num_chars += len(lines[end])
        end += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    return start, end
