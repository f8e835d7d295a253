"""Texts to ids with a memory of their lines, so that a keystroke costs the line that it changed.

Our own tokenizers never merge across a newline: there a text's ids are its lines' ids. Other tokenizers have tokens
like "):\n" and "\n\n", and how they cut a line's indentation hangs on the line above. For them a text falls apart only
between a visible character with its newline and a line that begins at the margin: no token of the vocabulary holds a
newline and what is visible behind it (looked up here; where one does, nothing is cut), and the patterns that such
tokenizers cut words with (GPT-2's, cl100k's, Qwen's, Llama's) see nothing across that place.
Left out: which text goes into a prompt (trimming.py, prompting.py).
"""

import re
from typing import Protocol

from model.lines import lines_of

MAX_CACHED_LINES = 20_000
MAX_CACHED_CHARS = 4_000_000

_JOINED = re.compile(rb"\n.", re.DOTALL)
_JOINED_WITH_TEXT = re.compile(rb"\n\s*\S")
_MARGIN = re.compile(r"(?<=\S\n)(?=\S)")


class Tokenizes(Protocol):
    """A tokenizer, of ours or of foreign weights."""

    @property
    def token_bytes(self) -> tuple[bytes, ...]: ...

    def encode(self, text: str) -> list[int]: ...


class LineEncoder:
    """`tokenizer.encode`, exactly, with a memory of pieces that are encoded alone."""

    def __init__(self, tokenizer: Tokenizes) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}
        self._num_chars = 0
        with_newline = [token for token in tokenizer.token_bytes if b"\n" in token]
        self._by_lines = not any(map(_JOINED.search, with_newline))
        self._by_margins = not any(map(_JOINED_WITH_TEXT.search, with_newline))

    def __call__(self, text: str) -> list[int]:
        return [i for piece in self._pieces(text) for i in self.line(piece)]

    def line(self, line: str) -> list[int]:
        """Ids of one line with its newline, alone: of foreign tokenizers how many these are is near the truth, which
        they are hangs on its neighbours. The list is shared: do not change it.
        """
        ids = self._known.get(line)
        if ids is None:
            if len(self._known) >= MAX_CACHED_LINES or self._num_chars + len(line) > MAX_CACHED_CHARS:
                self._known.clear()
                self._num_chars = 0
            self._num_chars += len(line)
            ids = self._known[line] = self._tokenizer.encode(line)
        return ids

    def _pieces(self, text: str) -> list[str]:
        if self._by_lines:
            return lines_of(text)
        return _MARGIN.split(text) if self._by_margins and text else [text]
