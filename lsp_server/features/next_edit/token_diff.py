"""Which tokens a change replaced: the smallest script that makes one text of another, token by token.

Words, numbers and single marks are tokens; white space is none, so re-indenting changes nothing. Source: difflib's
matching blocks over what is left between the equal ends. Left out: strings and comments as units (who uses the script
asks the syntax tree what stands there).
"""

import re
from typing import NamedTuple

from model.syntax.incremental import num_equal_at_end, num_equal_at_start

# difflib takes the square of it where everything differs.
MAX_TOKENS = 400

_TOKEN = re.compile(r"[^\W\d]\w*|\d[\w.]*|[^\w\s]")
_WORD = re.compile(r"[^\W\d]\w*")


class Token(NamedTuple):
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def is_word(self) -> bool:
        return _WORD.fullmatch(self.text) is not None


class Hunk(NamedTuple):
    """Old tokens `old_start` to `old_end` became new tokens `new_start` to `new_end`."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


class Script(NamedTuple):
    """How the tokens `old` became `new`."""

    old: list[Token]
    new: list[Token]
    hunks: list[Hunk]


def tokens(text: str) -> list[Token]:
    """The tokens of `text` with their offsets."""
    return [Token(match[0], match.start()) for match in _TOKEN.finditer(text)]


def script(old: str, new: str) -> Script | None:
    """The change from `old` to `new`; None where too much of it differs to be one thought."""
    import difflib  # nobody who types for the first time waits for it

    old_tokens, new_tokens = tokens(old), tokens(new)
    old_texts, new_texts = [token.text for token in old_tokens], [token.text for token in new_tokens]
    start = num_equal_at_start(old_texts, new_texts)
    num_after = num_equal_at_end(old_texts[start:], new_texts[start:])
    old_middle, new_middle = (
        old_texts[start : len(old_texts) - num_after],
        new_texts[start : len(new_texts) - num_after],
    )
    if len(old_middle) > MAX_TOKENS or len(new_middle) > MAX_TOKENS:
        return None
    matcher = difflib.SequenceMatcher(None, old_middle, new_middle, autojunk=False)
    hunks = [
        Hunk(start + old_start, start + old_end, start + new_start, start + new_end)
        for kind, old_start, old_end, new_start, new_end in matcher.get_opcodes()
        if kind != "equal"
    ]
    return Script(old_tokens, new_tokens, hunks)
