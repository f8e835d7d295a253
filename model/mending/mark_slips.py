"""One bracket, colon, quote or keyword of a text lost, or written twice: what a hand gets wrong that a parser notices.

A place is any such token of Python code: of a string its quotes, nothing of its inside; of three quotes one. Source:
this project's own list, the lexical scanner of model/syntax. Left out: whether the text still parses.
"""

import re
from collections.abc import Iterator
from keyword import iskeyword

from model.syntax.scan import tokens
from model.syntax.trees import grammar
from model.training.syntax_slips import Slip

HOW = ("deleted", "doubled")
WHAT = ("bracket", "colon", "quote", "keyword")
KINDS = tuple(f"{how} {what}" for how in HOW for what in WHAT)
_QUOTES = re.compile(r"""[a-zA-Z]*('''|\"""|'|")""")


def mark_slips(text: str) -> list[Slip]:
    """Both slips at every place, in the order of the text."""
    return [slip for what, start, mark in _marks(text) for slip in _slips(text, what, start, mark)]


def _slips(text: str, what: str, start: int, mark: str) -> Iterator[Slip]:
    end = start + len(mark)
    lost = end + (what == "keyword" and text[end : end + 1] == " ")
    yield Slip(f"deleted {what}", start, lost, "")
    yield Slip(f"doubled {what}", start, start, f"{mark} " if what == "keyword" else mark)


def _marks(text: str) -> Iterator[tuple[str, int, str]]:
    """(what, where, the characters)."""
    kinds = grammar("python")
    assert kinds is not None
    for token in tokens(text, kinds):
        if token.kind in ("open", "close"):
            yield "bracket", token.start, token.text
        elif token.kind == "string":
            quotes = _QUOTES.match(token.text)
            assert quotes is not None
            yield "quote", token.start + quotes.start(1), quotes[1][0]
            yield "quote", token.end - 1, quotes[1][0]
        elif token.text == ":":
            yield "colon", token.start, ":"
        elif iskeyword(token.text):
            yield "keyword", token.start, token.text
