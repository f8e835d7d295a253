"""Canvases side by side, joining at any time, their prompts in pieces: each writes what it writes alone. fp32."""

import random

import msgspec
import pytest
import torch

from model.diffusion.canvas import masked_canvas, mixed_canvas
from model.diffusion.frames import Result
from model.diffusion.policy import Policy
from model.diffusion.sampler import BlockSteps
from model.diffusion.speculate import SpeculateSteps
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.diffusion.steps import PassRows, Steps, run_alone, run_passes
from model.network.config import tiny_test
from model.network.kv_cache import KVCache


@pytest.fixture(scope="module")
def network(make_network):
    return make_network(tiny_test())


def made(network, seed: int) -> Steps:
    """Of every kind: holes, drafts with locked text, speculation, drawn texts, verified ones."""
    rng = random.Random(seed)
    prompt = [1, *(rng.randrange(64, 512) for _ in range(rng.choice([3, 40, 150])))]
    cache = KVCache(network.config, capacity=64)
    sampled = {"temperature": 1.0, "seed": seed} if seed % 2 else {}
    if seed % 3 == 0:
        return SpeculateSteps(
            cache, prompt, Policy(num_drafts=4, **sampled), max_tokens=20, guess_ids=[70, 71, 72] if seed % 2 else ()
        )
    if seed % 3 == 1:
        policy = Policy(tau_mask=0.05, first_block=7, block=5, verify=0.05 if seed % 4 else None, **sampled)
        return BlockSteps(cache, prompt, masked_canvas(20), policy)
    text = [rng.randrange(64, 512) for _ in range(4)]
    canvas = mixed_canvas([(LOCKED, text[:2]), (DRAFT, text), (MASKED, text), (LOCKED, text[2:])])
    policy = Policy(edits="insert-delete", block=8, extra_edit_steps=2, **sampled)
    return BlockSteps(cache, prompt, canvas, policy)


def alone(network, seed: int) -> Result:
    *_, last = run_alone(network, made(network, seed))
    assert last.result is not None
    return last.result


@pytest.mark.parametrize("seed", range(4))
def test_each_writes_what_it_writes_alone(network, seed):
    rng = random.Random(seed)
    numbers = [rng.randrange(60) for _ in range(6)]
    wanted = [alone(network, number) for number in numbers]
    waiting, running = list(enumerate(numbers)), {}
    got: dict[int, Result] = {}
    while waiting or running:
        if waiting and (not running or rng.random() < 0.5):
            index, number = waiting.pop()
            running[index] = made(network, number)
        chosen = [index for index in running if rng.random() < 0.8] or list(running)
        parts = []
        for index in chosen:
            num_ahead = running[index].pass_rows().num_ahead
            parts.append((running[index], rng.randint(1, num_ahead) if num_ahead and rng.random() < 0.5 else 0))
        for index, frame in zip(chosen, run_passes(network, parts), strict=True):
            if frame is not None and frame.result is not None:
                got[index] = frame.result
                del running[index]
    for index, result in enumerate(wanted):
        assert got[index].ids == result.ids
        assert got[index].reason == result.reason
        assert got[index].forwards == result.forwards  # rows that ran ahead are no pass of their own
        assert got[index].committed_tokens == result.committed_tokens
        assert got[index].confidence == pytest.approx(result.confidence, rel=1e-4)


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_units_run_ahead_together_and_side_by_side_nothing_changes(make_network, seed, shift):
    config = msgspec.structs.replace(
        tiny_test(), attention="block-causal", cache_unit=4, state_vectors=False, shift=shift
    )
    network = make_network(config, 7)

    def unit_steps(number: int) -> BlockSteps:
        rng = random.Random(number)
        prompt = [rng.randrange(64, 512) for _ in range(rng.choice([2, 40, 51, 150]))]
        order = rng.choice(["confidence", "entropy", "margin", "leftmost"])
        policy = Policy(order=order, tau_mask=0.004, steps_per_block=rng.choice([None, 2, 4]))
        return BlockSteps(KVCache(network.config, capacity=64), prompt, masked_canvas(11), policy)

    rng = random.Random(seed)
    numbers = [rng.randrange(60) for _ in range(4)]
    wanted = [list(run_alone(network, unit_steps(number)))[-1].result for number in numbers]
    running, num_ran_ahead = dict(enumerate(unit_steps(number) for number in numbers)), 0
    while running:
        parts = []
        for steps in running.values():
            num_ahead = steps.pass_rows().num_ahead
            parts.append((steps, rng.randint(1, num_ahead) if num_ahead and rng.random() < 0.7 else 0))
        frames = run_passes(network, parts)
        for (index, steps), (_, num), frame in zip(list(running.items()), parts, frames, strict=True):
            num_ran_ahead += num
            assert int(steps.cache.lengths_B[0]) % 4 == 0
            if frame is not None and frame.result is not None:
                assert frame.result.ids == wanted[index].ids
                assert frame.result.forwards == wanted[index].forwards
                assert frame.result.confidence == pytest.approx(wanted[index].confidence, rel=1e-4)
                del running[index]
    assert num_ran_ahead


def test_rows_that_run_ahead_are_those_that_nobody_reads(network):
    assert PassRows([1, 2, 3], num_wanted=0).num_ahead == 2  # a pass must be left
    assert PassRows([1, 2, 3], num_wanted=2).num_ahead == 1
    assert PassRows([1, 2, 3], 0, [4], [1]).num_ahead == 3
    assert PassRows([], 0, [4], [1]).num_ahead == 0
    assert PassRows(range(8), 0, [4], [1], unit=4).num_ahead == 8
    assert PassRows(range(8), 1, [4], [1], unit=4).num_ahead == 4
    assert PassRows(range(8), 0, [4], [1], unit=0).num_ahead == 0
    steps = made(network, 0)
    with pytest.raises(AssertionError, match="ahead"):
        run_passes(network, [(steps, steps.pass_rows().num_ahead + 1)])


def test_a_canvas_that_is_interrupted_before_its_first_pass(network):
    for seed in (0, 1):
        steps = made(network, seed)
        frame = steps.interrupt("cancelled")
        assert frame.result is not None
        assert frame.result.reason == "cancelled"
        assert frame.result.ids == ()
        assert int(steps.cache.lengths_B[0]) == 0
    assert torch.is_grad_enabled()
