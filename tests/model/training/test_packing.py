"""Packed batches: a pure function of (seed, step), vectors that agree with each other, rows that are full."""

from dataclasses import fields
from functools import partial

import numpy as np
import pytest
import torch

from model.diffusion.corruption import IGNORE
from model.diffusion.states import MASKED
from model.network.config import tiny_test
from model.network.transformer import Transformer
from model.tokenizer import MASK, OLD
from model.training.mistakes import SlipTable
from model.training.packing import make_batch
from model.training.two_stream import checkpointed, hidden_rows, rows_of, two_stream_hidden, two_stream_layer

STAGES = ("warm-up", "mask", "edit")


@pytest.fixture(scope="module")
def table(toy_shards):
    return SlipTable(toy_shards.tokenizer)


def batch_of(shards, table, stage, *, seed=1, step=0, num_rows=6):
    return make_batch(shards, table, stage=stage, seed=seed, step=step, num_rows=num_rows)


def arrays(batch):
    return {f.name: getattr(batch, f.name) for f in fields(batch) if isinstance(getattr(batch, f.name), np.ndarray)}


@pytest.mark.parametrize("stage", STAGES)
def test_same_seed_and_step_same_batch(toy_shards, table, stage):
    first, again = (arrays(batch_of(toy_shards, table, stage)) for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    for other in (batch_of(toy_shards, table, stage, step=1), batch_of(toy_shards, table, stage, seed=2)):
        assert not np.array_equal(first["clean_tokens"], other.clean_tokens)


def test_the_stage_does_not_change_the_order_of_the_text(toy_shards, table):
    warm, mask = (batch_of(toy_shards, table, stage) for stage in ("warm-up", "mask"))
    assert np.array_equal(warm.clean_tokens, mask.clean_tokens)
    assert warm.noisy_tokens.shape[1] == 0


@pytest.mark.parametrize("stage", STAGES[1:])
def test_vectors_agree(toy_shards, table, stage):
    batch = batch_of(toy_shards, table, stage)
    num_blocks = 0
    for b in range(len(batch.clean_tokens)):
        for number in range(batch.clean_sample[b].max() + 1):
            places = np.flatnonzero(batch.clean_sample[b] == number)
            assert np.array_equal(batch.clean_positions[b, places], np.arange(len(places)))
        for number in range(batch.noisy_block[b].max() + 1):
            places = np.flatnonzero(batch.noisy_block[b] == number)
            num_blocks += 1
            assert np.array_equal(places, np.arange(places[0], places[-1] + 1))
            assert len(set(batch.noisy_sample[b, places])) == 1
            start = batch.noisy_start[b, places[0]]
            assert np.array_equal(batch.noisy_positions[b, places], start + np.arange(len(places)))
            # What a masked row is to become, and what a clean visible row is, stands in the clean stream.
            sample = batch.clean_tokens[b, batch.clean_sample[b] == batch.noisy_sample[b, places[0]]]
            if stage == "mask":
                for place in places:
                    label, position = batch.noisy_labels[b, place], batch.noisy_positions[b, place]
                    if batch.noisy_weights[b, place] and position < len(sample):
                        assert label == sample[position]
        assert ((batch.noisy_weights[b] > 0) == (batch.noisy_labels[b] != IGNORE)).all()
        masked = batch.noisy_states[b] == MASKED
        assert (batch.noisy_tokens[b][masked] == MASK).all()
    assert num_blocks > 20


def test_rows_are_full(toy_shards, table):
    batch = batch_of(toy_shards, table, "mask", num_rows=16)
    assert (batch.clean_sample >= 0).mean() > 0.85
    assert (batch.noisy_sample >= 0).mean() > 0.85


def test_own_mistakes_wait_in_the_first_half(toy_shards, table):
    found = [m for step in range(6) for m in batch_of(toy_shards, table, "edit", step=step, num_rows=8).own]
    assert found
    assert all(mistake.row < 4 for mistake in found)


@pytest.mark.parametrize("stage", STAGES)
def test_chunked_forward_is_the_dense_one(make_network, toy_shards, table, stage):
    network = make_network(tiny_test(toy_shards.tokenizer.vocab_size))
    rows = rows_of(batch_of(toy_shards, table, stage, num_rows=2))
    hidden = hidden_rows(network, rows, bf16=False)
    hidden.square().mean().backward()
    found = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    dense = network(rows.tokens_BT, rows.positions_BT, rows.states_BT, rows.dense_mask())
    dense.square().mean().backward()
    assert float((hidden - dense).abs().max()) < 2e-5
    for name, p in network.named_parameters():
        scale = float(p.grad.abs().max())
        assert float((found[name] - p.grad).abs().max()) <= 2e-3 * scale + 1e-8


def test_noisy_rows_never_change_the_clean_stream(make_network, toy_shards, table):
    network = make_network(tiny_test(toy_shards.tokenizer.vocab_size))
    with torch.no_grad():
        warm = hidden_rows(network, rows_of(batch_of(toy_shards, table, "warm-up", num_rows=2)), bf16=False)
        mask = hidden_rows(network, rows_of(batch_of(toy_shards, table, "mask", num_rows=2)), bf16=False)
    assert float((warm - mask[:, : warm.shape[1]]).abs().max()) < 2e-5


def test_a_visible_row_of_one_is_not_its_clean_row(make_network, toy_shards, table):
    """A noisy row sees clean rows *before* its block and its state, so it differs from the clean row of the same
    token."""
    network = make_network(tiny_test(toy_shards.tokenizer.vocab_size))
    batch = batch_of(toy_shards, table, "edit", num_rows=4)
    with torch.no_grad():
        hidden = hidden_rows(network, rows_of(batch), bf16=False)
    num_clean = batch.clean_tokens.shape[1]
    for b in range(4):
        for place in np.flatnonzero(batch.noisy_states[b] != MASKED)[:20]:
            if batch.noisy_sample[b, place] < 0:
                continue
            same = (batch.clean_sample[b] == batch.noisy_sample[b, place]) & (
                batch.clean_positions[b] == batch.noisy_positions[b, place]
            )
            row = int(np.flatnonzero(same)[0]) if same.any() else None
            if row is not None:
                assert float((hidden[b, row] - hidden[b, num_clean + place]).abs().max()) > 1e-3


def test_the_share_of_rewrites_can_be_raised(toy_shards, table):
    def num_old(share: float) -> int:
        batches = [
            make_batch(toy_shards, table, stage="edit", seed=4, step=step, num_rows=4, rewrite_share=share)
            for step in range(6)
        ]
        return sum(int((batch.clean_tokens == OLD).sum()) for batch in batches)

    assert num_old(0.0) == 0
    assert num_old(0.9) > num_old(0.1)


def test_layers_that_run_again_give_the_same_gradients(toy_shards, table):
    """Gradient checkpointing, with and without noisy rows."""
    torch.manual_seed(0)
    network = Transformer(tiny_test(toy_shards.tokenizer.vocab_size))
    for stage in ("warm-up", "edit"):
        batch = batch_of(toy_shards, table, stage, num_rows=2)
        found = []
        for run_layer in (two_stream_layer, checkpointed(two_stream_layer)):
            network.zero_grad()
            forward = partial(two_stream_hidden, run_layer=run_layer)
            hidden_rows(network, rows_of(batch), bf16=False, forward=forward).square().sum().backward()
            found.append([p.grad.clone() for p in network.layers.parameters()])
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
        assert any(float(a.abs().sum()) > 0 for a in found[0])
