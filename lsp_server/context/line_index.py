"""The lines of other texts, sorted: those that begin as a line does are found without reading all of them.

Gathering (gather.py) has these texts in its hands in every pause, in a thread; a keystroke looks at a few lines only.
Source: this project's own design. Left out: which texts (texts.py), and what such a line is good for
(features/similar_line.py).
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

MAX_LINE_CHARS = 200
MAX_ALIKE = 500
"""More lines than that begin with what says nothing."""
_LAST = "\U0010ffff"

Lines = tuple[str, ...]


class LineIndex:
    """Lines without indentation, in order; short ones only. Immutable: made in one thread, read in another."""

    def __init__(self, texts: Iterable[Lines]) -> None:
        found = [
            (text, number, row, lines)
            for number, lines in enumerate(texts)
            for row, line in enumerate(lines)
            if 0 < len(text := line.strip()) <= MAX_LINE_CHARS
        ]
        found.sort(key=lambda one: one[:3])
        self._texts = [text for text, *_ in found]
        self._places = [(lines, row) for *_, row, lines in found]

    def __len__(self) -> int:
        return len(self._texts)

    def beginning_with(self, begun: str) -> Iterator[tuple[Lines, int]]:
        """(lines of the text, row) of every line that begins so; none where there are too many."""
        return self._between(begun, begun + _LAST)

    def equal_to(self, line: str) -> Iterator[tuple[Lines, int]]:
        """(lines of the text, row) of every line that says just this; none where there are too many."""
        return self._between(line, line + "\0")

    def _between(self, first: str, last: str) -> Iterator[tuple[Lines, int]]:
        start, end = bisect_left(self._texts, first), bisect_left(self._texts, last)
        return iter(self._places[start:end] if end - start <= MAX_ALIKE else ())
