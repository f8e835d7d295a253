"""Which brackets and quotes of a text close something that was opened before it. No filter; suffix_overlap.py uses it.

Left out: a parser. The text is half a line of any language, and mostly not even that.
"""

import re
from typing import NamedTuple

CLOSERS = {")": "(", "]": "[", "}": "{"}
QUOTES = "\"'`"
MAX_WORD_CHARS = 40
_OPENERS = frozenset(CLOSERS.values())
# `don't` opens no string, `f'…'` and `rb'…'` do.
_WORD_THAT_TAKES_NO_QUOTE = re.compile(r"(?<!\w)(?![fFbBrRuU]{1,2}$)\w+$")


class Closer(NamedTuple):
    """in_string: a bracket inside a string, where it may close something (`f"{|}"`) or mean nothing at all."""

    at: int
    character: str
    in_string: bool


def foreign_closers(text: str, before: str) -> list[Closer]:
    """The closers of `text` whose openers are not in `text`; `before` tells whether it begins inside a string."""
    quote, opened_before = open_quote(before), True
    num_open = num_open_in_string = 0
    found: list[Closer] = []
    skip = False
    for index, character in enumerate(text):
        if skip:
            skip = False
        elif quote:
            skip = character == "\\"
            if character == quote:
                if opened_before:
                    found.append(Closer(index, character, False))
                quote, num_open_in_string = "", 0
            elif opened_before and character in _OPENERS:
                num_open_in_string += 1
            elif opened_before and character in CLOSERS:
                if not num_open_in_string:
                    found.append(Closer(index, character, True))
                num_open_in_string = max(0, num_open_in_string - 1)
        elif _opens_string(character, _word_before(text, index) if index else before):
            quote, opened_before = character, False
        elif character in _OPENERS:
            num_open += 1
        elif character in CLOSERS:
            if not num_open:
                found.append(Closer(index, character, False))
            num_open = max(0, num_open - 1)
    return found


def open_quote(line: str) -> str:
    """The quote of the string that `line` ends in, or an empty string."""
    quote, skip = "", False
    for index, character in enumerate(line):
        if skip:
            skip = False
        elif quote:
            skip = character == "\\"
            quote = "" if character == quote else quote
        elif _opens_string(character, _word_before(line, index)):
            quote = character
    return quote


def _opens_string(character: str, before: str) -> bool:
    if character == "'":
        return not _WORD_THAT_TAKES_NO_QUOTE.search(before[-MAX_WORD_CHARS:])
    return character in QUOTES


def _word_before(text: str, index: int) -> str:
    return text[max(0, index - MAX_WORD_CHARS) : index]
