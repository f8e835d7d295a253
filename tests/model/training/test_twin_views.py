"""Views towards the twin's text: what is visible, what is labelled, and how much each row weighs."""

from random import Random

import numpy as np
import pytest

from model.diffusion.corruption import IGNORE
from model.diffusion.states import DRAFT, MASKED
from model.tokenizer import DEL, EOM, MASK
from model.training.twin_text import Start
from model.training.twin_views import DECAY, MAX_BLOCK, MIN_BLOCK, draw_starts, view, with_twin_texts, without_noise

SIZES = {"clean_tokens": 192, "noisy_tokens": 128}


def test_starts_fill_the_row_and_begin_with_the_canvas(toy_shards) -> None:
    rows = draw_starts(toy_shards, seed=2, number=3, num_rows=3, **SIZES)
    assert rows == draw_starts(toy_shards, seed=2, number=3, num_rows=3, **SIZES)
    for number, (samples, starts) in enumerate(rows):
        assert 128 - MIN_BLOCK < sum(start.num_tokens for start in starts) <= 128
        for start in starts:
            sample = samples[start.sample]
            assert start.row == number
            assert sample.canvas_start <= start.position < len(sample.ids)
            assert start.num_tokens <= MAX_BLOCK
        for owner in {start.sample for start in starts}:
            first = next(start for start in starts if start.sample == owner)
            assert first.position == samples[owner].canvas_start


def test_a_view_masks_all_but_a_left_run_and_some_of_the_rest() -> None:
    text = list(range(100, 112))
    seen_scattered = seen_whole = False
    for seed in range(200):
        block = view(text, 7, Start(0, 0, 30, 12), Random(seed))
        assert (block.start, block.clean, len(block.tokens)) == (7, text, 12)
        masked = [i for i in range(12) if block.states[i] == MASKED]
        assert masked
        seen_whole |= len(masked) == 12
        seen_scattered |= masked != list(range(masked[0], 12))
        for i in range(12):
            if i in masked:
                assert (block.tokens[i], block.labels[i]) == (MASK, text[i])
                assert block.weights[i] == pytest.approx(block.weights[masked[0]] * DECAY ** (i - masked[0]))
            else:
                assert (block.tokens[i], block.states[i], block.labels[i]) == (text[i], DRAFT, IGNORE)
                assert block.weights[i] == 0
        assert sum(block.weights) == pytest.approx(12)
    assert seen_scattered
    assert seen_whole


def test_behind_the_end_stand_surplus_masks_that_weigh_as_one_token() -> None:
    text = [100, 101, EOM]
    for seed in range(50):
        block = view(text, 0, Start(0, 0, 30, 8), Random(seed))
        assert block.tokens[2:] == [MASK] * 6
        assert block.labels[2:] == [EOM] + [DEL] * 5
        assert sum(block.weights[3:]) == pytest.approx(block.weights[2] * DECAY)
        assert sum(block.weights) == pytest.approx(3)


def test_batches_hold_the_texts_at_their_places(toy_shards) -> None:
    rows = draw_starts(toy_shards, seed=2, number=0, num_rows=2, **SIZES)
    starts = [start for _, starts in rows for start in starts]
    texts = [[100 + i % 100] * start.num_tokens for i, start in enumerate(starts)]
    batch = with_twin_texts(rows, texts, Random(0), **SIZES)
    bare = without_noise(rows, clean_tokens=192)
    np.testing.assert_array_equal(batch.clean_labels, bare.clean_labels)
    assert (batch.clean_labels >= 0).any()
    offsets = [0, 0]
    for start, text in zip(starts, texts, strict=True):
        place = slice(offsets[start.row], offsets[start.row] + start.num_tokens)
        offsets[start.row] = place.stop
        assert set(batch.noisy_positions[start.row, place]) == set(
            range(start.position, start.position + start.num_tokens)
        )
        assert set(batch.noisy_start[start.row, place]) == {start.position}
        assert set(batch.noisy_sample[start.row, place]) == {start.sample}
        labels = batch.noisy_labels[start.row, place]
        assert set(labels[labels != IGNORE]) == {text[0]}
