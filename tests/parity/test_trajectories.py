"""The sampler's steps against diffusers' BlockRefinementScheduler: what is written and edited, where, in which step.

Random logits that depend on what stands in the block, so a difference in one step changes all later ones. At
temperature 0; equal scores do not occur. Ours forbids an edited position the token that was there, so the two part
after the first step that edits, and are compared up to there.
"""

import functools
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from model.diffusion.canvas import known_length_canvas
from model.diffusion.policy import Policy
from model.diffusion.reading import read_logits
from model.diffusion.run import Run
from model.tokenizer import MASK, NUM_RESERVED

diffusers = pytest.importorskip("diffusers", reason="the parity extra is not installed")

VOCAB = NUM_RESERVED + 20
NUM_ROWS = 12
NEVER = -1e9


@functools.lru_cache(maxsize=1024)
def logits_of(seed: int, sharpness: float, tokens: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(hash((seed, *tokens)) & 0x7FFFFFFFFFFF)
    rows = torch.randn(len(tokens), VOCAB, generator=generator) * sharpness
    rows[:, :NUM_RESERVED] = NEVER
    return rows


def theirs(seed: int, sharpness: float, *, num_steps: int, threshold: float, editing: float | None) -> list[list[int]]:
    scheduler = diffusers.BlockRefinementScheduler(block_length=NUM_ROWS, num_inference_steps=num_steps)
    scheduler.set_timesteps(num_steps)
    sample, states = torch.full((1, NUM_ROWS), MASK), []
    for step in range(40):
        before = sample
        sample = scheduler.step(
            logits_of(seed, sharpness, tuple(sample[0].tolist())).unsqueeze(0),
            step,
            sample,
            mask_token_id=MASK,
            threshold=threshold,
            editing_threshold=editing,
        ).prev_sample
        if torch.equal(before, sample):
            break
        states.append(sample[0].tolist())
    return states


def ours(seed: int, sharpness: float, policy: Policy) -> list[list[int]]:
    run, states = Run([70], known_length_canvas(NUM_ROWS), policy), []
    while run.result is None:
        request = run.request()
        rows = logits_of(seed, sharpness, tuple(request.tokens[:NUM_ROWS]))
        wanted = torch.tensor([ask.index for ask in request.asks])
        assert wanted.max() < NUM_ROWS  # the locked end is never read
        frame = run.absorb(request, read_logits(rows[wanted], [request])[0])
        states.append(list(frame.block_ids[:NUM_ROWS]))
    return states


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("threshold", "sharpness"), [(0.3, 2.0), (0.6, 3.0), (0.95, 4.0)])
def test_above_a_threshold_and_always_one(seed, threshold, sharpness):
    policy = Policy(order="confidence", tau_mask=threshold)
    wanted = theirs(seed, sharpness, num_steps=NUM_ROWS, threshold=threshold, editing=None)
    assert ours(seed, sharpness, policy) == wanted
    assert len(wanted) > 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("num_steps", [1, 3, 5, 12])
def test_in_equal_quotas(seed, num_steps):
    wanted = theirs(seed, 3.0, num_steps=num_steps, threshold=2.0, editing=None)
    assert ours(seed, 3.0, Policy(order="confidence", steps_per_block=num_steps)) == wanted
    assert len(wanted) == num_steps


def up_to_an_edit(states: list[list[int]]) -> int:
    """How many states there are up to the first one in which a visible position has changed; all without one."""
    for number, (before, after) in enumerate(pairwise(states), 2):
        if any(a != MASK and a != b for a, b in zip(before, after, strict=True)):
            return number
    return len(states)


def test_edits_of_what_is_written():
    policy = Policy(
        order="confidence", tau_mask=0.5, edits="substitute", tau_edit=0.7, own_max=1.0, tau_remask=0.0,
        extra_edit_steps=40,
    )  # fmt: skip
    num_compared = num_edited = 0
    for seed in range(60):
        wanted = theirs(seed, 2.2, num_steps=NUM_ROWS, threshold=0.5, editing=0.7)
        num = up_to_an_edit(wanted)
        assert ours(seed, 2.2, policy)[:num] == wanted[:num]
        num_compared += num
        num_edited += num < len(wanted)
    assert num_compared > 100
    assert num_edited > 20
