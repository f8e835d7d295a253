"""The pass over the cache against the uncached two-stream forward: fp32, one thread, logits within 1e-5."""

import itertools
import random

import msgspec
import pytest
import torch
from torch import Tensor

from model.network.config import NetworkConfig, tiny_test
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.network.packed import can_pack, pack_weights
from model.network.transformer import Transformer

VARIANTS = {
    "grouped": {},
    "multi-head with bias": {"num_kv_heads": 4, "qk_norm": False, "qkv_bias": True},
    "one kv head, untied": {"num_kv_heads": 1, "tied_head": False},
    "no states": {"state_vectors": False},
}
MASKED, DRAFT, LOCKED = 1, 2, 3
KV_TOLERANCE = 1e-6  # absolute for values up to one, relative above (fp32 holds about seven digits)


def draw(seed: int, num_clean: int, num_noisy: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randint(64, 512, (1, num_clean), generator=generator)
    noisy = torch.randint(64, 512, (1, num_noisy), generator=generator)
    return clean, noisy, torch.randint(1, 4, (1, num_noisy), generator=generator)


def uncached(network: Transformer, clean: Tensor, noisy: Tensor, states: Tensor, start: int) -> tuple[Tensor, Tensor]:
    """Logits of [noisy ; clean] in one forward with the two-stream mask of training; the block begins at `start`."""
    N, C = noisy.shape[1], clean.shape[1]
    mask = torch.zeros(N + C, N + C, dtype=torch.bool)
    mask[:N, :N] = True
    mask[:N, N : N + start] = True
    mask[N:, N:] = torch.ones(C, C, dtype=torch.bool).tril()
    positions = torch.cat((torch.arange(start, start + N), torch.arange(C)))
    all_states = torch.cat((states, torch.zeros_like(clean)), 1)
    logits = network.logits(network(torch.cat((noisy, clean), 1), positions[None], all_states, mask[None]))
    return logits[:, N:], logits[:, :N]


def new_cache(network: Transformer, batch_size: int = 1) -> KVCache:
    return KVCache(network.config, batch_size=batch_size, capacity=64, dtype=network.embed.weight.dtype)


def prefill(network: Transformer, cache: KVCache, clean: Tensor) -> None:
    one_pass(network, cache, Rows(clean), None, want_clean=0)
    cache.advance(clean.shape[1])


def counted(cache: KVCache, element: int = 0) -> Tensor:
    return torch.stack(cache.read(element, 0, int(cache.lengths_B[element])))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_cached_equals_uncached(make_network, variant, seed):
    network = make_network(msgspec.structs.replace(tiny_test(), **VARIANTS[variant]))
    rng = random.Random(seed)
    num_clean, num_noisy = rng.randint(6, 90), rng.randint(1, 33)
    clean, noisy, states = draw(seed, num_clean, num_noisy)
    expected_clean, expected_noisy = uncached(network, clean, noisy, states, start=num_clean)
    cuts = [0, *sorted(rng.sample(range(1, num_clean), rng.randint(1, 4))), num_clean]
    cache = new_cache(network)
    for left, right in itertools.pairwise(cuts):
        last = right == num_clean
        # In some pieces a noisy block rides along; it must leave no trace.
        block = Rows(noisy, states) if last or rng.random() < 0.5 else None
        hidden_clean, hidden_noisy = one_pass(network, cache, Rows(clean[:, left:right]), block)
        assert hidden_clean is not None
        torch.testing.assert_close(network.logits(hidden_clean), expected_clean[:, left:right], atol=1e-5, rtol=0)
        if last:
            assert hidden_noisy is not None
            torch.testing.assert_close(network.logits(hidden_noisy), expected_noisy, atol=1e-5, rtol=0)
        cache.advance(right - left)
    alone = one_pass(network, cache, None, Rows(noisy, states))[1]
    assert alone is not None
    torch.testing.assert_close(network.logits(alone), expected_noisy, atol=1e-5, rtol=0)


@torch.no_grad()
def test_noisy_input_never_changes_a_clean_output(tiny_network):
    clean, noisy, states = draw(1, 30, 9)
    outputs, caches = [], []
    for tokens, kinds in ((noisy, states), (noisy.flip(1), states), (noisy, 4 - states)):
        cache = new_cache(tiny_network)
        outputs.append(one_pass(tiny_network, cache, Rows(clean), Rows(tokens, kinds)))
        cache.advance(30)
        caches.append(counted(cache))
    for (hidden_clean, hidden_noisy), kv in zip(outputs[1:], caches[1:], strict=True):
        assert torch.equal(hidden_clean, outputs[0][0])
        assert torch.equal(kv, caches[0])
        assert not torch.allclose(hidden_noisy, outputs[0][1], atol=1e-3)


@torch.no_grad()
def test_fused_commit_and_next_step_equal_separate_passes(tiny_network):
    prompt, _, _ = draw(2, 40, 1)
    block, noisy, states = draw(3, 11, 16)
    separate, fused = new_cache(tiny_network), new_cache(tiny_network)
    prefill(tiny_network, separate, prompt)
    prefill(tiny_network, fused, prompt)
    prefill(tiny_network, separate, block)
    expected = one_pass(tiny_network, separate, None, Rows(noisy, states))[1]
    got = one_pass(tiny_network, fused, Rows(block), Rows(noisy, states), want_clean=0)
    assert got[0] is None
    assert got[1] is not None
    assert expected is not None
    fused.advance(11)
    torch.testing.assert_close(tiny_network.logits(got[1]), tiny_network.logits(expected), atol=1e-5, rtol=0)
    torch.testing.assert_close(counted(fused), counted(separate), atol=KV_TOLERANCE, rtol=KV_TOLERANCE)


@torch.no_grad()
def test_partition_does_not_change_committed_kv(tiny_network):
    clean, noisy, states = draw(4, 70, 8)
    whole = new_cache(tiny_network)
    prefill(tiny_network, whole, clean)
    for seed in range(3):
        rng, cache, at = random.Random(seed), new_cache(tiny_network), 0
        while at < 70:
            size = min(rng.randint(1, 24), 70 - at)
            one_pass(tiny_network, cache, None, Rows(noisy, states))
            one_pass(tiny_network, cache, Rows(clean[:, at : at + size]), Rows(noisy, states))
            cache.advance(size)
            at += size
        torch.testing.assert_close(counted(cache), counted(whole), atol=KV_TOLERANCE, rtol=KV_TOLERANCE)


# Products of other shapes sum in another order, which a norm of small keys enlarges; in fp64 nothing but that is left.
@pytest.mark.parametrize(("dtype", "kv_tolerance"), [(torch.float32, 5e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("want_clean", [None, 0])
@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_batched_with_padding_equals_lone(tiny_network, seed, want_clean, dtype, kv_tolerance):
    tiny_network = tiny_network.to(dtype)
    rng = random.Random(seed)
    B = 4
    cached = [rng.choice([0, rng.randint(1, 40)]) for _ in range(B)]
    new = [rng.randint(0, 9) for _ in range(B)]
    blocks = [rng.randint(1, 12) for _ in range(B)]
    texts = [draw(100 * seed + b, cached[b] + new[b] + 1, blocks[b]) for b in range(B)]
    lone_caches = [new_cache(tiny_network) for _ in range(B)]
    for b, cache in enumerate(lone_caches):
        if cached[b]:
            prefill(tiny_network, cache, texts[b][0][:, : cached[b]])
    batch = KVCache.join(lone_caches)
    assert batch.lengths_B.tolist() == cached

    clean_tokens = torch.randint(0, 512, (B, max(new) + 2))
    noisy_tokens, noisy_states = torch.randint(0, 512, (B, max(blocks) + 1)), torch.randint(0, 4, (B, max(blocks) + 1))
    for b, (clean, noisy, states) in enumerate(texts):
        clean_tokens[b, : new[b]] = clean[0, cached[b] : cached[b] + new[b]]
        noisy_tokens[b, : blocks[b]], noisy_states[b, : blocks[b]] = noisy[0], states[0]
    hidden_clean, hidden_noisy = one_pass(
        tiny_network,
        batch,
        Rows(clean_tokens, None, torch.tensor(new)),
        Rows(noisy_tokens, noisy_states, torch.tensor(blocks)),
        want_clean=want_clean,
    )
    batch.advance(new)
    assert hidden_noisy is not None
    assert (hidden_clean is not None) == (want_clean is None)
    logits = tiny_network.logits
    for b, (clean, noisy, states) in enumerate(texts):
        rows = Rows(clean[:, cached[b] : cached[b] + new[b]]) if new[b] else None
        lone_clean, lone_noisy = one_pass(tiny_network, lone_caches[b], rows, Rows(noisy, states))
        assert lone_noisy is not None
        torch.testing.assert_close(logits(hidden_noisy[b, : blocks[b]]), logits(lone_noisy[0]), atol=1e-5, rtol=0)
        if lone_clean is not None and hidden_clean is not None:
            torch.testing.assert_close(logits(hidden_clean[b, : new[b]]), logits(lone_clean[0]), atol=1e-5, rtol=0)
        lone_caches[b].advance(new[b])
        torch.testing.assert_close(counted(batch, b), counted(lone_caches[b]), atol=kv_tolerance, rtol=kv_tolerance)


@torch.no_grad()
def test_even_batch_equals_lone(tiny_network):
    texts = [draw(seed, 20, 7) for seed in (10, 11, 12)]
    clean, noisy, states = (torch.cat(parts) for parts in zip(*texts, strict=True))
    cache = new_cache(tiny_network, 3)
    one_pass(tiny_network, cache, Rows(clean[:, :12]), None)
    cache.advance(12)
    got = one_pass(tiny_network, cache, Rows(clean[:, 12:]), Rows(noisy, states))
    for b, text in enumerate(texts):
        expected = uncached(tiny_network, *text, start=20)
        assert got[0] is not None
        assert got[1] is not None
        torch.testing.assert_close(tiny_network.logits(got[0][b]), expected[0][0, 12:], atol=1e-5, rtol=0)
        torch.testing.assert_close(tiny_network.logits(got[1][b]), expected[1][0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("state", [DRAFT, LOCKED, MASKED])
@torch.no_grad()
def test_a_visible_noisy_row_is_not_a_clean_row(tiny_network, state):
    clean, _, _ = draw(5, 12, 1)
    cache = new_cache(tiny_network)
    prefill(tiny_network, cache, clean[:, :11])
    last = clean[:, 11:]
    as_clean, as_noisy = one_pass(tiny_network, cache, Rows(last), Rows(last, torch.full_like(last, state)))
    assert as_clean is not None
    assert as_noisy is not None
    assert (as_clean - as_noisy).abs().max() > 0.05


@torch.no_grad()
def test_rows_that_do_not_count_leave_no_trace(tiny_network):
    clean, noisy, states = draw(6, 25, 10)
    cache, fresh = new_cache(tiny_network), new_cache(tiny_network)
    prefill(tiny_network, cache, clean)
    one_pass(tiny_network, cache, Rows(noisy), Rows(noisy, states))  # refused: nothing of it is advanced
    cache.truncate(15)
    one_pass(tiny_network, cache, Rows(clean[:, 15:]), Rows(noisy, states))
    cache.advance(4)  # a part of the clean rows may be kept
    prefill(tiny_network, fresh, clean[:, :19])
    torch.testing.assert_close(counted(cache), counted(fresh), atol=KV_TOLERANCE, rtol=KV_TOLERANCE)
    got = one_pass(tiny_network, cache, None, Rows(noisy, states))[1]
    expected = one_pass(tiny_network, fresh, None, Rows(noisy, states))[1]
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_bf16_cache_agrees_with_bf16_forward(make_network):
    network = make_network(tiny_test()).to(torch.bfloat16)
    clean, noisy, states = draw(7, 21, 5)
    cache = KVCache(network.config, dtype=torch.bfloat16)
    prefill(network, cache, clean[:, :20])
    got = one_pass(network, cache, Rows(clean[:, 20:]), Rows(noisy, states))[1]
    assert got is not None
    expected = uncached(network, clean, noisy, states, start=21)[1]
    error = (network.logits(got) - expected).float().abs().mean() / expected.float().abs().mean()
    assert error < 0.05


@torch.no_grad()
def test_a_larger_group_of_heads(make_network):
    config = NetworkConfig(
        vocab_size=512, num_layers=1, d_model=40, num_heads=5, num_kv_heads=1, d_head=8, d_ff=16, rope_theta=1e6
    )
    network = make_network(config)
    clean, noisy, states = draw(8, 17, 1)  # one noisy row takes the path of its own
    cache = new_cache(network)
    prefill(network, cache, clean)
    got = one_pass(network, cache, None, Rows(noisy, states))[1]
    assert got is not None
    expected = uncached(network, clean, noisy, states, start=17)[1]
    torch.testing.assert_close(network.logits(got), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("want_clean", [1, 3, 12, 99])
@torch.no_grad()
def test_the_last_clean_rows_alone_are_the_same(tiny_network, want_clean):
    clean, noisy, states = draw(7, 22, 4)
    for block in (None, Rows(noisy, states)):
        both = []
        for want in (None, want_clean):
            cache = new_cache(tiny_network)
            prefill(tiny_network, cache, clean[:, :10])
            both.append(one_pass(tiny_network, cache, Rows(clean[:, 10:]), block, want_clean=want))
        (all_clean, all_noisy), (last_clean, last_noisy) = both
        assert last_clean.shape[1] == min(12, want_clean)
        torch.testing.assert_close(last_clean, all_clean[:, -want_clean:], atol=1e-5, rtol=0)
        if block is not None:
            torch.testing.assert_close(last_noisy, all_noisy, atol=1e-5, rtol=0)


# Networks that were not made here: other attention, positions that are given

UNIT = 4
BLOCK_CAUSAL = {"attention": "block-causal", "cache_unit": UNIT, "state_vectors": False}
FULL = {"attention": "full", "state_vectors": False}


def in_one_forward(network: Transformer, tokens: Tensor, unit: int | None) -> Tensor:
    """Logits of all rows, each of which sees all units up to its own; None = everything."""
    positions = torch.arange(tokens.shape[1])
    units = torch.zeros_like(positions) if unit is None else positions // unit
    return network.logits(network(tokens, positions[None], None, (units[None, :] <= units[:, None])[None]))


@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_block_causal_cached_equals_uncached(make_network, seed):
    network = make_network(msgspec.structs.replace(tiny_test(), **BLOCK_CAUSAL))
    rng = random.Random(seed)
    num_units = rng.randint(3, 9)
    clean, noisy, _ = draw(seed, num_units * UNIT, UNIT)
    expected = in_one_forward(network, torch.cat((clean, noisy), 1), UNIT)
    cuts = [0, *(UNIT * cut for cut in sorted(rng.sample(range(1, num_units), 2))), num_units * UNIT]
    cache = new_cache(network)
    for left, right in itertools.pairwise(cuts):
        # A noisy block rides along; it must leave no trace.
        got_clean, got_noisy = one_pass(network, cache, Rows(clean[:, left:right]), Rows(noisy))
        assert got_clean is not None
        assert got_noisy is not None
        torch.testing.assert_close(network.logits(got_clean), expected[:, left:right], atol=1e-5, rtol=0)
        cache.advance(right - left)
    torch.testing.assert_close(network.logits(got_noisy), expected[:, -UNIT:], atol=1e-5, rtol=0)
    alone = one_pass(network, cache, None, Rows(noisy))[1]
    torch.testing.assert_close(network.logits(alone), expected[:, -UNIT:], atol=1e-5, rtol=0)


@torch.no_grad()
def test_rows_of_a_unit_see_its_later_rows(make_network):
    network = make_network(msgspec.structs.replace(tiny_test(), **BLOCK_CAUSAL))
    clean, _, _ = draw(1, 2 * UNIT, 1)
    changed = clean.clone()
    changed[0, UNIT - 1] += 1
    (one, _), (other, _) = (one_pass(network, new_cache(network), Rows(tokens), None) for tokens in (clean, changed))
    assert (one[0, 0] - other[0, 0]).abs().max() > 1e-3
    changed = clean.clone()
    changed[0, UNIT] += 1
    other, _ = one_pass(network, new_cache(network), Rows(changed), None)
    torch.testing.assert_close(one[0, :UNIT], other[0, :UNIT], atol=1e-6, rtol=0)


@pytest.mark.parametrize("attention", [BLOCK_CAUSAL, FULL], ids=["block-causal", "full"])
@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_other_attention_batched_with_padding_equals_lone(make_network, attention, seed):
    network = make_network(msgspec.structs.replace(tiny_test(), **attention))
    rng = random.Random(seed)
    B = 3
    cached, new = ([UNIT * rng.randint(0, 4) for _ in range(B)] for _ in "ab")
    blocks = [rng.randint(1, UNIT) for _ in range(B)]
    texts = [draw(10 * seed + b, cached[b] + new[b] + 1, blocks[b]) for b in range(B)]
    lone = [new_cache(network) for _ in range(B)]
    for b, cache in enumerate(lone):
        if cached[b]:
            prefill(network, cache, texts[b][0][:, : cached[b]])
    batch = KVCache.join(lone)
    clean_tokens, noisy_tokens = torch.zeros(B, max(new) + 2, dtype=torch.int64), torch.zeros(B, 5, dtype=torch.int64)
    for b, (clean, noisy, _) in enumerate(texts):
        clean_tokens[b, : new[b]] = clean[0, cached[b] : cached[b] + new[b]]
        noisy_tokens[b, : blocks[b]] = noisy[0]
    got_clean, got_noisy = one_pass(
        network, batch, Rows(clean_tokens, None, torch.tensor(new)), Rows(noisy_tokens, None, torch.tensor(blocks))
    )
    assert got_clean is not None
    assert got_noisy is not None
    for b, (clean, noisy, _) in enumerate(texts):
        rows = Rows(clean[:, cached[b] : cached[b] + new[b]]) if new[b] else None
        lone_clean, lone_noisy = one_pass(network, lone[b], rows, Rows(noisy))
        torch.testing.assert_close(got_noisy[b, : blocks[b]], lone_noisy[0], atol=1e-5, rtol=0)
        if lone_clean is not None:
            torch.testing.assert_close(got_clean[b, : new[b]], lone_clean[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("packs", [False, True])
@torch.no_grad()
def test_full_attention_sees_everything_wherever_it_stands_in_the_cache(make_network, packs):
    network = make_network(msgspec.structs.replace(tiny_test(), **FULL))
    tokens, _, _ = draw(3, 21, 1)
    expected = in_one_forward(network, tokens, None)
    if packs:
        if not can_pack(network):
            pytest.skip("this build of PyTorch packs nothing")
        pack_weights(network)
    first, rest = [*range(6), *range(15, 21)], list(range(6, 15))
    cache = new_cache(network)
    for want in (None, 0):  # rows whose last layer nobody wants are seen all the same
        clean, noisy = (Rows(tokens[:, at], positions_BT=torch.tensor([at])) for at in (first, rest))
        got_clean, got_noisy = one_pass(network, cache, clean, noisy, want_clean=want)
        assert got_noisy is not None
        torch.testing.assert_close(network.logits(got_noisy), expected[:, rest], atol=1e-5, rtol=0)
        if want is None:
            assert got_clean is not None
            torch.testing.assert_close(network.logits(got_clean), expected[:, first], atol=1e-5, rtol=0)
    cache.advance(len(first))  # what is kept was made for just these rows, so nothing changes
    again = one_pass(network, cache, None, Rows(tokens[:, rest], positions_BT=torch.tensor([rest])))[1]
    torch.testing.assert_close(network.logits(again), expected[:, rest], atol=1e-5, rtol=0)
