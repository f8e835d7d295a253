"""Passes over pages against many_passes over caches side by side: fp32, hidden rows and what is cached."""

import random
from dataclasses import replace

import msgspec
import pytest
import torch

from kernels.ops import ops_for
from model.network import paged_runner
from model.network.config import NetworkConfig, tiny_test
from model.network.cuda_graphs import BATCHES
from model.network.kv_cache import KVCache
from model.network.many_passes import Pass, many_passes
from model.network.one_pass import Rows
from model.network.packed import can_pack, pack_weights
from model.network.paged_runner import PagedRunner, can_page, paged_ops

MAX_ROWS = 300
UNITS = msgspec.structs.replace(tiny_test(), attention="block-causal", cache_unit=4, state_vectors=False)


def made(network, num_caches: int) -> PagedRunner:
    runner = PagedRunner(network, ops_for(torch.device("cpu"), "torch"), max_rows=MAX_ROWS, num_caches=num_caches)
    for rows in (runner.pool.k_LPGWK, runner.pool.v_LPGWK):
        rows.fill_(torch.nan)
    return runner


def rows(rng: random.Random, num: int, *, has_states: bool = False) -> Rows | None:
    if not num:
        return None
    states = torch.tensor([[rng.randrange(1, 4) for _ in range(num)]]) if has_states else None
    return Rows(torch.tensor([[rng.randrange(64, 512) for _ in range(num)]]), states)


def passes(rng: random.Random, caches: list, unit: int) -> list[tuple[Rows | None, Rows | None, int | None]]:
    """A pass of each cache: a prompt, a step, a commit with a step, a few wanted rows."""
    found = []
    for cache in caches:
        room = MAX_ROWS - int(cache.lengths_B[0]) - 20
        num_clean = min(room, rng.choice([0, 0, unit, 12, 80, 150])) // unit * unit
        num_noisy = rng.choice([0, 1, 7, 16]) if num_clean else rng.choice([1, 5, 16])
        want = rng.choice([None, 0, 1, 2]) if num_noisy else rng.choice([None, 1])
        found.append((rows(rng, num_clean), rows(rng, num_noisy, has_states=rng.random() < 0.7), want))
    return found


@pytest.mark.parametrize("config", [tiny_test(), UNITS], ids=["causal", "units"])
def test_gives_the_rows_of_many_passes(make_network, config: NetworkConfig) -> None:
    rng = random.Random(2)
    network = make_network(config)
    runner = made(network, 4)
    plain = [KVCache(config) for _ in range(4)]
    paged = [runner.new_cache() for _ in range(4)]
    for _ in range(10):
        chosen = rng.sample(range(4), rng.randint(1, 4))
        asked = passes(rng, [plain[i] for i in chosen], config.cache_unit)
        wanted = many_passes(network, [Pass(plain[i], *each) for i, each in zip(chosen, asked, strict=True)])
        # Some of them side by side, as a request whose draft outgrows its pages is.
        aside = {i: plain[i].fork(1) for i in chosen if rng.random() < 0.2}
        got = many_passes(network, [Pass(aside.get(i, paged[i]), *each) for i, each in zip(chosen, asked, strict=True)])
        for theirs, ours in zip(wanted, got, strict=True):
            for expected, each in zip(theirs, ours, strict=True):
                assert (expected is None) == (each is None)
                if expected is not None:
                    torch.testing.assert_close(each, expected, atol=1e-5, rtol=1e-5)
        for i, (clean, _, _) in zip(chosen, asked, strict=True):
            if i in aside:
                continue
            num = 0 if clean is None else clean.tokens_BT.shape[1]
            num = rng.randint(num // 2 // config.cache_unit, num // config.cache_unit) * config.cache_unit
            for cache in (plain[i], paged[i]):
                cache.advance(num)
            length = int(plain[i].lengths_B[0])
            for expected, each in zip(plain[i].read(0, 0, length), paged[i].read(0, 0, length), strict=True):
                torch.testing.assert_close(each, expected, atol=1e-5, rtol=1e-5)
    assert max(int(cache.lengths_B[0]) for cache in plain) > 128
    for cache in paged:
        cache.release()
    assert runner.pool.num_free == len(runner.pool.k_LPGWK[0])


def test_more_sequences_than_the_largest_batch(make_network) -> None:
    network = make_network(tiny_test())
    num, rng = BATCHES[-1] + 3, random.Random(1)
    runner = made(network, num)
    asked = [rows(rng, 1 + i % 3, has_states=True) for i in range(num)]
    wanted = many_passes(network, [Pass(KVCache(tiny_test()), None, each) for each in asked])
    got = many_passes(network, [Pass(runner.new_cache(), None, each) for each in asked])
    for (_, expected), (_, each) in zip(wanted, got, strict=True):
        torch.testing.assert_close(each, expected, atol=1e-5, rtol=1e-5)


def test_what_a_pass_gave_outlives_the_next(make_network) -> None:
    """With a graph both stand in the same buffer."""
    network = make_network(tiny_test())
    runner = made(network, 1)
    hidden_1TD = torch.zeros(1, 16, network.config.d_model)

    def replayed(parts) -> torch.Tensor:
        return hidden_1TD.add_(1)

    runner._graphs.run = replayed
    cache, rng = runner.new_cache(), random.Random(1)
    (_, first), (_, second) = (runner.run([Pass(cache, None, rows(rng, 16))])[0] for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.unique().tolist() == [1.0]
    assert second.unique().tolist() == [2.0]


def test_which_networks_are_served(make_network, monkeypatch) -> None:
    network = make_network(tiny_test())
    assert can_page(network)
    assert can_page(make_network(UNITS))
    assert not can_page(make_network(msgspec.structs.replace(tiny_test(), attention="full")))
    packed = make_network(tiny_test())
    if can_pack(packed):
        pack_weights(packed)
        assert not can_page(packed)
    assert paged_ops(network) is None, "on the CPU caches stay side by side"

    triton = replace(ops_for(torch.device("cpu"), "torch"), kind="triton")
    monkeypatch.setattr(paged_runner, "ops_for", lambda device: triton)
    assert paged_ops(network) is None, "the kernels serve no heads of 12 features"
    assert paged_ops(make_network(msgspec.structs.replace(tiny_test(), d_head=16))) is triton
