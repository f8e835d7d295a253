"""Runs begin as masks over true text, change as they are written, and tell the network what it would see."""

import numpy as np
import pytest

from model.diffusion.states import DRAFT, MASKED
from model.tokenizer import DEL, EOM, MASK
from model.training.block_runs import BlockRuns, Run, draw_runs

SIZES = {"num_rows": 3, "clean_tokens": 256, "noisy_tokens": 160}


def whole(runs: BlockRuns, *, end: bool) -> Run:
    """A run whose block has (or has not) the end of its text."""
    return next(run for run in runs.runs if (run.clean[-1] == EOM) == end and len(run.clean) >= 4)


@pytest.fixture
def runs(toy_shards) -> BlockRuns:
    return draw_runs(toy_shards, seed=4, number=1, copies=2, **SIZES)


def test_runs_are_masks_of_the_true_text(runs: BlockRuns) -> None:
    batch = runs.batch
    for run in runs.runs:
        assert (runs.tokens[run.place] == MASK).all()
        assert (runs.states[run.place] == MASKED).all()
        start, owner = batch.noisy_start[run.row, run.offset], batch.noisy_sample[run.row, run.offset]
        clean = batch.clean_tokens[run.row][batch.clean_sample[run.row] == owner]
        assert tuple(clean[start : start + len(run.clean)]) == run.clean
        assert run.width >= len(run.clean)
    groups = [run.group for run in runs.runs]
    assert groups == sorted(groups)
    assert set(np.bincount(groups)) == {2}


def test_the_same_arguments_give_the_same_runs(toy_shards, runs: BlockRuns) -> None:
    again = draw_runs(toy_shards, seed=4, number=1, copies=2, **SIZES)
    assert again.runs == runs.runs
    assert draw_runs(toy_shards, seed=4, number=2, copies=2, **SIZES).runs != runs.runs


def test_small_blocks_alone_where_asked(toy_shards) -> None:
    found = draw_runs(toy_shards, seed=4, number=1, copies=1, max_block=8, **SIZES)
    assert found.runs
    assert max(run.width for run in found.runs) <= 8


def test_writing(runs: BlockRuns) -> None:
    run = whole(runs, end=False)
    runs.write(run, [1], [run.clean[1]])
    assert runs.tokens[run.place][1] == run.clean[1]
    assert runs.states[run.place][1] == DRAFT
    assert list(runs.masked(run)) == [row for row in range(run.width) if row != 1]
    with pytest.raises(AssertionError):
        runs.write(run, [1], [run.clean[1]])


def test_the_end_silences_what_stands_behind_it(runs: BlockRuns) -> None:
    run = whole(runs, end=True)
    runs.write(run, [1], [EOM])
    assert list(runs.live(run)) == [0, 1]
    assert list(runs.masked(run)) == [0]
    assert (runs.view().noisy_block[run.place][2:] == -1).all()


def test_a_deleted_mask_moves_the_rest_up(runs: BlockRuns) -> None:
    run = whole(runs, end=False)
    before = runs.positions[run.place].copy()
    runs.write(run, [1], [DEL])
    assert list(runs.live(run)) == [0, *range(2, run.width)]
    assert list(runs.positions[run.place][2:]) == list(before[1:-1])
