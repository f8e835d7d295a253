"""The words of one line of Python: where its tokens of code begin and end, broken or not.

A regular expression, not the parser: repairs are wanted where the parser is lost. Strings and comments are passed over,
but for the code between the braces of an f-string; a quote that nothing closes is a token of its own. Left out: lines
inside a string of several lines (quiet_rows says which those are).
"""

import re
from collections import Counter
from collections.abc import Sequence
from keyword import kwlist
from typing import Literal, NamedTuple

from model.syntax.trees import captures, parse

WordKind = Literal["name", "keyword", "number", "operator", "bracket", "mark", "quote", "string"]

KEYWORDS = frozenset(kwlist)
BRACKETS = "()[]{}"

_WORD = re.compile(
    r"""
    (?P<comment>\#.*)
  | (?P<string>[rRbBuUfF]{0,2}(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
  | (?P<number>(?:0[xXoObB][\da-fA-F_]+|(?:\d[\d_]*)?\.?\d[\d_]*(?:[eE][+-]?\d+)?[jJ]?))
  | (?P<name>[^\W\d]\w*)
  | (?P<operator>\*\*=|//=|>>=|<<=|:=|->|[-+*/%&|^@=!<>]=|\*\*|//|<<|>>|[-+*/%&|^@=~<>])
  | (?P<bracket>[()\[\]{}])
  | (?P<mark>\.\.\.|[.,:;\\!$?`])
  | (?P<quote>['"])
    """,
    re.VERBOSE,
)
_HOLE = re.compile(r"\{([^{}:!]+)")


class Word(NamedTuple):
    """Characters start..end of the line, or of the text if shifted there."""

    start: int
    end: int
    text: str
    kind: WordKind


def words_of(line: str, start: int = 0) -> list[Word]:
    """The words of a line of code that begins at `start`, ascending; those inside an f-string instead of it."""
    found: list[Word] = []
    for match in _WORD.finditer(line):
        kind, text = match.lastgroup, match.group()
        if kind == "comment" or kind is None:
            continue
        if kind == "string":
            prefix = text[: min(text.find(quote) for quote in "'\"" if quote in text)]
            if "f" in prefix.lower():
                for hole in _HOLE.finditer(text):
                    found += words_of(hole[1], start + match.start() + hole.start(1))
            else:
                found.append(Word(start + match.start(), start + match.end(), text, "string"))
            continue
        if kind == "name" and text in KEYWORDS:
            kind = "keyword"
        found.append(Word(start + match.start(), start + match.end(), text, kind))  # type: ignore[arg-type]
    return found


def quiet_rows(text: str) -> set[int]:
    """Rows (from 0) that begin inside a string, or hold nothing but one."""
    tree = parse(text, "python")
    assert tree is not None
    quiet: set[int] = set()
    for node in captures(tree, "[(string) (comment)] @quiet").get("quiet", []):
        first, last = node.start_point.row, node.end_point.row
        if node.type == "comment":
            continue  # code may stand before it, and a row of nothing else has no words
        alone = node.parent is not None and node.parent.type in ("expression_statement", "module", "block")
        quiet.update(range(first if alone else first + 1, last + 1))
    return quiet


Run = tuple[str, ...]
"""Neighbouring words of a line; "" stands before the first and behind the last."""


class Usage:
    """How often a text uses each word, and each two and three neighbours in a line."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.counts: Counter[Run] = Counter()
        for line in lines:
            for length in (1, 2, 3):
                self.counts.update(runs_of(line, length))

    def without(self, line: str) -> "Elsewhere":
        """The counts of everything but one line."""
        return Elsewhere(self.counts, Usage([line]).counts)


class Elsewhere:
    """What the lines around one line use."""

    def __init__(self, counts: Counter[Run], own: Counter[Run]) -> None:
        self._counts, self._own = counts, own

    def count(self, *words: str) -> int:
        """How often these stand side by side elsewhere."""
        return max(0, self._counts[words] - self._own[words])


def runs_of(line: str, length: int) -> list[Run]:
    """The runs of so many neighbours in a line."""
    words = [word.text for word in words_of(line)]
    if length > 1:
        words = ["", *words, ""]
    return [tuple(words[i : i + length]) for i in range(len(words) - length + 1)]
