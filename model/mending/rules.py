"""Repairs of a line that need no network: what a hand may have got wrong, undone in every place it may have happened.

Words put in, taken out, exchanged with their likes and moved; names exchanged with others of their scope. Where the
parser is lost every mark is tried in every gap. Source: the usual mutation operators of program repair, inverted.
Left out: which of them is right (judge.py, ranking.py), lines joined or split, and changes of indentation.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from model.mending.edits import Edit, is_near
from model.mending.scope import Scopes
from model.mending.words import KEYWORDS, words_of

_LIKE: tuple[tuple[str, ...], ...] = (
    ("==", "!=", "<", "<=", ">", ">=", "is", "is not", "in", "not in"),
    ("+", "-", "*", "/", "//", "%", "**"),
    ("&", "|", "^", "<<", ">>", "and", "or"),
    ("=", "+=", "-=", "*=", "/=", "//=", "%=", "|=", "&="),
    ("True", "False", "None"),
    ("break", "continue", "pass", "return"),
    ("return", "yield", "raise"),
    ("if", "while", "for", "elif"),
    ("self", "cls"),
)
_MARKS = ("(", ")", "[", "]", "{", "}", ":", ",", ".", "=", "'", '"')
_WORDS = (
    *("in", "import", "as", "if", "else", "for", "def", "class", "return", "and", "or", "not", "is", "from", "with"),
    *("elif", "while", "try", "except", "finally", "lambda", "raise", "del", "assert", "yield"),
    *("None", "True", "False"),
)
"""Keywords that leave a line broken where they are forgotten."""
_RUN_OF_QUOTES = re.compile("'+|\"+")
_PREFIX = re.compile(r"\b(?:[rRbBuUfF]|[rR][bBfF]|[bBfF][rR])(?=\w)")
_END_OF_WORD = re.compile(r"\w(?=[:,)\]}=])")
_HEADER = re.compile(r"(?:async |if|elif|else|for|while|with|try|except|finally|def|class|match|case|lambda)\b")
_LETTERS = "abcdefghijklmnopqrstuvwxyz_"
MAX_POOL = 40
MAX_SPELLED = 6


class LineRules:
    """The rules at one line: `line` without indentation and newline, which begins at character `start` of the text."""

    def __init__(
        self,
        line: str,
        start: int,
        scopes: Scopes,
        pool: Sequence[str],
        *,
        is_broken: bool,
        begins_parameters: bool = False,
    ) -> None:
        """begins_parameters: the line above ends in the opening bracket of a function's parameters."""
        self._line, self._start = line, start
        self._begins_parameters = begins_parameters
        self._scopes, self._pool, self._is_broken = scopes, pool, is_broken
        self._words = words_of(line)

    def edits(self) -> Iterator[Edit]:
        yield from self._removals()
        yield from self._likes()
        yield from self._numbers()
        yield from self._equals()
        yield from self._selves()
        yield from self._arguments()
        yield from self._negations()
        yield from self._names()
        yield from self._ends()
        if self._is_broken:
            yield from self._marks()
            yield from self._quotes()
            yield from self._other_marks()
            yield from self._splits()

    def _removals(self) -> Iterator[Edit]:
        for index, word in enumerate(self._words):
            yield Edit(word.start, word.end, "")
            if self._line[word.end : word.end + 1] == " ":
                yield Edit(word.start, word.end + 1, "")
            elif self._line[word.start - 1 : word.start] == " " and word.start > 0:
                yield Edit(word.start - 1, word.end, "")
            if index + 1 < len(self._words):
                following = self._words[index + 1]
                if word.text == "." or following.text == "." or self._is_broken:
                    yield Edit(word.start, following.end, "")

    def _likes(self) -> Iterator[Edit]:
        for index, word in enumerate(self._words):
            text, end = word.text, word.end
            following = self._words[index + 1] if index + 1 < len(self._words) else None
            if following is not None and (text, following.text) in (("is", "not"), ("not", "in")):
                text, end = f"{text} {following.text}", following.end
            for alike in _LIKE:
                if text in alike:
                    yield from (Edit(word.start, end, other) for other in alike if other != text)

    def _numbers(self) -> Iterator[Edit]:
        for word in self._words:
            if word.kind == "number" and word.text.isdigit() and len(word.text) <= 9:
                for other in (int(word.text) - 1, int(word.text) + 1):
                    if other >= 0:
                        yield Edit(word.start, word.end, str(other))

    def _equals(self) -> Iterator[Edit]:
        for word in self._words:
            if word.text in ("=", "=="):
                yield Edit(word.start, word.end, "==" if word.text == "=" else "=")

    def _selves(self) -> Iterator[Edit]:
        for index, word in enumerate(self._words):
            before = self._words[index - 1].text if index else ""
            if word.kind == "name" and before not in (".", "def", "class", "import", "as"):
                yield Edit(word.start, word.start, "self.")
                yield Edit(word.start, word.start, "cls.")
            is_first = before == "(" and index >= 3 and self._words[index - 3].text == "def"
            if is_first or (index == 0 and self._begins_parameters):
                for name in ("self", "cls"):
                    yield Edit(word.start, word.start, name if word.text == ")" else f"{name}, ")
            if word.text in ("self", "cls") and self._line[word.end : word.end + 1] == ".":
                yield Edit(word.start, word.end + 1, "")

    def _arguments(self) -> Iterator[Edit]:
        """Neighbours between commas of the same brackets change places."""
        stack: list[list[int]] = [[0]]
        for word in self._words:
            if word.text in "([{" and word.kind == "bracket":
                stack.append([word.end])
            elif word.text == ",":
                stack[-1].append(word.end)
            elif word.kind == "bracket" and len(stack) > 1:
                yield from self._swaps(stack.pop(), word.start)
        for starts in stack:
            yield from self._swaps(starts, len(self._line))

    def _swaps(self, starts: Sequence[int], end: int) -> Iterator[Edit]:
        ends = [*(start - 1 for start in starts[1:]), end]
        blanks = [len(self._line[a:b]) - len(self._line[a:b].lstrip()) for a, b in zip(starts, ends, strict=True)]
        parts = [(a + blank, b) for a, b, blank in zip(starts, ends, blanks, strict=True)]
        for (a, b), (c, d) in pairwise(parts):
            one, two = self._line[a:b], self._line[c:d]
            if one.strip() and two.strip() and one != two:
                yield Edit(a, d, two + self._line[b:c] + one)

    def _negations(self) -> Iterator[Edit]:
        for word in self._words:
            if word.text in ("if", "while", "and", "or", "return", "assert", "elif") and word.kind == "keyword":
                yield Edit(word.end, word.end, " not")

    def _names(self) -> Iterator[Edit]:
        """Names for names: all of the pool for what is not known here, those spelled alike for everything."""
        for index, word in enumerate(self._words):
            if word.kind not in ("name", "keyword"):
                continue
            is_attribute = index > 0 and self._words[index - 1].text == "."
            for other in spelled_alike(word.text, self._pool):
                yield Edit(word.start, word.end, other)
            if word.kind == "keyword":
                continue
            names = self._scopes.names_at(self._start + word.start)
            known = self._scopes.attributes if is_attribute else names
            for other in [name for name in self._pool if name in known and name != word.text][:MAX_POOL]:
                yield Edit(word.start, word.end, other)

    def _ends(self) -> Iterator[Edit]:
        end = self._words[-1].end if self._words else 0
        if self._words and _HEADER.match(self._line) and self._words[-1].text != ":":
            yield Edit(end, end, ":")

    def _marks(self) -> Iterator[Edit]:
        """Every mark and keyword in every gap between words; of the ways to space a mark, the plainest first."""
        gaps = [(0, self._words[0].start if self._words else 0)]
        for index, word in enumerate(self._words):
            following = self._words[index + 1].start if index + 1 < len(self._words) else word.end
            gaps.append((word.end, following))
        for start, end in gaps:
            for mark in _MARKS:
                for spaced in dict.fromkeys((mark, f"{mark} ", f" {mark}", f" {mark} ")):
                    if end > start or " " not in spaced or mark in "=:,":
                        yield Edit(start, end, spaced)
            left, right = self._line[start - 1 : start], self._line[end : end + 1]
            for word in _WORDS:
                after = "" if right in ("", *",:)]}") else " "
                for before in ("", " ") if left == "=" else ("" if left in ("", *"([{") else " ",):
                    yield Edit(start, end, f"{before}{word}{after}")

    def _quotes(self) -> Iterator[Edit]:
        """One quote more or less where quotes are; one more behind a prefix, and behind each word of a string."""
        runs = list(_RUN_OF_QUOTES.finditer(self._line))
        for run in runs:
            yield Edit(run.start(), run.start(), run[0][0])
            yield Edit(run.start(), run.start() + 1, "")
        quotes = dict.fromkeys(run[0][0] for run in runs)
        for pattern in (_PREFIX, _END_OF_WORD):
            for place in pattern.finditer(self._line):
                yield from (Edit(place.end(), place.end(), quote) for quote in quotes)

    def _other_marks(self) -> Iterator[Edit]:
        for word in self._words:
            if word.kind == "bracket":
                pair = "([{" if word.text in "([{" else ")]}"
                yield from (Edit(word.start, word.end, other) for other in pair if other != word.text)
            else:
                start = word.start - (self._line[word.start - 1 : word.start] == " " and word.start > 0)
                end = word.end + (self._line[word.end : word.end + 1] == " ")
                yield from (Edit(start, end, mark) for mark in _MARKS if mark != word.text)

    def _splits(self) -> Iterator[Edit]:
        """A mark between two names that are known each by itself."""
        known = {*self._pool, *KEYWORDS}
        for word in self._words:
            if word.kind != "name":
                continue
            for at in range(word.start + 1, word.end):
                if self._line[word.start : at] in known and self._line[at : word.end] in known:
                    for mark in ("(", ")", "[", "]", ".", ", ", "=", " = ", ": "):
                        yield Edit(at, at, mark)


def spelled_alike(word: str, pool: Sequence[str]) -> list[str]:
    """The words of the pool that are one slip of the hand away, or two for long words; keywords count."""
    if len(word) < 3:
        return []
    near = [other for other in (*pool, *KEYWORDS) if other != word and is_near(word, other)]
    return list(dict.fromkeys(near))[:MAX_SPELLED]


def respelled(word: str) -> Iterator[str]:
    """Every word one slip away: a letter taken out, put in, or exchanged with its neighbour."""
    for i in range(len(word)):
        yield word[:i] + word[i + 1 :]
        if i and word[i] != word[i - 1]:
            yield word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :]
        for letter in _LETTERS:
            yield word[:i] + letter + word[i:]
    for letter in _LETTERS:
        yield word + letter
