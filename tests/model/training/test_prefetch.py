"""Batches made ahead are the ones made on demand, in whatever order and stage they are asked for."""

import multiprocessing
from dataclasses import fields

import numpy as np
import pytest

from model.training.mistakes import SlipTable
from model.training.packing import Batch, make_batch
from model.training.prefetch import Batches, BatchShape
from model.training.run_state import TrainError
from model.training.schedule import data_stage

SHAPE = BatchShape(seed=5, num_rows=2, clean_tokens=256, noisy_tokens=128)
ASKED = [("warm-up", 0), ("warm-up", 1), ("mask", 2), ("mask", 3), ("mask", 7), ("edit", 10), ("edit", 4)]


def same(first: Batch, second: Batch) -> bool:
    pairs = [(getattr(first, field.name), getattr(second, field.name)) for field in fields(Batch)]
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)


def test_a_process_among_several_has_its_own_numbers_ready(toy_folder, toy_shards):
    table, stream = SlipTable(toy_shards.tokenizer), SHAPE.open_stream(toy_folder)
    with Batches(toy_folder, stream, table, SHAPE, num_workers=1, stride=3) as batches:
        batches.get("warm-up", 1)
        assert set(batches._waiting) == {("warm-up", 4), ("warm-up", 7)}


@pytest.mark.parametrize("num_workers", [0, 1])
def test_batches_are_those_of_make_batch(toy_folder, toy_shards, num_workers: int):
    table = SlipTable(toy_shards.tokenizer)
    with Batches(toy_folder, SHAPE.open_stream(toy_folder), table, SHAPE, num_workers=num_workers) as batches:
        for stage, number in ASKED:
            wanted = make_batch(
                toy_shards,
                table,
                stage=data_stage(stage, number),
                seed=5,
                step=number,
                num_rows=2,
                clean_tokens=256,
                noisy_tokens=128,
            )
            assert same(batches.get(stage, number), wanted), (stage, number)


def test_a_worker_that_died_is_said(toy_folder, toy_shards):
    with Batches(
        toy_folder, SHAPE.open_stream(toy_folder), SlipTable(toy_shards.tokenizer), SHAPE, num_workers=1
    ) as batches:
        batches.get("warm-up", 0)
        (worker,) = multiprocessing.active_children()
        worker.kill()
        worker.join()
        with pytest.raises(TrainError, match="has died"):
            list(map(batches.get, ["warm-up"] * 8, range(1, 9)))
