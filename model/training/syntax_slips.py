"""Slips of syntax and of naming, found in the parse tree: what can be got wrong at which place of a text.

One tree-sitter query lists the places; each slip is a replacement of a few characters that changes the text: a name
exchanged with another of its function, a letter of a name lost, an operator or a number changed, arguments swapped,
`self` forgotten, a bracket or colon left out, `=` for `==`. Works on broken code and on windows of a file. Source: the
kinds of fault of this project's design; single-token replacements after CuBERT (arXiv 2001.00059) and bug injection
as in BugLab (arXiv 2105.12787). Left out: whether the changed program behaves differently, names of other files, and
the slips of single tokens (mistakes.py).
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import NamedTuple

import tree_sitter

from model.syntax.trees import CharOffsets, captures, parse

SLIP_KINDS = (
    "wrong-name",
    "undefined-name",
    "operator",
    "equals",
    "off-by-one",
    "swapped-arguments",
    "missing-self",
    "missing-bracket",
    "missing-colon",
)
MAX_ARGUMENT_BYTES = 60

_QUERY = """
(identifier) @name
(attribute attribute: (identifier) @attribute)
(call function: (identifier) @called)
(call function: (attribute attribute: (identifier) @called))
(function_definition) @function
[
  (function_definition name: (identifier) @fixed)
  (class_definition name: (identifier) @fixed)
  (dotted_name (identifier) @fixed)
  (aliased_import alias: (identifier) @fixed)
  (keyword_argument name: (identifier) @fixed)
  (parameters (identifier) @fixed)
  (lambda_parameters (identifier) @fixed)
  (default_parameter name: (identifier) @fixed)
  (typed_parameter (identifier) @fixed)
  (typed_default_parameter name: (identifier) @fixed)
  (list_splat_pattern (identifier) @fixed)
  (dictionary_splat_pattern (identifier) @fixed)
  (as_pattern_target (identifier) @fixed)
  (global_statement (identifier) @fixed)
  (nonlocal_statement (identifier) @fixed)
]
(comparison_operator operators: _ @operator)
(binary_operator operator: _ @operator)
(boolean_operator operator: _ @operator)
(augmented_assignment operator: _ @operator)
(not_operator "not" @not)
(comparison_operator "==" @equals)
(assignment "=" @assign)
(integer) @integer
(argument_list) @arguments
(parameters . (identifier) @first-parameter)
(attribute object: (identifier) @object)
["(" ")" "[" "]" "{" "}"] @bracket
(interpolation ["{" "}"] @brace)
[
  (function_definition ":" @colon) (class_definition ":" @colon) (if_statement ":" @colon) (elif_clause ":" @colon)
  (else_clause ":" @colon) (for_statement ":" @colon) (while_statement ":" @colon) (with_statement ":" @colon)
  (try_statement ":" @colon) (except_clause ":" @colon) (finally_clause ":" @colon) (lambda ":" @colon)
  (pair ":" @colon)
]
"""

_OTHER_OPERATOR: dict[str, tuple[str, ...]] = {
    "==": ("!=",),
    "!=": ("==",),
    "<": ("<=", ">"),
    "<=": ("<", ">="),
    ">": (">=", "<"),
    ">=": (">", "<="),
    "+": ("-",),
    "-": ("+",),
    "*": ("/", "+"),
    "/": ("*", "//"),
    "//": ("/", "%"),
    "%": ("//",),
    "**": ("*",),
    "&": ("|",),
    "|": ("&",),
    "<<": (">>",),
    ">>": ("<<",),
    "and": ("or",),
    "or": ("and",),
    "is": ("is not",),
    "is not": ("is",),
    "in": ("not in",),
    "not in": ("in",),
    "+=": ("-=", "="),
    "-=": ("+=", "="),
    "*=": ("/=", "+="),
    "/=": ("*=",),
    "//=": ("/=",),
    "|=": ("&=",),
    "&=": ("|=",),
}


class Slip(NamedTuple):
    """Characters start..end of the text become `replacement`, which differs from them."""

    kind: str
    start: int
    end: int
    replacement: str


def syntax_slips(text: str, rng: Random) -> list[Slip]:
    """The slips of Python text, by place: at most one of each kind at a place (`rng` chooses among its forms)."""
    tree = parse(text, "python")
    assert tree is not None
    return _Finder(text, tree, rng).slips()


def draw_slip(slips: Sequence[Slip], rng: Random) -> Slip | None:
    """One of the slips, every kind that is there with the same chance; None if there are none."""
    if not slips:
        return None
    kind = rng.choice([kind for kind in SLIP_KINDS if any(slip.kind == kind for slip in slips)])
    return rng.choice([slip for slip in slips if slip.kind == kind])


def apply_slip(text: str, slip: Slip) -> str:
    """The text with the slip made."""
    return text[: slip.start] + slip.replacement + text[slip.end :]


class _Finder:
    """The places of one text."""

    def __init__(self, text: str, tree: tree_sitter.Tree, rng: Random) -> None:
        self._text, self._rng = text, rng
        self._nodes = captures(tree, _QUERY)
        self._offset = CharOffsets(text).of

    def slips(self) -> list[Slip]:
        found = [*self._names(), *self._operators(), *self._numbers(), *self._arguments(), *self._selves()]
        found += self._dropped()
        return sorted(found, key=lambda slip: (slip.start, slip.end, slip.kind))

    def _of(self, capture: str) -> list[tuple[int, int]]:
        """Character spans of the non-empty nodes of a capture, ascending."""
        nodes = self._nodes.get(capture, [])
        return sorted((self._offset(n.start_point), self._offset(n.end_point)) for n in nodes if not n.is_missing)

    def _names(self) -> list[Slip]:
        fixed, attributes, called = set(self._of("fixed")), set(self._of("attribute")), set(self._of("called"))
        owner = _owners(self._of("function"))
        names = [span for span in self._of("name") if self._text[slice(*span)] not in ("self", "cls")]
        pools: dict[tuple[int, bool, bool], list[str]] = {}
        for span in names:
            group = (owner(span[0]), span in attributes, span in called)
            pool = pools.setdefault(group, [])
            word = self._text[slice(*span)]
            if word not in pool:
                pool.append(word)
        known = {self._text[slice(*span)] for span in names}
        slips = []
        for span in names:
            if span in fixed:
                continue
            word = self._text[slice(*span)]
            others = [other for other in pools[owner(span[0]), span in attributes, span in called] if other != word]
            if others:
                slips.append(Slip("wrong-name", *span, self._rng.choice(others)))
            typo = _typo(word, self._rng)
            if typo is not None and typo not in known:
                slips.append(Slip("undefined-name", *span, typo))
        return slips

    def _operators(self) -> list[Slip]:
        slips = []
        for span in self._of("operator"):
            others = _OTHER_OPERATOR.get(self._text[slice(*span)])
            if others:
                slips.append(Slip("operator", *span, self._rng.choice(others)))
        for start, end in self._of("not"):
            slips.append(Slip("operator", start, end + (self._text[end : end + 1] == " "), ""))
        slips += [Slip("equals", *span, "=") for span in self._of("equals")]
        slips += [Slip("equals", *span, "==") for span in self._of("assign")]
        return slips

    def _numbers(self) -> list[Slip]:
        slips = []
        for start, end in self._of("integer"):
            word = self._text[start:end]
            if word.isascii() and word.isdigit() and len(word) <= 9:
                others = [str(number) for number in (int(word) - 1, int(word) + 1) if number >= 0]
                slips.append(Slip("off-by-one", start, end, self._rng.choice(others)))
        return slips

    def _arguments(self) -> list[Slip]:
        slips = []
        for node in self._nodes.get("arguments", []):
            plain = [child for child in node.named_children if child.type not in _NO_POSITIONAL]
            pairs = [
                (
                    self._offset(a.start_point),
                    self._offset(a.end_point),
                    self._offset(b.start_point),
                    self._offset(b.end_point),
                )
                for a, b in pairwise(plain)
                if a.next_named_sibling == b and b.end_byte - a.start_byte <= MAX_ARGUMENT_BYTES
            ]
            pairs = [(a, b, c, d) for a, b, c, d in pairs if self._text[a:b] != self._text[c:d] and a < b and c < d]
            if pairs:
                a, b, c, d = self._rng.choice(pairs)
                slips.append(Slip("swapped-arguments", a, d, self._text[c:d] + self._text[b:c] + self._text[a:b]))
        return slips

    def _selves(self) -> list[Slip]:
        text, slips = self._text, []
        for start, end in self._of("object"):
            if text[start:end] in ("self", "cls") and text[end : end + 1] == ".":
                slips.append(Slip("missing-self", start, end + 1, ""))
        for start, end in self._of("first-parameter"):
            if text[start:end] in ("self", "cls"):
                width = 2 if text[end : end + 2] == ", " else int(text[end : end + 1] == ",")
                slips.append(Slip("missing-self", start, end + width, ""))
        return slips

    def _dropped(self) -> list[Slip]:
        braces = set(self._of("brace"))
        slips = [Slip("missing-bracket", *span, "") for span in self._of("bracket") if span not in braces]
        return slips + [Slip("missing-colon", *span, "") for span in self._of("colon")]


_NO_POSITIONAL = frozenset(("keyword_argument", "list_splat", "dictionary_splat", "comment", "ERROR"))


def _owners(functions: list[tuple[int, int]]) -> Callable[[int], int]:
    """Which outermost function a character is in (its start), or -1."""
    outer: list[tuple[int, int]] = []
    for start, end in functions:
        if not outer or start >= outer[-1][1]:
            outer.append((start, end))
    starts = [start for start, _ in outer]

    def owner(offset: int) -> int:
        index = bisect_right(starts, offset) - 1
        return outer[index][0] if index >= 0 and offset < outer[index][1] else -1

    return owner


def _typo(word: str, rng: Random) -> str | None:
    """The word with a letter lost, doubled or exchanged with its neighbour; None for short words."""
    if len(word) < 4:
        return None
    at = rng.randrange(1, len(word) - 1)
    form = rng.randrange(3)
    if form == 0:
        typo = word[:at] + word[at + 1 :]
    elif form == 1:
        typo = word[:at] + word[at] + word[at:]
    else:
        typo = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return typo if typo != word else None
