"""Places in the held-out documents of a shard folder where a line, or the rest of one, is to be written.

A place is a hole in a line of code: never a comment, a docstring, or a line inside a longer string, since nobody could
guess those. Every document is cut into runs of eight lines; places fall evenly over all runs of all documents, at most
one a run, so a document counts by its size. The choice is a pure function of the documents and the seed. Source: this
project's own protocol. Left out: holes of several lines (block_set.py) and scoring (heldout.py).
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby, pairwise
from pathlib import Path
from random import Random
from typing import Literal

import msgspec
import tree_sitter

from model.evaluation.decode import Place
from model.evaluation.options import EvalError
from model.syntax.trees import parse
from model.training.shards import ShardError, open_shards

Kind = Literal["whole", "rest"]

LINES_PER_PLACE = 8
MIN_VISIBLE = 3
MAX_LINE_CHARS = 100


class Line(msgspec.Struct, frozen=True):
    """One line of a document: its number from 0, the character where it begins, its text without the newline."""

    row: int
    start: int
    text: str


def heldout_documents(shards: Path) -> Iterator[tuple[str, str]]:
    """(path inside its package, text) of every held-out document, in shard order. EvalError if there are none."""
    try:
        split = open_shards(shards, "heldout")
    except ShardError as error:
        raise EvalError(str(error)) from None
    for index in range(split.num_documents):
        yield split.paths[index], split.tokenizer.decode(split.document(index).tolist())


def line_places(documents: Sequence[tuple[str, str]], *, kind: Kind, num: int, seed: int) -> list[Place]:
    """At most `num` places, by (path, offset). `whole`: a line is missing with its indentation, its newline stays.

    `rest`: the cursor stands behind the indentation of a line, and at least three visible characters follow it.
    """
    runs: list[tuple[str, str, list[Line]]] = []
    for path, text in sorted(documents):
        for _, run in groupby(code_lines(text), key=_run_of):
            runs.append((path, text, list(run)))
    rng = Random(f"{kind}/{seed}")
    return [_place(*runs[index], kind, rng) for index in spread(len(runs), num, rng)]


def spread(num_items: int, num: int, rng: Random) -> list[int]:
    """`num` indices below `num_items`, ascending: one at random of each of `num` equal stretches; all if too few."""
    if num >= num_items:
        return list(range(num_items))
    borders = [i * num_items // num for i in range(num + 1)]
    return [rng.randrange(low, high) for low, high in pairwise(borders)]


def code_lines(text: str) -> list[Line]:
    """The lines a place may fall on: code without a comment, 3 visible characters or more, 100 characters or fewer."""
    prose = prose_rows(text)
    return [
        line
        for line in _lines(text)
        if line.row not in prose and num_visible(line.text) >= MIN_VISIBLE and len(line.text) <= MAX_LINE_CHARS
    ]


def num_visible(text: str) -> int:
    """Characters that are not white space."""
    return sum(not char.isspace() for char in text)


def prose_rows(text: str) -> set[int]:
    """Rows with a comment, rows of a string that stands alone, and rows that begin inside a string."""
    tree = parse(text, "python")
    assert tree is not None
    prose: set[int] = set()
    waiting: list[tree_sitter.Node] = [tree.root_node]
    while waiting:
        node = waiting.pop()
        first, last = node.start_point.row, node.end_point.row
        if node.type == "comment":
            prose.add(first)
        elif node.type == "string":
            alone = node.parent is not None and node.parent.type == "expression_statement"
            prose.update(range(first if alone else first + 1, last + 1))
        waiting.extend(node.children)
    return prose


def _lines(text: str) -> list[Line]:
    pieces = text.split("\n")
    starts = accumulate((len(piece) + 1 for piece in pieces), initial=0)
    return [Line(row, start, piece) for row, (start, piece) in enumerate(zip(starts, pieces, strict=False))]


def _run_of(line: Line) -> int:
    return line.row // LINES_PER_PLACE


def _place(path: str, text: str, lines: list[Line], kind: Kind, rng: Random) -> Place:
    line = rng.choice(lines)
    column = 0
    if kind == "rest":
        indent = len(line.text) - len(line.text.lstrip())
        # Where three visible characters are left at the cursor, as many are left at every place before it.
        last = max(c for c in range(indent, len(line.text)) if num_visible(line.text[c:]) >= MIN_VISIBLE)
        column = rng.randint(indent, last)
    start, end = line.start + column, line.start + len(line.text)
    return Place(path=path, before=text[:start], after=text[end:], gold=text[start:end])
