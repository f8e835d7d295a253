"""Slips and drafts: what a mistake looks like, as bytes."""

from random import Random

import pytest

from model.prompts import document_ids
from model.tokenizer import EOM, Tokenizer, tokenizer_json
from model.training.mistakes import SlipTable, mistake_sources, partly_edited
from model.training.samples import Sample


@pytest.fixture(scope="module")
def tokenizer():
    merges = [("=", "="), ("s", "e"), ("se", "l"), ("sel", "f"), ("self", "."), (")", ":")]
    return Tokenizer.from_bytes(tokenizer_json(merges).encode())


def one(tokenizer, text):
    ids = tokenizer.encode(text)
    assert len(ids) == 1
    return ids[0]


@pytest.mark.parametrize(
    ("text", "slips"),
    [
        ("==", {"!=", "==="}),
        ("(", {""}),
        ("):", {":", ")"}),
        ("self.", {"", ".", "self"}),
        ("7", {"6", "8"}),
        ("0", {"1"}),
        ("+", {"-"}),
        ("x", set()),
    ],
)
def test_slips(tokenizer, text, slips):
    found = {tokenizer.decode(ids) for ids in SlipTable(tokenizer).slips(one(tokenizer, text))}
    assert slips <= found
    assert text not in found
    if not slips:
        assert found == set()


def sources_of(tokenizer, canvas, lines=(), line_start=True, old=""):
    ids = tokenizer.encode(canvas)
    head = document_ids([])
    kept = tuple(tuple(tokenizer.encode(line)) for line in lines)
    sample = Sample(
        [*head, *ids, EOM], len(head), 0, "span", kept, line_start, old=tuple(tokenizer.encode(old)) if old else ()
    )
    return ids, mistake_sources(sample, SlipTable(tokenizer), own=False)


def drafts_of(tokenizer, sources, ids, number=40):
    """The texts of the drafts over some seeds, None where the block is to be mutated."""
    drafts = [sources.draft(0, ids, Random(seed)) for seed in range(number)]
    return [None if draft is None else tokenizer.decode(draft) for draft in drafts]


def test_the_most_alike_other_line_is_half_of_the_drafts(tokenizer):
    lines = ("    x = self.beta(1)\n", "import os\n", "    x = self.alpha(2)\n")
    ids, sources = sources_of(tokenizer, "    x = self.alpha(1)\n", lines)
    drafts = drafts_of(tokenizer, sources, ids)
    assert set(drafts) == {None, lines[2]}
    assert 10 <= drafts.count(None) <= 30
    assert set(drafts_of(tokenizer, sources, tokenizer.encode("zzzz\n"))) == {None}


def test_a_piece_in_the_middle_of_a_line_is_kept(tokenizer):
    lines = ("    return omega\n",)
    ids, sources = sources_of(tokenizer, "(1)\n    return gamma\n", lines, line_start=False)
    assert set(drafts_of(tokenizer, sources, ids)) == {None, "(1)\n" + lines[0]}


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ("def f(a: int) -> str:\n    return a\n", "def f(a):\n    return a\n"),
        ("return a", "# comment\nreturn a + 1"),
        ("x = 1\n", "y = 22\nz = 3\n"),
        ("abc", "xbc"),
    ],
)
def test_the_drafts_of_a_rewrite_s_blocks_are_its_old_code(tokenizer, new, old):
    ids, sources = sources_of(tokenizer, new, old=old)
    ids = [*ids, EOM]
    assert sources.draft_share > 0.3
    assert tokenizer.decode(sources.draft(0, ids, Random(0))) == old
    for cut in range(1, len(ids)):
        left, right = sources.draft(0, ids[:cut], Random(0)), sources.draft(cut, ids[cut:], Random(0))
        assert left is not None
        assert right is not None
        assert tokenizer.decode([*left, *right]) == old


def test_neighbours_are_text(tokenizer):
    _, sources = sources_of(tokenizer, "abc")
    rng = Random(0)
    assert {tokenizer.decode([sources.neighbour(rng)]) for _ in range(50)} == {"a", "b", "c"}


def test_partly_edited_code_lies_between_old_and_new():
    old, new = [1, 2, 3, 4, 5, 6], [1, 9, 3, 6, 7, 8]
    found = {tuple(partly_edited(old, new, Random(seed))) for seed in range(200)}
    assert tuple(old) in found
    assert tuple(new) in found
    assert (1, 9, 3, 4, 5, 6) in found  # one edit made, the others not
    assert (1, 2, 3, 5, 6, 7) in found
    assert all(tokens[0] == 1 and 3 in tokens and set(tokens) <= {*old, *new} for tokens in found)
