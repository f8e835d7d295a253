import random

import pytest

from model.diffusion.batch import denoise_batch, step_batch
from model.diffusion.canvas import known_length_canvas, masked_canvas, mixed_canvas
from model.diffusion.policy import Policy
from model.diffusion.run import Run
from model.diffusion.sampler import denoise_to_end
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.network.kv_cache import KVCache
from model.tokenizer import MASK


def requests(num):
    """Prompts of different lengths and canvases of every kind."""
    rng = random.Random(11)
    prompts = [[1, 6, *(rng.randint(64, 511) for _ in range(rng.randint(0, 40)))] for _ in range(num)]
    canvases = []
    for b in range(num):
        text = [rng.randint(64, 511) for _ in range(rng.randint(3, 20))]
        kinds = [
            masked_canvas(rng.randint(1, 40)),
            known_length_canvas(rng.randint(1, 40)),
            mixed_canvas([(DRAFT, text), (MASKED, [MASK] * 5), (LOCKED, text)]),
            mixed_canvas([(LOCKED, text), (MASKED, [MASK] * 30)], max_tokens=40),
        ]
        canvases.append(kinds[b % 4])
    return prompts, canvases


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("edits", ["none", "insert-delete"])
def test_a_batch_equals_lone_runs(tiny_network, edits, temperature):
    prompts, canvases = requests(9)
    policies = [
        Policy(
            edits=edits,
            tau_mask=0.1,
            tau_edit=0.02,
            tau_remask=0.001,
            extra_edit_steps=2,
            block=8 + b,
            temperature=temperature,
            seed=b,
        )
        for b in range(9)
    ]
    cache = KVCache(tiny_network.config, batch_size=9, capacity=64)
    together = denoise_batch(tiny_network, cache, prompts, canvases, policies)
    assert len({result.forwards for result in together}) > 1  # they end at different times
    for b, result in enumerate(together):
        alone = denoise_to_end(tiny_network, KVCache(tiny_network.config), prompts[b], canvases[b], policies[b])
        assert result.ids == alone.ids
        assert (result.reason, result.forwards) == (alone.reason, alone.forwards)
        assert result.confidence == pytest.approx(alone.confidence, rel=1e-4)


def test_stop_rules_deadlines_and_limits_are_each_ones_own(tiny_network):
    prompts, _ = requests(3)
    policies = [Policy(tau_mask=1.1), Policy(tau_mask=1.1, max_steps=2), Policy(tau_mask=1.1)]
    answers = iter([None] * 5 + ["deadline"] * 3)
    results = denoise_batch(
        tiny_network,
        KVCache(tiny_network.config, batch_size=3),
        prompts,
        [known_length_canvas(20)] * 3,
        policies,
        finished=[lambda ids: 1 if len(ids) >= 1 else None, None, None],
        expired=lambda: next(answers),
    )
    assert [result.reason for result in results[1:]] == ["max_steps", "deadline"]
    assert results[0].reason in ("stop", "deadline")
    assert [result.forwards for result in results[1:]] == [2, 5]


def test_a_canvas_may_join_between_passes(tiny_network):
    """What a scheduler does: caches joined when a second request arrives in the middle of the first."""
    prompts, _ = requests(2)
    policy = Policy(tau_mask=0.1, first_block=8, block=8)
    canvas = known_length_canvas(24)
    first = Run(prompts[0], canvas, policy)
    cache = KVCache(tiny_network.config)
    step_batch(tiny_network, cache, [first])
    step_batch(tiny_network, cache, [first])
    second = Run(prompts[1], canvas, policy)
    cache = KVCache.join([cache, KVCache(tiny_network.config)])
    while first.result is None or second.result is None:
        step_batch(tiny_network, cache, [first, second])
    for run, prompt in ((first, prompts[0]), (second, prompts[1])):
        alone = denoise_to_end(tiny_network, KVCache(tiny_network.config), prompt, canvas, policy)
        assert run.result is not None
        assert (run.result.ids, run.result.forwards) == (alone.ids, alone.forwards)


def test_runs_that_need_no_pass_and_numbers_that_disagree(tiny_network):
    cache = KVCache(tiny_network.config, batch_size=1)
    assert denoise_batch(tiny_network, cache, [[1]], [masked_canvas(0)], Policy())[0].forwards == 0
    assert step_batch(tiny_network, cache, [None]) == [None]
    with pytest.raises(ValueError, match="must agree"):
        denoise_batch(tiny_network, cache, [[1], [1]], [masked_canvas(4)], Policy())
