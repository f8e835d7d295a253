"""Edits at several thresholds, judged by the clean stream: over a real, tiny network in fp32."""

import msgspec
import pytest
import torch

from model.diffusion.canvas import draft_canvas
from model.diffusion.judged import JudgedSteps
from model.diffusion.policy import Policy
from model.diffusion.sampler import denoise_to_end
from model.diffusion.steps import run_alone
from model.network.config import tiny_test
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.tokenizer import EOM, NUM_RESERVED

PROMPT = [1, 6, *range(70, 100)]
OLD = list(range(100, 120))
LOOSE = Policy(edits="insert-delete", tau_edit=0.0, own_max=1.0, tau_remask=0.0, extra_edit_steps=4)
POLICIES = [msgspec.structs.replace(LOOSE, tau_edit=tau) for tau in (0.0, 0.002, 0.0021, 1.0)]


@pytest.fixture(scope="module")
def network(make_network):
    return make_network(tiny_test(), 3)


def written_by(network, policy):
    return denoise_to_end(network, KVCache(network.config), PROMPT, draft_canvas(OLD), policy).ids


def likelihood(network, ids):
    cache = KVCache(network.config)
    tokens = torch.tensor([[*PROMPT, *ids]])
    with torch.inference_mode():
        hidden_1TD, _ = one_pass(network, cache, Rows(tokens), None)
        logits_TV = network.logits(hidden_1TD[0, len(PROMPT) - 1 :]).float()
    kept = [EOM, *range(NUM_RESERVED, logits_TV.shape[1])]
    log_p = logits_TV[:, kept].log_softmax(-1)
    return sum(float(log_p[row, kept.index(token)]) for row, token in enumerate([*ids, EOM]))


def run(network, *, seed=0, is_sound=lambda _ids: True, policies=POLICIES, cache=None, expired=None):
    policies = [msgspec.structs.replace(policy, seed=seed) for policy in policies]
    cache = KVCache(network.config) if cache is None else cache
    return list(run_alone(network, JudgedSteps(cache, PROMPT, draft_canvas(OLD), policies, is_sound=is_sound), expired))


def test_the_likeliest_of_all_texts_and_the_old_one(network):
    texts = {written_by(network, policy) for policy in POLICIES} | {tuple(OLD)}
    assert len(texts) > 2
    result = run(network)[-1].result
    assert result is not None
    assert result.ids == max(texts, key=lambda ids: likelihood(network, ids))


def test_unsound_texts_are_dropped_and_without_any_nothing_changes(network):
    allowed = written_by(network, POLICIES[0])
    others = {written_by(network, policy) for policy in POLICIES} - {allowed}
    assert others
    seen = {run(network, seed=seed, is_sound=lambda ids: tuple(ids) == allowed)[-1].result.ids for seed in range(1, 4)}
    assert seen == {allowed}
    result = run(network, is_sound=lambda _ids: False)[-1].result
    assert (result.ids, result.reason, result.complete) == (tuple(OLD), "eom", True)


def test_a_seed_asks_for_another_text(network):
    found = {written_by(network, policy) for policy in POLICIES} - {tuple(OLD)}
    ranked = sorted(found, key=lambda ids: likelihood(network, ids), reverse=True)
    for seed in range(1, 6):
        assert run(network, seed=seed)[-1].result.ids == ranked[seed % len(ranked)]


def test_steps_count_through_and_passes_are_all_counted(network):
    cache = KVCache(network.config)
    frames = run(network, cache=cache)
    steps = [frame.step for frame in frames]
    assert steps == sorted(steps)
    assert [frame.result is None for frame in frames] == [True] * (len(frames) - 1) + [False]
    result = frames[-1].result
    assert result.forwards == len(frames)
    assert int(cache.lengths_B[0]) == len(PROMPT)
    again = run(network, cache=cache)[-1].result
    assert again.ids == result.ids
    assert again.cached_tokens == len(PROMPT)


@pytest.mark.parametrize("after", [0, 1, 3, 6, 9, 12, 15])
def test_an_interruption_gives_what_was_found_or_ends_as_the_run_does(network, after):
    left = iter(range(after))
    frames = run(network, expired=lambda: None if next(left, None) is not None else "deadline")
    result = frames[-1].result
    assert result is not None
    if result.reason == "deadline" and result.usable and result.ids != tuple(OLD):
        assert result.ids in {written_by(network, policy) for policy in POLICIES} or not result.complete
    assert result.forwards <= after
