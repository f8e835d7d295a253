"""Noisy rows over kept clean keys are those of the pass over both streams, whichever columns are asked for."""

import numpy as np
import pytest
import torch

from model.diffusion.objective import allowed_labels
from model.network.config import tiny_test
from model.network.transformer import Transformer
from model.training.block_runs import BlockRuns, draw_runs
from model.training.two_stream import hidden_rows, rows_of

SIZES = {"num_rows": 2, "clean_tokens": 192, "noisy_tokens": 128, "copies": 2}


@pytest.fixture(scope="module")
def network() -> Transformer:
    torch.manual_seed(3)
    network = Transformer(tiny_test(320)).eval().requires_grad_(False)
    assert network.state_table is not None
    torch.nn.init.normal_(network.state_table, std=0.5)
    return network


def full_log_p(network: Transformer, runs: BlockRuns) -> np.ndarray:
    """log p (B, N, V) of every noisy row by the pass over both streams."""
    hidden = hidden_rows(network, rows_of(runs.view()), bf16=False)[:, runs.batch.clean_tokens.shape[1] :]
    allowed_V = allowed_labels(320)[1]
    return network.logits(hidden).masked_fill(~allowed_V, -1e30).log_softmax(-1).numpy()


@pytest.mark.parametrize("only", [None, [0], [1, 3], [2, 0, 4]])
def test_a_reading_is_what_the_whole_pass_says(toy_shards, network, only) -> None:
    runs = draw_runs(toy_shards, seed=1, number=0, **SIZES)
    assert len(runs.runs) > 5
    runs.start_reading(network, bf16=False)
    for run in runs.runs:  # a begun state: every third row is visible
        runs.write(run, range(0, len(run.clean), 3), run.clean[::3])
    reading = runs.read(network, allowed_labels(320), bf16=False, only=only)
    log_p = full_log_p(network, runs)
    num_seen = 0
    for number, run in enumerate(runs.runs):
        rows = runs.masked(run)
        if only is not None and number not in only:
            assert not reading.best_log_p[run.place][rows].any()
            continue
        at = run.row, run.offset + rows
        num_seen += len(rows)
        np.testing.assert_allclose(reading.best_log_p[at], log_p[at].max(-1), atol=1e-4)
        true = [(*run.clean, *[2] * run.width)[row] for row in rows]
        np.testing.assert_allclose(reading.true_log_p[at], log_p[at][np.arange(len(rows)), true], atol=1e-4)
        np.testing.assert_allclose(reading.entropy[at], -(np.exp(log_p[at]) * log_p[at]).sum(-1), atol=1e-3)
    assert num_seen > 0
