"""Line ends between a text and the network, which has only ever read "\\n": taken out before, put back after.

Left out: lone carriage returns, which end no row here (model/lines.py).
"""

import re
from bisect import bisect_left


class LineEnds:
    """`text` is the one with "\\n"; offsets into it and texts for it go back as those of the one that came."""

    def __init__(self, original: str) -> None:
        # The k-th "\r\n" stands k characters earlier once those before it have lost their "\r".
        self._shortened = [match.start() - k for k, match in enumerate(re.finditer("\r\n", original))]
        self.text = original.replace("\r\n", "\n") if self._shortened else original
        self._writes_crlf = 2 * len(self._shortened) > self.text.count("\n")

    def offset(self, offset: int) -> int:
        """Where a place of `text` is in the original; a place before a line end is before all of it."""
        return offset + bisect_left(self._shortened, offset)

    def written(self, text: str) -> str:
        """A piece for `text` with the line ends that most lines of the original have."""
        return text.replace("\n", "\r\n") if self._writes_crlf else text
