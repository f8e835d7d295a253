"""Old versions of code: a stretch of a text with something removed, spoilt or said otherwise, and the instruction that
asks for the text as it stands.

Each kind inverts what is easy to take away or to change; the new code is always the text of the corpus. Whole lines or
the code in them, at equal chance, as users select. Source: this project's design; code with its edits undone as
training pairs, after InstructCoder's kinds of edit (arXiv 2310.20329). Left out: changes of behaviour that need a test
to tell, and other languages than Python.
"""

import re
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from model.training.rewrite_blocks import try_statement, with_statement
from model.training.rewrite_branches import early_return, guard, if_else, no_else, ternary
from model.training.rewrite_code import Code, Edit, Place, apart, selection, widened, with_edits
from model.training.rewrite_fix import fix
from model.training.rewrite_functions import body, decorator, default, docstring, make_async, parameter, type_hints
from model.training.rewrite_idioms import idiom, logging, modern_types
from model.training.rewrite_instructions import phrase
from model.training.rewrite_loops import comprehension, loop
from model.training.rewrite_names import rename
from model.training.rewrite_removals import commented_out, debug, sort_imports, unused_import
from model.training.rewrite_strings import f_string, format_call, percent

MAX_PLACES = 12
"""Most places of a text that are looked at until one can be used."""


class Rewrite(NamedTuple):
    """Characters start..end of a text are the new code; `old` is what it is made from."""

    kind: str
    start: int
    end: int
    old: str
    instruction: str


class _Kind(NamedTuple):
    """`weight` = how often a kind is drawn; `hint` = what a text that has a place for it is sure to hold (a text
    without it is not even parsed)."""

    find: Callable[[Code, Random], Iterator[Place]]
    weight: float
    hint: re.Pattern[str]


def _kind(find: Callable[[Code, Random], Iterator[Place]], weight: float, hint: str = r"\S") -> _Kind:
    return _Kind(find, weight, re.compile(hint, re.MULTILINE))


# What is done to a line without knowing what it is for comes first: small networks learn nothing else.
_KINDS: dict[str, _Kind] = {
    "fix": _kind(fix, 4),
    "type-hints": _kind(type_hints, 1, r"\bdef .*(->|: )"),
    "docstring": _kind(docstring, 1, '"""'),
    "body": _kind(body, 1, r"\bdef "),
    "rename": _kind(rename, 2, r"\bdef "),
    "default": _kind(default, 1, r"=.*[),]"),
    "parameter": _kind(parameter, 1, r"\bdef \w+\([^)]*,"),
    "decorator": _kind(decorator, 6, r"^\s*@\w"),
    "async": _kind(make_async, 6, r"\basync def"),
    "comprehension": _kind(comprehension, 1, r"(= |return )[\[{][^\]}]*\sfor\s"),
    "loop": _kind(loop, 1, r"= (\[\]|\{\}|\w+\(\))\n\s*for "),
    "guard": _kind(guard, 1, r"^\s*(return|raise|continue)\b"),
    "early-return": _kind(early_return, 1, r"^\s*(return|raise|continue)\b"),
    "no-else": _kind(no_else, 6, r"^\s*(return|raise|continue|break)\b"),
    "ternary": _kind(ternary, 1, r"\S if \S.*\belse\b"),
    "if-else": _kind(if_else, 1, r"^\s*else:"),
    "with": _kind(with_statement, 1, r"^\s*with\b"),
    "try": _kind(try_statement, 1, r"^\s*except \S"),
    "f-string": _kind(f_string, 1, r"\b[fF]['\"]"),
    "format": _kind(format_call, 1, r"['\"]\.format\("),
    "percent": _kind(percent, 1, r"['\"] % "),
    "idiom": _kind(idiom, 8),
    "modern-types": _kind(modern_types, 6, r"\b(list|dict|set|tuple|type)\[|\| None"),
    "logging": _kind(logging, 1, r"(?i)log\w*\.(debug|info|warning|error)\("),
    "debug": _kind(debug, 6, r"\bdef "),
    "unused-import": _kind(unused_import, 1, r"^\s*(import|from) "),
    "sort-imports": _kind(sort_imports, 1, r"^\s*(import|from) .*\n\s*(import|from) "),
    "commented-out": _kind(commented_out, 6, r"\bdef "),
}
KINDS = tuple(_KINDS)
_WEIGHTS = [kind.weight for kind in _KINDS.values()]


def draw_kind(rng: Random) -> str:
    """One of KINDS."""
    return rng.choices(KINDS, _WEIGHTS)[0]


def may_have(kind: str, text: str) -> bool:
    """Whether the text can have a place for the kind (quick, without parsing)."""
    return _KINDS[kind].hint.search(text) is not None


def find_rewrite(kind: str, text: str, max_chars: int, rng: Random) -> Rewrite | None:
    """A rewrite of one of KINDS with about `max_chars` characters of new code at most; None if the text has no place
    for one. Old and new code always differ."""
    if not may_have(kind, text):
        return None
    code = Code(text, max_chars)
    find = _KINDS[kind].find
    for _, place in zip(range(MAX_PLACES), find(code, rng), strict=False):
        if place.end - place.start > max_chars:
            continue
        start, end = widened(code, place.start, place.end, rng) if place.widens else (place.start, place.end)
        start, end = selection(text, start, end, rng)
        edits: tuple[Edit, ...] = place.edits
        if min(edit.start for edit in edits) < start or max(edit.end for edit in edits) > end:
            start, end = place.start, place.end
        if place.form and place.widens:
            others = [other for other in find(code, rng) if other.form == place.form and other.edits != place.edits]
            inside = [edit for other in others for edit in other.edits if start <= edit.start and edit.end <= end]
            edits = tuple(apart([*edits, *inside]))
        old = with_edits(text, start, end, edits)
        if old.strip() and old != text[start:end]:
            return Rewrite(kind, start, end, old, phrase(place.asks, place.words, rng))
    return None
