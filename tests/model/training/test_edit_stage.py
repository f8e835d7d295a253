"""The model's own mistakes and drafts: filled in, labelled again, the same for the same seed, greedy for drafts."""

import numpy as np
import pytest
import torch

from model.diffusion.labels import align_labels
from model.diffusion.objective import allowed_labels
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.network.config import tiny_test
from model.tokenizer import EOM, NUM_RESERVED
from model.training.edit_stage import with_own_mistakes
from model.training.mistakes import SlipTable
from model.training.packing import make_batch


@pytest.fixture(scope="module")
def before(toy_shards):
    table = SlipTable(toy_shards.tokenizer)
    return [make_batch(toy_shards, table, stage="edit", seed=2, step=step, num_rows=6) for step in range(4)]


@pytest.fixture(scope="module")
def network(make_network, toy_shards):
    return make_network(tiny_test(toy_shards.tokenizer.vocab_size))


def test_no_place_waits_afterwards(network, before):
    allowed = allowed_labels(network.config.vocab_size)
    seen = {True: 0, False: 0}
    for batch in before:
        after = with_own_mistakes(network, batch, allowed, seed=1, bf16=False)
        again = with_own_mistakes(network, batch, allowed, seed=1, bf16=False)
        assert not after.own
        assert np.array_equal(after.noisy_tokens, again.noisy_tokens)
        for mistake in batch.own:
            block = mistake.block
            place = (mistake.row, slice(mistake.offset, mistake.offset + len(block.tokens)))
            tokens, states = after.noisy_tokens[place].tolist(), after.noisy_states[place].tolist()
            assert after.noisy_labels[place].tolist() == align_labels(tokens, states, block.clean)
            seen[block.is_draft] += 1
            if block.is_draft:
                kinds = {state for token, state in zip(tokens, states, strict=True) if token != EOM}
                assert kinds in ({DRAFT}, {MASKED})
                assert EOM not in tokens or states[-1] == LOCKED
            else:
                assert all(states[row] == DRAFT and tokens[row] >= NUM_RESERVED for row in block.own)
    assert min(seen.values()) > 3


def test_drafts_do_not_depend_on_the_seed(network, before):
    allowed = allowed_labels(network.config.vocab_size)
    differ = 0
    for batch in before:
        one, two = (with_own_mistakes(network, batch, allowed, seed=seed, bf16=False) for seed in (1, 2))
        for mistake in batch.own:
            place = (mistake.row, slice(mistake.offset, mistake.offset + len(mistake.block.tokens)))
            same = np.array_equal(one.noisy_tokens[place], two.noisy_tokens[place])
            assert same or not mistake.block.is_draft
            differ += not same
    assert differ > 5


def test_other_rows_stay(network, before):
    torch.manual_seed(0)
    after = with_own_mistakes(network, before[0], allowed_labels(network.config.vocab_size), seed=1, bf16=False)
    touched = {mistake.row for mistake in before[0].own}
    for row in set(range(6)) - touched:
        assert np.array_equal(after.noisy_tokens[row], before[0].noisy_tokens[row])
        assert np.array_equal(after.noisy_labels[row], before[0].noisy_labels[row])
