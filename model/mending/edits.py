"""What a change of a line is about, told from its words alone, whoever proposed it.

Left out: whether it is right.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from model.mending.words import Word

Kind = Literal[
    "name",
    "spelling",
    "self",
    "operator",
    "equals",
    "keyword",
    "number",
    "arguments",
    "bracket",
    "colon",
    "quote",
    "punctuation",
    "removed",
    "added",
    "replaced",
    "rewritten",
]
"""A name exchanged or respelled, `self` put in or out, an operator, `=` for `==`, a keyword, a number, the order of
words, one bracket, colon, quote or other mark; another word removed, added or replaced; more than that."""
KINDS: tuple[Kind, ...] = get_args(Kind)

_OPERATORS = frozenset(("and", "or", "not", "is", "in"))
_SELVES = frozenset(("self", "cls"))


class Edit(NamedTuple):
    """Characters start..end of a line become `text`."""

    start: int
    end: int
    text: str

    def applied(self, line: str) -> str:
        return line[: self.start] + self.text + line[self.end :]


class Change(NamedTuple):
    """The words that go and those that come."""

    kind: Kind
    removed: Sequence[Word]
    added: Sequence[Word]


def change_of(old: Sequence[Word], new: Sequence[Word]) -> Change | None:
    """What turns the words of a line into others; None if no word of code differs: strings, comments and blanks are
    the author's business.
    """
    a, b = _unlike(old, new)
    if not a and not b:
        return None
    if any(word.kind == "string" for word in (*a, *b)) and [w for w in a if w.kind != "string"] == [
        w for w in b if w.kind != "string"
    ]:
        return None
    return Change(_kind(a, b), a, b)


def smallest(line: str, changed: str) -> Edit:
    """The edit that turns `line` into `changed` and touches as few characters as can be."""
    limit = min(len(line), len(changed))
    start = next((i for i in range(limit) if line[i] != changed[i]), limit)
    num_after = next((i for i in range(limit - start) if line[-1 - i] != changed[-1 - i]), limit - start)
    return Edit(start, len(line) - num_after, changed[start : len(changed) - num_after])


def is_of_quotes(line: str, changed: str) -> bool:
    """Whether nothing but quotes differs; they make a string of many words, or many words of a string."""
    edit = smallest(line, changed)
    return not (line[edit.start : edit.end] + edit.text).strip("'\"")


def is_near(a: str, b: str) -> bool:
    """Whether one letter was lost, added, changed, or exchanged with its neighbour."""
    if abs(len(a) - len(b)) > 1 or len(a) < 3 or len(b) < 3:
        return False
    limit = min(len(a), len(b))
    start = next((i for i in range(limit) if a[i] != b[i]), limit)
    a, b = a[start:], b[start:]
    if len(a) == len(b):
        return a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
    longer, shorter = (a, b) if len(a) > len(b) else (b, a)
    return longer[1:] == shorter


def _unlike(old: Sequence[Word], new: Sequence[Word]) -> tuple[Sequence[Word], Sequence[Word]]:
    limit = min(len(old), len(new))
    start = next((i for i in range(limit) if old[i].text != new[i].text), limit)
    num_after = next((i for i in range(limit - start) if old[-1 - i].text != new[-1 - i].text), limit - start)
    return old[start : len(old) - num_after], new[start : len(new) - num_after]


def _kind(a: Sequence[Word], b: Sequence[Word]) -> Kind:
    old, new = [word.text for word in a], [word.text for word in b]
    if {*old, *new} <= {"=", "=="} and old and new:
        return "equals"
    if len(old) > 1 and sorted(old) == sorted(new):
        return "arguments"
    if {*old, *new} & _SELVES and {*old, *new} <= _SELVES | {".", ","}:
        return "self"
    if all(word.kind == "operator" or word.text in _OPERATORS for word in (*a, *b)):
        return "operator"
    if len(a) == len(b) == 1:
        return _exchanged(a[0], b[0])
    if len(a) + len(b) == 1:
        return _single((*a, *b)[0], "removed" if a else "added")
    return "replaced" if max(len(a), len(b)) <= 2 else "rewritten"


def _exchanged(one: Word, two: Word) -> Kind:
    kinds = {one.kind, two.kind}
    if kinds == {"number"}:
        return "number"
    if kinds == {"bracket"}:
        return "bracket"
    if kinds <= {"name", "keyword"} and is_near(one.text, two.text):
        return "spelling"
    if kinds == {"name"}:
        return "name"
    return "keyword" if kinds == {"keyword"} else "replaced"


def _single(word: Word, otherwise: Kind) -> Kind:
    if word.kind == "bracket":
        return "bracket"
    if word.text == ":":
        return "colon"
    return "punctuation" if word.kind in ("mark", "quote") else otherwise
