"""Slips and drafts: what a mistake looks like, as bytes."""

from random import Random

import pytest

from model.tokenizer import Tokenizer, tokenizer_json
from model.training.mistakes import SlipTable, mistake_sources
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


def sources_of(tokenizer, canvas, lines=(), line_start=True):
    ids = tokenizer.encode(canvas)
    sample = Sample([1, *ids], 1, 1, "span", tuple(tuple(tokenizer.encode(line)) for line in lines), line_start)
    return ids, mistake_sources(sample, SlipTable(tokenizer), own=False)


def test_the_most_alike_other_line_is_the_draft(tokenizer):
    lines = ("    x = self.beta(1)\n", "import os\n", "    x = self.alpha(2)\n")
    ids, sources = sources_of(tokenizer, "    x = self.alpha(1)\n", lines)
    draft = sources.draft(0, ids, Random(0))
    assert tokenizer.decode(draft) == lines[2]
    assert sources.draft(0, tokenizer.encode("zzzz\n"), Random(0)) is None


def test_a_piece_in_the_middle_of_a_line_is_kept(tokenizer):
    lines = ("    return omega\n",)
    ids, sources = sources_of(tokenizer, "(1)\n    return gamma\n", lines, line_start=False)
    assert tokenizer.decode(sources.draft(0, ids, Random(0))) == "(1)\n" + lines[0]


def test_swapped_arguments(tokenizer):
    ids, sources = sources_of(tokenizer, "f(a,b)")
    assert tokenizer.decode(sources.swap_arguments(ids, Random(0))) == "f(b,a)"
    assert sources.swap_arguments(tokenizer.encode("f(a)"), Random(0)) is None


def test_neighbours_are_text(tokenizer):
    _, sources = sources_of(tokenizer, "abc")
    rng = Random(0)
    assert {tokenizer.decode([sources.neighbour(rng)]) for _ in range(50)} == {"a", "b", "c"}
