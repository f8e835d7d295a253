"""The words of one line of Python: where its tokens of code begin and end, broken or not.

A regular expression, not the parser: repairs are wanted where the parser is lost. Strings and comments are passed over,
but for the code between the braces of an f-string; a quote that nothing closes is a token of its own. Left out: lines
inside a string of several lines (quiet_rows says which those are).
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
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


class Usage:
    """How often a text uses each word, and each pair and triple of neighbours in a line."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._words: Counter[str] = Counter()
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._triples: Counter[tuple[str, str, str]] = Counter()
        for line in lines:
            self._count(line, 1)

    def _count(self, line: str, sign: int) -> None:
        words = ["", *(word.text for word in words_of(line)), ""]
        for counter, runs in (
            (self._words, words[1:-1]),
            (self._pairs, pairwise(words)),
            (self._triples, zip(words, words[1:], words[2:], strict=False)),
        ):
            for run in runs:
                counter[run] += sign  # type: ignore[index]

    def without(self, line: str) -> "Elsewhere":
        """The counts of everything but one line."""
        return Elsewhere(self, line)


class Elsewhere:
    """What the lines around one line use. Changes nothing."""

    def __init__(self, usage: Usage, line: str) -> None:
        self._usage = usage
        own = Usage([])
        own._count(line, 1)
        self._own = own

    def word(self, text: str) -> int:
        return max(0, self._usage._words[text] - self._own._words[text])

    def pairs(self, line: str) -> Counter[tuple[str, str]]:
        """The pairs of neighbours of a line, each as often as it stands there."""
        words = ["", *(word.text for word in words_of(line)), ""]
        return Counter(pairwise(words))

    def triples(self, line: str) -> Counter[tuple[str, str, str]]:
        words = ["", *(word.text for word in words_of(line)), ""]
        return Counter(zip(words, words[1:], words[2:], strict=False))

    def pair(self, pair: tuple[str, str]) -> int:
        return max(0, self._usage._pairs[pair] - self._own._pairs[pair])

    def triple(self, triple: tuple[str, str, str]) -> int:
        return max(0, self._usage._triples[triple] - self._own._triples[triple])
