"""The lines of other texts, sorted: those that begin as a line does are found without reading all of them.

Gathering (gather.py) has these texts in its hands in every pause, in a thread; a keystroke looks at a few lines only.
Each text is sorted for itself, once: a single long sort would hold up the loop's thread. Source: this project's own
design. Left out: which texts (texts.py), and what such a line is good for (features/similar_line.py).
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

import msgspec

MAX_LINE_CHARS = 200
MAX_ALIKE = 500
"""More lines than that begin with what says nothing."""
_LAST = "\U0010ffff"

Lines = tuple[str, ...]


class _Sorted(msgspec.Struct, frozen=True):
    """The lines of one text without indentation, in order, and the row of each; short ones only."""

    lines: Lines
    texts: list[str]
    rows: list[int]


class LineIndex:
    """Immutable: made in one thread, read in another."""

    def __init__(self, texts: Iterable[Lines], before: "LineIndex | None" = None) -> None:
        """before: an earlier index, whose work on the same texts is taken over."""
        known = {} if before is None else {id(part.lines): part for part in before._parts}
        self._parts = [known.get(id(lines)) or _sorted(lines) for lines in texts]

    def __len__(self) -> int:
        return sum(len(part.rows) for part in self._parts)

    def beginning_with(self, begun: str) -> Iterator[tuple[Lines, int]]:
        """(lines of the text, row) of every line that begins so; none where there are too many."""
        return self._between(begun, begun + _LAST)

    def equal_to(self, line: str) -> Iterator[tuple[Lines, int]]:
        """(lines of the text, row) of every line that says just this; none where there are too many."""
        return self._between(line, line + "\0")

    def _between(self, first: str, last: str) -> Iterator[tuple[Lines, int]]:
        found = [(part, bisect_left(part.texts, first), bisect_left(part.texts, last)) for part in self._parts]
        if sum(end - start for _, start, end in found) > MAX_ALIKE:
            return
        for part, start, end in found:
            for row in part.rows[start:end]:
                yield part.lines, row


def _sorted(lines: Lines) -> _Sorted:
    found = [(text, row) for row, line in enumerate(lines) if 0 < len(text := line.strip()) <= MAX_LINE_CHARS]
    found.sort()
    return _Sorted(lines, [text for text, _ in found], [row for _, row in found])
