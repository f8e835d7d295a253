"""Known faults in held-out text: exactly one place of one line made wrong, so that its repair can be checked exactly.

The slips of syntax and naming are those of the edit stage (training/syntax_slips.py), made in documents it never saw;
three kinds more exchange, add or lose one token of the language. Kinds take turns, so each weighs the same; a document
weighs by its lines. The choice is a pure function of documents and seed. Source: this project's own protocol, after
bug injection as in BugLab (arXiv 2105.12787). Left out: faults of two lines, of indentation, in strings and comments;
whether a fault changes what the program does (no fault leaves the syntax tree unchanged).
"""

import re
from collections.abc import Sequence
from random import Random

import msgspec
import tree_sitter

from model.evaluation.decode import Place
from model.syntax.trees import CharOffsets, parse
from model.training.syntax_slips import SLIP_KINDS, Slip, apply_slip, syntax_slips

KINDS = (*SLIP_KINDS, "token-substitute", "token-insert", "token-delete")
MAX_TRIES = 60
NEAR_LEAVES = 40
"""A wrong token is one of those around the place."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. row: the line's number from 0, the same in both texts; start: the character where the line begins.

    gold_line, bad_line: the line without its newline, as it was and as it is in `text_bad`.
    """

    kind: str
    path: str
    text_bad: str
    row: int
    start: int
    gold_line: str
    bad_line: str

    @property
    def indent(self) -> int:
        """Characters of indentation; a fault never touches it."""
        return len(self.gold_line) - len(self.gold_line.lstrip())

    @property
    def place(self) -> Place:
        """The line without its indentation and newline: what is given as a draft."""
        return Place(
            path=self.path,
            before=self.text_bad[: self.start + self.indent],
            after=self.text_bad[self.start + len(self.bad_line) :],
            gold=self.gold_line[self.indent :],
        )

    @property
    def draft(self) -> str:
        return self.bad_line[self.indent :]


def make_faults(documents: Sequence[tuple[str, str]], *, num: int, seed: int) -> list[Fault]:
    """At most `num` faults in (path, text) documents, each on a line of its own; fewer where there are too few places.

    Documents that are tables of data are passed over.
    """
    kept = [(path, text) for path, text in sorted(documents) if not is_table(text)]
    if not kept:
        return []
    weights = [text.count("\n") + 1 for _, text in kept]
    rng = Random(f"faults/{seed}")
    slips: dict[int, list[Slip]] = {}
    taken: set[tuple[str, int]] = set()
    faults: list[Fault] = []
    for number in range(num):
        kind = KINDS[number % len(KINDS)]
        for _ in range(MAX_TRIES):
            [index] = rng.choices(range(len(kept)), weights)
            path, text = kept[index]
            if index not in slips:
                slips[index] = all_slips(text, f"{path}/{seed}")
            of_kind = [slip for slip in slips[index] if slip.kind == kind]
            fault = fault_of(path, text, rng.choice(of_kind)) if of_kind else None
            if fault is not None and (path, fault.row) not in taken:
                taken.add((path, fault.row))
                faults.append(fault)
                break
    return faults


def all_slips(text: str, seed: str) -> list[Slip]:
    """The slips of training and the single-token faults of a text, by place."""
    slips = [*syntax_slips(text, Random(seed)), *_token_slips(text, Random(seed))]
    return sorted(slips, key=lambda slip: (slip.start, slip.end, slip.kind))


def fault_of(path: str, text: str, slip: Slip) -> Fault | None:
    """The fault that a slip makes; None if it is more than one line, or leaves the line empty or unchanged."""
    if "\n" in text[slip.start : slip.end] or "\n" in slip.replacement:
        return None
    start = text.rfind("\n", 0, slip.start) + 1
    end = text.find("\n", slip.end)
    end = len(text) if end < 0 else end
    text_bad = apply_slip(text, slip)
    gold_line, bad_line = text[start:end], text_bad[start : end + len(text_bad) - len(text)]
    if bad_line == gold_line or not bad_line.strip() or slip.start < start + _indent(gold_line):
        return None
    if _indent(bad_line) != _indent(gold_line):
        return None
    row = text.count("\n", 0, start)
    return Fault(
        kind=slip.kind, path=path, text_bad=text_bad, row=row, start=start, gold_line=gold_line, bad_line=bad_line
    )


def is_table(text: str) -> bool:
    """Whether most lines hold no name: a table of data, in which nobody could tell right from wrong."""
    lines = [line for line in (line.strip() for line in text.split("\n")) if line and line[0] != "#"]
    named = sum(re.search(r"[^\W\d]", re.sub(r"'[^']*'|\"[^\"]*\"", "", line)) is not None for line in lines)
    return 2 * named <= len(lines)


def _token_slips(text: str, rng: Random) -> list[Slip]:
    """One exchanged, one added and one lost token at every token of code (commas and semicolons may mean nothing)."""
    spans = [span for span in _leaves(text) if text[slice(*span)] not in (",", ";")]
    slips: list[Slip] = []
    for index, (start, end) in enumerate(spans):
        word = text[start:end]
        near = spans[max(0, index - NEAR_LEAVES) : index + NEAR_LEAVES]
        other = text[slice(*rng.choice(near))]
        before = text[start - 1 : start]
        if other != word:
            left = " " if _joins(before, other) else ""
            right = " " if _joins(other, text[end : end + 1]) else ""
            slips.append(Slip("token-substitute", start, end, left + other + right))
        left = " " if _joins(before, other) else ""
        slips.append(Slip("token-insert", start, start, left + other + (" " if _joins(other, word) else "")))
        lost = end + (text[end : end + 1] == " ")
        kept = " " if _joins(before, text[lost : lost + 1]) else ""
        slips.append(Slip("token-delete", start, lost, kept))
    return slips


def _leaves(text: str) -> list[tuple[int, int]]:
    """Character spans of the tokens of code, ascending: nothing of strings (but what stands in them as code)."""
    tree = parse(text, "python")
    assert tree is not None
    offset = CharOffsets(text).of
    spans: list[tuple[int, int]] = []
    waiting: list[tree_sitter.Node] = [tree.root_node]
    while waiting:
        node = waiting.pop()
        if node.type in ("comment", "string", "concatenated_string", "line_continuation"):
            continue
        if node.child_count:
            waiting.extend(node.children)
        elif node.end_byte > node.start_byte and node.start_point.row == node.end_point.row:
            spans.append((offset(node.start_point), offset(node.end_point)))
    return sorted(spans)


def _joins(left: str, right: str) -> bool:
    """Whether two neighbours would be read as one word."""
    return bool(re.match(r"\w\w", left[-1:] + right[:1]))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
