"""Several sequences in one pass against each alone: hidden rows and cache, fp32, one thread, within 1e-5."""

import random
from dataclasses import replace

import msgspec
import pytest
import torch

from model.network.config import tiny_test
from model.network.kv_cache import KVCache
from model.network.many_passes import Pass, many_passes
from model.network.one_pass import Rows, one_pass
from model.network.packed import can_pack, pack_weights

TOLERANCE = 1e-5


def rows(generator: torch.Generator, num: int, *, noisy: bool = False) -> Rows | None:
    if not num:
        return None
    tokens = torch.randint(64, 512, (1, num), generator=generator)
    return Rows(tokens, torch.randint(1, 4, (1, num), generator=generator) if noisy else None)


def prefilled(network, num: int, generator: torch.Generator) -> KVCache:
    cache = KVCache(network.config, capacity=64)
    if num:
        one_pass(network, cache, rows(generator, num), None, want_clean=0)
        cache.advance(num)
    return cache


@pytest.fixture(scope="module", params=["plain", "packed"])
def network(request, make_network):
    network = make_network(tiny_test())
    if request.param == "packed":
        if not can_pack(network):
            pytest.skip("this build of PyTorch packs nothing")
        pack_weights(network)
    return network


@pytest.mark.parametrize("seed", range(12))
def test_each_gets_what_it_would_get_alone(network, seed):
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    parts, alone = [], []
    for _ in range(rng.randint(2, 6)):
        num_clean, num_noisy = rng.choice([0, 1, 5, 30]), rng.choice([0, 1, 7, 16])
        clean = rows(generator, num_clean or (0 if num_noisy else 2))
        noisy = rows(generator, num_noisy, noisy=True)
        cache = prefilled(network, rng.choice([0, 3, 17, 60, 200]), generator)
        want = rng.choice([None, 0, 1, 3])
        other = cache.fork(1)
        parts.append(Pass(cache, clean, noisy, want))
        alone.append((other, one_pass(network, other, clean, noisy, want_clean=want)))
    for part, got, (other, wanted) in zip(parts, many_passes(network, parts), alone, strict=True):
        for mine, its in zip(got, wanted, strict=True):
            num = 0 if its is None else its.shape[1]
            assert (0 if mine is None else mine.shape[1]) == num
            if mine is not None and its is not None and num:
                assert torch.allclose(network.logits(mine), network.logits(its), atol=TOLERANCE, rtol=0)
        if part.clean is not None:
            num = part.clean.tokens_BT.shape[1]
            part.cache.advance(num)
            other.advance(num)
        end = int(other.lengths_B[0])
        for mine, its in zip(part.cache.read(0, 0, end), other.read(0, 0, end), strict=True):
            assert torch.allclose(mine, its, atol=TOLERANCE, rtol=0)


def test_a_lone_part_is_the_plain_pass(network):
    generator = torch.Generator().manual_seed(0)
    cache = prefilled(network, 20, generator)
    other, noisy = cache.fork(1), rows(generator, 8, noisy=True)
    ((_, mine),) = many_passes(network, [Pass(cache, None, noisy)])
    _, its = one_pass(network, other, None, noisy)
    assert torch.equal(mine, its)


def test_prefills_alone_need_no_last_layer(network):
    generator = torch.Generator().manual_seed(0)
    parts = [Pass(prefilled(network, 5, generator), rows(generator, num), None, 0) for num in (9, 17)]
    assert many_passes(network, parts) == [(None, None), (None, None)]


def test_caches_grow(network):
    generator = torch.Generator().manual_seed(0)
    parts = [Pass(prefilled(network, 60, generator), rows(generator, 30), None, 1) for _ in range(2)]
    for (clean, _), part in zip(many_passes(network, parts), parts, strict=True):
        assert clean is not None
        assert clean.shape[1] == 1
        part.cache.advance(30)
        assert int(part.cache.lengths_B[0]) == 90


def test_a_part_without_rows_is_a_mistake(network):
    cache = KVCache(network.config)
    with pytest.raises(AssertionError, match="rows"):
        many_passes(network, [Pass(cache, None, None), Pass(cache, None, None)])


@pytest.mark.parametrize(
    "attention", [{"attention": "block-causal", "cache_unit": 4}, {"attention": "full"}], ids=["block-causal", "full"]
)
@pytest.mark.parametrize("seed", range(4))
def test_networks_of_other_attention_with_given_positions(make_network, attention, seed):
    network = make_network(msgspec.structs.replace(tiny_test(), state_vectors=False, **attention))
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    parts, alone = [], []
    for _ in range(3):
        num_clean, num_noisy = 4 * rng.randint(0, 6), rng.randint(1, 9)
        cache = prefilled(network, 4 * rng.randint(0, 9), generator)
        clean, noisy = rows(generator, num_clean), rows(generator, num_noisy)
        if attention["attention"] == "full":
            places = torch.randperm(int(cache.lengths_B[0]) + num_clean + num_noisy, generator=generator)[None]
            clean = None if clean is None else replace(clean, positions_BT=places[:, :num_clean])
            noisy = None if noisy is None else replace(noisy, positions_BT=places[:, num_clean : num_clean + num_noisy])
        other = cache.fork(1)
        parts.append(Pass(cache, clean, noisy, rng.choice([None, 0])))
        alone.append((other, one_pass(network, other, clean, noisy, want_clean=parts[-1].want_clean)))
    for part, got, (other, wanted) in zip(parts, many_passes(network, parts), alone, strict=True):
        for mine, its in zip(got, wanted, strict=True):
            if its is not None:
                torch.testing.assert_close(mine, its, atol=TOLERANCE, rtol=0)
        num = 0 if part.clean is None else part.clean.tokens_BT.shape[1]
        for cache in (part.cache, other):
            cache.advance(num)
        for mine, its in zip(
            *(cache.read(0, 0, int(other.lengths_B[0])) for cache in (part.cache, other)), strict=True
        ):
            torch.testing.assert_close(mine, its, atol=TOLERANCE, rtol=TOLERANCE)
