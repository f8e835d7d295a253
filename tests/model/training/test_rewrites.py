"""Rewrite samples: they read as their document, with the old code in front, in all kinds and within their room."""

from collections import Counter
from random import Random

import pytest

from model.tokenizer import ASK, BOS, CUR, EOM, FILE, LAYOUT_IDS, OLD, PRE, SUF, TAIL
from model.training.mistakes import SlipTable
from model.training.packing import make_batch
from model.training.rewrites import MAX_SPAN_TOKENS, MIN_ROOM, draw_rewrite


@pytest.fixture(scope="module")
def drawn(toy_shards):
    rng = Random(1)
    return [draw_rewrite(toy_shards, rng, rng.choice((200, 400, 600))) for _ in range(150)]


def test_a_rewrite_reads_as_its_document(drawn, toy_shards, parts_of):
    decode = toy_shards.tokenizer.decode
    documents = [decode(toy_shards.document(i)) for i in range(toy_shards.num_documents)]
    kinds = Counter()
    for sample in drawn:
        if sample is None:
            continue
        kinds[sample.kind] += 1
        parts, canvas = parts_of(sample)
        assert list(parts) == [BOS, FILE, SUF, PRE, TAIL, CUR, OLD, ASK]
        assert canvas[-1] == EOM
        text = decode([*parts[PRE], *parts[CUR], *canvas[:-1], *parts[TAIL], *parts[SUF]])
        assert any(text in document for document in documents)
        assert decode(parts[OLD]) != decode(canvas)
        assert sample.old == tuple(parts[OLD])
        assert decode(parts[ASK]).strip()
        assert max(len(parts[OLD]), len(canvas) - 1) <= MAX_SPAN_TOKENS
        assert len(sample.ids) <= 600
    assert {"rewrite-fix", "rewrite-docstring", "rewrite-rename", "rewrite-body", "rewrite-debug"} <= set(kinds)
    assert "rewrite-type-hints" not in kinds  # the toy text has none
    assert sum(kinds.values()) > 100


def test_neither_old_code_nor_instruction_is_learned_as_text(drawn):
    for sample in drawn:
        if sample is None:
            continue
        old = sample.ids.index(OLD)
        assert not any(sample.has_text_label(i) for i in range(old - 1, sample.canvas_start - 1))
        assert all(sample.has_text_label(i) for i in range(sample.canvas_start - 1, len(sample.ids) - 1))
        assert sample.has_text_label(old - 2) or sample.ids[old - 1] in LAYOUT_IDS


def test_little_room(toy_shards):
    assert draw_rewrite(toy_shards, Random(0), MIN_ROOM - 1) is None
    for seed in range(40):
        sample = draw_rewrite(toy_shards, Random(seed), MIN_ROOM)
        assert sample is None or len(sample.ids) <= MIN_ROOM


def test_rewrites_come_in_the_edit_stage_alone(toy_shards):
    table = SlipTable(toy_shards.tokenizer)
    for stage in ("warm-up", "mask", "edit"):
        batch = make_batch(toy_shards, table, stage=stage, seed=1, step=0, num_rows=40, noisy_tokens=64)
        num_samples = sum(int(row.max()) + 1 for row in batch.clean_sample)
        num_rewrites = int((batch.clean_tokens == ASK).sum())
        if stage == "edit":
            assert 0.03 <= num_rewrites / num_samples <= 0.2
        else:
            assert num_rewrites == 0
