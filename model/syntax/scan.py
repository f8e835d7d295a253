"""A text as tokens without a parser: which brackets are really brackets, and not part of a string or a comment.

Source: the lexical grammar of each language (`Grammar.tokens`, languages.py). A parser's recovery moves brackets in and
out of strings as broken text grows; this scanner decides from left to right, so more text never changes what came
before the last token. Left out: nested templates (a backtick inside `${}` ends the template), nested
comments of Rust.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from model.syntax.languages import Grammar

_VALUE_KINDS = ("word", "number", "string", "close")
_BEFORE_A_REGEX = frozenset(("return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "yield"))


class Token(NamedTuple):
    """`kind` is the pattern's group: comment, directive, string, regex, number, word, open, close or other."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def tokens(text: str, language: Grammar) -> Iterator[Token]:
    """The tokens of `text` in order, without white space."""
    pattern = _compiled(language.tokens)
    last: Token | None = None
    at = 0
    while (found := pattern.search(text, at)) is not None:
        kind = found.lastgroup
        assert kind is not None
        token = Token(kind, found.group(), found.start())
        if kind == "regex" and last is not None and _is_value(last):
            token = Token("other", "/", token.start)  # a division
        if kind not in ("comment", "directive"):
            last = token
        at = token.end
        yield token


def _is_value(token: Token) -> bool:
    return token.kind in _VALUE_KINDS and token.text not in _BEFORE_A_REGEX


@lru_cache(maxsize=16)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def unclosed(items: list[Token]) -> list[Token]:
    """The opening brackets that have no closing one among `items`, outermost first."""
    stack: list[Token] = []
    for token in items:
        if token.kind == "open":
            stack.append(token)
        elif token.kind == "close" and stack:
            stack.pop()
    return stack


def unopened(items: list[Token]) -> list[Token]:
    """The closing brackets that have no opening one among `items`, innermost first."""
    depth = 0
    found: list[Token] = []
    for token in items:
        if token.kind == "open":
            depth += 1
        elif token.kind == "close" and depth:
            depth -= 1
        elif token.kind == "close":
            found.append(token)
    return found
