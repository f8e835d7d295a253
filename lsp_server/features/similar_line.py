"""A line that begins as the cursor's line does: a guess for its rest, which the engine checks in one pass.

Code repeats itself, and the prompt's window holds a few dozen lines of it; looking through the document, and through
the lines of the files that were gathered in the last pause, costs next to nothing. Where such a line exists its rest is
the true one nearly every second time (docs/log.md), far more often than what a small model writes, so the engine keeps
of it what the model does not rule out (`doubt` of its preset), and the gate asks how much alike the places are
(gate.py). Source: this project's own design; drafts from retrieved text after "Inference with Reference" (Yang et al.,
arXiv 2304.04487). Left out: checking it (the engine), which files (context/texts.py).
"""

import re
from collections.abc import Iterator

import msgspec

from lsp_server.context.line_index import LineIndex, Lines
from lsp_server.snapshot import Snapshot

MIN_BEGUN_CHARS = 4
LIKELY = 0.3
MAX_LINE_CHARS = 200
MAX_LINES = 20_000
MAX_COMPARED = 100
NUM_LINES_ABOVE = 3
MAX_ROWS_ABOVE = 12
ELSEWHERE = MAX_LINES
"""Lines from here to a line of another file: any line of the document is nearer."""

_WORD = re.compile(r"\w+|[^\w\s]")


class Similar(msgspec.Struct, frozen=True):
    """`rest`: what such a line goes on with, and a newline. likeness: of the lines above the two, 0 to 1; agreeing:
    the share of all lines that begin so which go on like this.
    """

    rest: str
    likeness: float
    agreeing: float

    @property
    def is_likely(self) -> bool:
        """Whether it is worth a guess: the engine keeps a guess unless the model rules it out, so it should be right
        more often than what the model writes by itself. Below, 1 of 55 was, and 2 of the model's own (docs/log.md).
        """
        return self.agreeing + self.likeness / 2 >= LIKELY


class _Found(msgspec.Struct, frozen=True):
    """A line that begins so: row `row` of `lines`."""

    lines: Lines
    row: int
    distance: int

    def rest(self, begun: str) -> str:
        return self.lines[self.row].strip()[len(begun) :]


def similar_line(snapshot: Snapshot, others: LineIndex | None = None) -> Similar | None:
    """The line of the document, or of the other texts, that begins like the cursor's; None where there is none.

    Of several the one below the line that is most like the one above the cursor, then the nearest. Where too little is
    begun, only lines below an equal line count.
    """
    begun = snapshot.line_before.lstrip()
    if snapshot.line_after.strip() or len(begun) > MAX_LINE_CHARS:
        return None
    lines, row = snapshot.document.lines, snapshot.cursor.line
    above = next(_lines_above(lines, row), "")
    if len(begun) >= MIN_BEGUN_CHARS:
        own = _rows_with(lines, begun, row)
        foreign = others.beginning_with(begun) if others is not None else iter(())
    elif len(above) >= MIN_BEGUN_CHARS:
        own = _rows_below(lines, above, row)
        foreign = _below(others.equal_to(above)) if others is not None else iter(())
    else:
        return None
    found = [_Found(lines, index, abs(index - row)) for index in own if _goes_on(lines[index], begun)]
    found += [_Found(there, index, ELSEWHERE) for there, index in foreign if _goes_on(there[index], begun)]
    if not found:
        return None
    found.sort(key=lambda one: one.distance)
    del found[MAX_COMPARED:]
    words = _words(above)
    # Of equals `max` takes the first.
    best = max(found, key=lambda one: _likeness(words, _words(next(_lines_above(one.lines, one.row), ""))))
    rest = best.rest(begun)
    return Similar(
        rest + "\n",
        likeness=_likeness(_words_above(lines, row), _words_above(best.lines, best.row)),
        agreeing=sum(one.rest(begun) == rest for one in found) / len(found),
    )


def _goes_on(line: str, begun: str) -> bool:
    line = line.strip()
    return len(line) <= MAX_LINE_CHARS and line.startswith(begun) and bool(line[len(begun) :].strip())


def _rows_with(lines: Lines, text: str, row: int) -> Iterator[int]:
    """The rows around `row`, but not this one, that hold `text`."""
    first = max(0, row - MAX_LINES // 2)
    for index in range(first, min(len(lines), first + MAX_LINES)):
        if text in lines[index] and index != row:
            yield index


def _rows_below(lines: Lines, text: str, row: int) -> Iterator[int]:
    """The first rows that are not blank below those that hold nothing but `text`."""
    for found in _rows_with(lines, text, row):
        if lines[found].strip() == text:
            below = _row_below(lines, found)
            # What stands below the cursor stands below the line above it too, and is no guess.
            if below is not None and not found < row <= below:
                yield below


def _below(places: Iterator[tuple[Lines, int]]) -> Iterator[tuple[Lines, int]]:
    for lines, row in places:
        below = _row_below(lines, row)
        if below is not None:
            yield lines, below


def _row_below(lines: Lines, row: int) -> int | None:
    """The next row that is not blank."""
    return next((index for index in range(row + 1, len(lines)) if lines[index].strip()), None)


def _lines_above(lines: Lines, row: int) -> Iterator[str]:
    """The lines above that are not blank, the nearest first, without indentation."""
    return (line for index in range(row - 1, -1, -1) if (line := lines[index].strip()))


def _words_above(lines: Lines, row: int) -> frozenset[str]:
    """The words of the few lines above."""
    first = max(0, row - MAX_ROWS_ABOVE)
    near = [line for index in range(row - 1, first - 1, -1) if (line := lines[index].strip())]
    return frozenset().union(*map(_words, near[:NUM_LINES_ABOVE]))


def _words(line: str) -> frozenset[str]:
    return frozenset(_WORD.findall(line[:MAX_LINE_CHARS]))


def _likeness(words: frozenset[str], other: frozenset[str]) -> float:
    return len(words & other) / max(1, len(words | other))
