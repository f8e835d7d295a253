"""Slips in tokens: what a block becomes is the text with one slip, and it can be undone by its labels."""

from collections import Counter
from random import Random

import pytest

from model.diffusion.corruption import BlockSlip
from model.diffusion.labels import align_labels
from model.diffusion.states import DRAFT, LOCKED
from model.prompts import document_ids, layout_ids
from model.tokenizer import DEL, EOM, INS, Tokenizer, tokenizer_json
from model.training.canvas_slips import CanvasSlips
from model.training.samples import Sample, draw_sample
from model.training.syntax_slips import apply_slip, syntax_slips

CODE = "def f(self, ä):\n    total = self.beta(ä, 12)\n    if total == ä:\n        return [total]\n"


@pytest.fixture(scope="module")
def tokenizer():
    merges = [("=", "="), ("s", "e"), ("l", "f"), ("se", "lf"), (")", ":"), ("t", "o"), ("to", "t"), ("tot", "a")]
    return Tokenizer.from_bytes(tokenizer_json(merges).encode())


def slipped(tokenizer, canvas, head, *, start=0, size=None, seeds=200):
    """Over some seeds: the canvas's text with a slip in tokens [start, start + size), or None."""
    ids = tokenizer.encode(canvas)
    size = len(ids) + 1 - start if size is None else size
    for seed in range(seeds):
        slips = CanvasSlips(Sample([*head, *ids, EOM], len(head), 0, "span"), tokenizer)
        slip = slips.draw(start, size, Random(seed))
        if slip is None:
            yield None
            continue
        assert 0 <= slip.start <= slip.end <= size
        assert slip.start < size
        changed = [*ids[: start + slip.start], *slip.tokens, *ids[start + slip.end :]]
        assert changed != ids
        yield tokenizer.decode(changed)


def test_a_slip_in_tokens_is_a_slip_in_the_text(tokenizer):
    texts = set(slipped(tokenizer, CODE, document_ids([])))
    possible = {apply_slip(CODE, slip) for seed in range(60) for slip in syntax_slips(CODE, Random(seed))}
    assert len(texts) > 15
    assert texts <= possible


def test_the_text_around_the_canvas_counts(tokenizer):
    """A canvas of half a line has its names exchanged with those of the lines around it."""
    encode = tokenizer.encode
    head = layout_ids(
        path=[], suffix=[], prefix=[], tail=encode(", other)\n"), line=encode("def f(name, other):\n    call(")
    )
    texts = {text for text in slipped(tokenizer, "name", head) if text is not None}
    assert "other" in texts
    assert all(text != "name" for text in texts)


def test_slips_stay_in_their_block(tokenizer):
    num_tokens = len(tokenizer.encode(CODE))
    found = Counter()
    for start in range(0, num_tokens, 7):
        for text in slipped(tokenizer, CODE, document_ids([]), start=start, size=7, seeds=10):
            found[text is None] += 1
    assert found[False] > 30


def test_the_line_is_tokenized_as_an_editor_s_would_be(tokenizer):
    ids = tokenizer.encode(CODE)
    head = document_ids([])
    slips = CanvasSlips(Sample([*head, *ids, EOM], len(head), 0, "document"), tokenizer)
    canonical = 0
    for seed in range(100):
        slip = slips.draw(0, len(ids), Random(seed))
        assert slip is not None
        changed = [*ids[: slip.start], *slip.tokens, *ids[slip.end :]]
        canonical += tokenizer.encode(tokenizer.decode(changed)) == changed
    assert canonical == 100


@pytest.mark.parametrize("canvas", ["", "\n", "   ", "# ä\n"])
def test_no_place_for_a_slip(tokenizer, canvas):
    assert set(slipped(tokenizer, canvas, document_ids([]), seeds=3)) == {None}


def test_what_is_missing_at_a_line_s_end_is_asked_for_before_the_canvas_ends(tokenizer):
    """As a repair shows it: the line without its newline, and behind it a locked <eom>."""
    canvas = tokenizer.encode("if total == ä:")
    head = layout_ids(path=[], suffix=[], prefix=[], tail=tokenizer.encode("\n    pass\n"), line=[])
    slips = CanvasSlips(Sample([*head, *canvas, EOM], len(head), 0, "span"), tokenizer)
    found = [slips.draw(0, len(canvas) + 1, Random(seed)) for seed in range(200)]
    at_the_end = BlockSlip(len(canvas) - 1, len(canvas), ())
    assert at_the_end in found
    labels = align_labels([*canvas[:-1], EOM], [DRAFT] * (len(canvas) - 1) + [LOCKED], [*canvas, EOM])
    assert labels == [*canvas[:-1], INS]


def test_labels_of_a_slip_name_the_true_text(toy_shards):
    rng = Random(3)
    seen = 0
    for _ in range(60):
        sample = draw_sample(toy_shards, rng, 300)
        canvas = sample.ids[sample.canvas_start :][:40]
        slip = CanvasSlips(sample, toy_shards.tokenizer).draw(0, len(canvas), rng)
        if slip is None:
            continue
        changed = [*canvas[: slip.start], *slip.tokens, *canvas[slip.end :]]
        # Behind the cut canvas nothing stands that could ask for what is missing there.
        whole = [*canvas, EOM]
        labels = align_labels([*changed, EOM], [DRAFT] * (len(changed) + 1), whole)
        assert labels != [*changed, EOM]
        assert all(label in (DEL, INS) or label in whole for label in labels)
        seen += 1
    assert seen > 30
