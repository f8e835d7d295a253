"""The loop over a real network: tiny, random, fp32, one thread."""

import random
from itertools import pairwise

import msgspec
import pytest
import torch

from model.diffusion.canvas import draft_canvas, known_length_canvas, masked_canvas, mixed_canvas
from model.diffusion.policy import Policy
from model.diffusion.reading import read_logits
from model.diffusion.run import Run
from model.diffusion.sampler import denoise, denoise_to_end
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.network.config import tiny_test
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.tokenizer import EOM, MASK, NUM_RESERVED

PROMPT = [1, 6, *range(70, 100)]


@pytest.fixture(scope="module")
def networks(make_network):
    """Flat, middling and sharp predictions, and different ones."""
    nets = []
    for seed, scale in ((0, 0.3), (1, 1.0), (2, 3.0)):
        network = make_network(tiny_test(), seed)
        plain = network.logits

        def scaled(hidden, plain=plain, scale=scale):
            return plain(hidden) * scale

        network.logits = scaled
        nets.append(network)
    return nets


def random_canvas(rng, most=14):
    parts = []
    for _ in range(rng.randint(1, 4)):
        state = rng.choice([MASKED, DRAFT, LOCKED])
        parts.append((state, [rng.randint(64, 511) for _ in range(rng.randint(1, most))]))
    return parts, mixed_canvas(parts, max_tokens=70)


def random_policy(rng, seed):
    return Policy(
        edits=rng.choice(["none", "substitute", "insert-delete"]),
        tau_mask=rng.choice([0.005, 0.05, 0.3, 1.1]),
        tau_edit=rng.choice([0.0, 0.01, 0.1]),
        tau_remask=rng.choice([0.0, 0.002, 0.5]),
        extra_edit_steps=rng.choice([0, 4]),
        block=rng.choice([1, 3, 7, 16, 32, 64]),
        first_block=rng.choice([1, 5, 16]),
        temperature=rng.choice([0.0, 0.0, 1.0]),
        top_p=rng.choice([1.0, 0.8]),
        seed=seed,
    )


def favour_edits(network, rng):
    """The same network with `<ins>`, `<del>`, `<eom>` pushed up, so that a fuzz meets them all the time."""
    plain = network.logits
    push = torch.zeros(512)
    push[2], push[4], push[5] = rng.choice([0.0, 4.0]), rng.choice([0.0, 6.0]), rng.choice([0.0, 8.0])
    return lambda hidden: plain(hidden) + push


@pytest.mark.parametrize("chunk", range(10))
def test_every_run_ends_and_keeps_its_promises(networks, chunk, monkeypatch):
    for seed in range(36 * chunk, 36 * (chunk + 1)):
        rng = random.Random(seed)
        network = networks[seed % 3]
        parts, canvas = random_canvas(rng)
        policy = random_policy(rng, seed)
        with monkeypatch.context() as patch:
            patch.setattr(network, "logits", favour_edits(network, rng))
            cache = KVCache(network.config)
            frames = []
            for frame in denoise(network, cache, PROMPT, canvas, policy):
                frames.append(frame)
                assert len(frames) < 600, f"seed {seed} does not end"
                assert len(frame.block_ids) <= 64
        result = frames[-1].result
        assert result is not None
        assert all(frame.result is None for frame in frames[:-1])
        assert result.steps == result.forwards
        assert len(result.ids) <= canvas.max_tokens
        assert all(token >= NUM_RESERVED for token in result.ids)
        assert 0 < result.confidence <= 1
        # Locked text is all there, in order.
        rest = iter(result.ids)
        assert all(token in rest for state, ids in parts if state == LOCKED for token in ids), f"seed {seed}"
        # What was committed never changes.
        for before, after in pairwise(frames):
            assert after.committed[: len(before.committed)] == before.committed
        assert int(cache.lengths_B[0]) in (0, len(PROMPT) + result.committed_tokens)


def test_edits_of_the_fuzz_do_happen(networks, monkeypatch):
    kinds = set()
    for seed in range(40):
        rng = random.Random(seed)
        network = networks[seed % 3]
        _, canvas = random_canvas(rng)
        policy = random_policy(rng, seed)
        with monkeypatch.context() as patch:
            patch.setattr(network, "logits", favour_edits(network, rng))
            for frame in denoise(network, KVCache(network.config), PROMPT, canvas, policy):
                kinds.update(move.kind for move in frame.moves)
    assert kinds == {"unmask", "substitute", "delete", "insert", "remask", "end"}


def parrot(make_network):
    """A network whose layers say little: a visible row is sure of its token, yet keys and values see the context."""
    network = make_network(tiny_test(), 5)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith("layers") and parameter.dim() == 2:
                parameter.mul_(0.2)
        network.state_table.mul_(0.05)
    return network


@pytest.mark.parametrize("block", [1, 3, 7, 16, 64])
def test_the_partition_does_not_change_the_committed_rows(make_network, block):
    network = parrot(make_network)
    text = [random.Random(3).randint(64, 511) for _ in range(90)]
    policy = Policy(edits="substitute", tau_edit=1.1, tau_remask=0.0, block=block)
    cache = KVCache(network.config)
    frames = list(denoise(network, cache, PROMPT, draft_canvas(text), policy))
    result = frames[-1].result
    assert list(result.ids) == text
    assert len(frames) >= 90 // block
    num = len(PROMPT) + result.committed_tokens
    assert result.committed_tokens >= 26 if block == 64 else result.committed_tokens >= 80
    whole = KVCache(network.config)
    one_pass(network, whole, Rows(torch.tensor([PROMPT + text])), None)
    whole.advance(len(PROMPT) + len(text))
    for got, want in zip(cache.read(0, 0, num), whole.read(0, 0, num), strict=True):
        assert (got - want).abs().max() <= 1e-5


@pytest.mark.parametrize("edits", ["none", "insert-delete"])
@pytest.mark.parametrize("num_cached", [1, 17, len(PROMPT)])
def test_cached_equals_uncached(networks, num_cached, edits):
    for seed, network in enumerate(networks):
        canvas = random_canvas(random.Random(seed))[1] if edits != "none" else masked_canvas(40)
        policy = Policy(edits=edits, tau_mask=0.05, tau_edit=0.01, tau_remask=0.001, extra_edit_steps=2)
        cold = denoise_to_end(network, KVCache(network.config), PROMPT, canvas, policy)
        cache = KVCache(network.config)
        one_pass(network, cache, Rows(torch.tensor([PROMPT])), None)
        cache.advance(len(PROMPT))
        cache.truncate(num_cached)
        warm = denoise_to_end(network, cache, PROMPT, canvas, policy)
        assert warm.ids == cold.ids
        assert warm.forwards == cold.forwards
        assert warm.confidence == pytest.approx(cold.confidence, rel=1e-4)
        assert (warm.cached_tokens, cold.cached_tokens) == (num_cached, 0)


def test_the_cache_can_be_cut_back_to_the_prompt_and_used_again(networks):
    network = networks[1]
    policy = Policy(tau_mask=0.05, first_block=4, block=4)
    cache = KVCache(network.config)
    first = denoise_to_end(network, cache, PROMPT, masked_canvas(30), policy)
    assert first.committed_tokens > 0
    assert int(cache.lengths_B[0]) == len(PROMPT) + first.committed_tokens
    cache.truncate(len(PROMPT))
    again = denoise_to_end(network, cache, PROMPT, masked_canvas(30), policy)
    assert again.ids == first.ids
    assert again.cached_tokens == len(PROMPT)


def test_one_token_a_forward_at_a_threshold_above_one(networks):
    for network in networks:
        result = denoise_to_end(
            network, KVCache(network.config), PROMPT, known_length_canvas(30), Policy(tau_mask=1.1, block=16)
        )
        assert (len(result.ids), result.forwards) == (30, 30)


def test_the_same_seed_gives_the_same_text_and_another_seed_another(networks):
    network = networks[0]
    texts = []
    for seed in (0, 0, 1, 2):
        policy = Policy(tau_mask=0.05, temperature=1.0, top_p=0.95, seed=seed)
        texts.append(denoise_to_end(network, KVCache(network.config), PROMPT, known_length_canvas(20), policy).ids)
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3


def test_expired_is_asked_before_each_pass_and_ends_the_run(networks):
    network = networks[1]
    answers = iter([None, None, "deadline"])
    frames = list(
        denoise(
            network,
            KVCache(network.config),
            PROMPT,
            known_length_canvas(30),
            Policy(tau_mask=1.1),
            expired=lambda: next(answers),
        )
    )
    result = frames[-1].result
    assert (result.reason, result.forwards, result.usable) == ("deadline", 2, False)
    assert len(frames) == 3
    cancelled = denoise_to_end(
        network, KVCache(network.config), PROMPT, masked_canvas(30), Policy(), expired=lambda: "cancelled"
    )
    assert (cancelled.reason, cancelled.forwards, cancelled.ids) == ("cancelled", 0, ())


def test_max_steps(networks):
    network = networks[0]
    policy = Policy(tau_mask=1.1, max_steps=3)
    result = denoise_to_end(network, KVCache(network.config), PROMPT, known_length_canvas(30), policy)
    assert (result.reason, result.forwards) == ("max_steps", 3)


def test_when_the_stop_rule_is_satisfied_nothing_more_is_computed(networks):
    network = networks[0]
    calls = []

    def rule(ids):
        calls.append(len(ids))
        return 1

    cache = KVCache(network.config)
    frames = list(denoise(network, cache, PROMPT, known_length_canvas(30), Policy(tau_mask=1.1), finished=rule))
    result = frames[-1].result
    assert (result.reason, len(result.ids), len(calls)) == ("stop", 1, 1)
    assert result.forwards == len(frames)
    assert all(frame.block_ids[0] == MASK for frame in frames[:-1])
    assert int(cache.lengths_B[0]) == len(PROMPT)  # the last block is not committed


def test_an_abandoned_run_leaves_a_prefix_in_the_cache(networks):
    network = networks[1]
    cache = KVCache(network.config)
    run = denoise(network, cache, PROMPT, known_length_canvas(30), Policy(tau_mask=1.1))
    next(run)
    run.close()
    assert int(cache.lengths_B[0]) == len(PROMPT)


def test_masked_rows_of_a_frame_hold_masks(networks):
    network = networks[1]
    for frame in denoise(network, KVCache(network.config), PROMPT, known_length_canvas(20), Policy(tau_mask=0.05)):
        for token, state in zip(frame.block_ids, frame.block_states, strict=True):
            assert (token == MASK) == (state == MASKED)
            assert token != EOM or state in (LOCKED, DRAFT)
        assert len(frame.confidences) == len(frame.block_ids)


# Block-causal networks: the cache of whole units against one forward over the whole sequence

UNIT = 4


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "shifted"])
def block_causal(request, make_network):
    config = msgspec.structs.replace(
        tiny_test(), attention="block-causal", cache_unit=UNIT, state_vectors=False, shift=request.param
    )
    network = make_network(config, 4)
    plain = network.logits
    network.logits = lambda hidden: plain(hidden) * 6
    return network


def uncached_text(network, prompt, num_tokens, policy) -> list[int]:
    """The same run, each pass of which is one forward over everything; rows before the block are read where shifted."""
    run = Run(prompt, masked_canvas(num_tokens), policy, unit=UNIT)
    before = []
    while run.result is None:
        request = run.request()
        before += request.clean_ids
        tokens = torch.tensor([[*before, *request.tokens]])
        units = torch.arange(tokens.shape[1]) // UNIT
        with torch.no_grad():
            hidden = network(tokens, torch.arange(tokens.shape[1])[None], None, (units <= units[:, None])[None])[0]
            if network.config.shift:
                # What the block's first row is read at was committed before the block was there.
                hidden = torch.cat((hidden[:1], hidden[:-1]))
            rows = hidden[[len(before) + ask.index for ask in request.asks]]
            run.absorb(request, read_logits(network.logits(rows), [request])[0])
    return list(run.result.ids)


@pytest.mark.parametrize("num_prompt", [3, 8, 9, 30])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_units_in_the_cache_equal_one_forward(block_causal, num_prompt, temperature):
    prompt = list(range(70, 70 + num_prompt))
    policy = Policy(order="confidence", tau_mask=0.1, temperature=temperature)
    wanted = uncached_text(block_causal, prompt, 13, policy)
    for num_cached in {0, num_prompt // UNIT * UNIT, num_prompt}:
        cache = KVCache(block_causal.config, capacity=64)
        if num_cached:
            one_pass(block_causal, cache, Rows(torch.tensor([prompt[:num_cached]])), None, want_clean=0)
            cache.advance(num_cached)
        result = denoise_to_end(block_causal, cache, prompt, masked_canvas(13), policy)
        assert list(result.ids) == wanted
        assert int(cache.lengths_B[0]) % UNIT == 0
        assert int(cache.lengths_B[0]) <= num_prompt + len(wanted)
        shift = UNIT if block_causal.config.shift and num_prompt >= UNIT else 0  # its last unit runs again
        assert result.cached_tokens == max(0, min(num_cached // UNIT * UNIT, num_prompt // UNIT * UNIT - shift))


def test_a_shifted_text_that_begins_with_the_canvas(block_causal):
    result = denoise_to_end(
        block_causal, KVCache(block_causal.config), [], masked_canvas(6), Policy(order="confidence", tau_mask=0.1)
    )
    assert len(result.ids) == 6
