"""A cache in pages against KVCache: the same rows, whatever is taken, given back and written in between."""

import random

import pytest
import torch

from kernels.ops import ops_for
from model.network.config import tiny_test
from model.network.kv_cache import KVCache
from model.network.paged import PAGE_ROWS
from model.network.paged_runner import PagedRunner

NUM_CACHES, MAX_ROWS = 4, 3 * PAGE_ROWS


@pytest.fixture
def runner(make_network) -> PagedRunner:
    made = PagedRunner(
        make_network(tiny_test()), ops_for(torch.device("cpu"), "torch"), max_rows=MAX_ROWS - 5, num_caches=NUM_CACHES
    )
    for rows in (made.pool.k_LPGWK, made.pool.v_LPGWK):
        rows.fill_(torch.nan)
    return made


def drawn(generator: random.Random, num: int) -> tuple[torch.Tensor, torch.Tensor]:
    config = tiny_test()
    torch.manual_seed(generator.randrange(1000))
    shape = (config.num_layers, config.num_kv_heads, num, config.d_head)
    return torch.randn(shape), torch.randn(shape)


@pytest.mark.parametrize("seed", range(3))
def test_rows_are_those_of_a_cache_of_its_own(runner, seed) -> None:
    rng = random.Random(seed)
    pairs = [(runner.new_cache(), KVCache(tiny_test()))]
    for _ in range(60):
        paged, plain = rng.choice(pairs)
        length = int(plain.lengths_B[0])
        action = rng.choice(["write", "write", "truncate", "reserve", "fork", "release"])
        if action == "write":
            rows = drawn(rng, rng.randrange(0, min(90, MAX_ROWS - length) + 1))
            paged.write(0, *rows)
            plain.write(0, *rows)
        elif action == "truncate":
            kept = rng.randint(0, length)
            paged.truncate(kept)
            plain.truncate(kept)
        elif action == "reserve":
            paged.reserve(min(MAX_ROWS, length + 70))
        elif action == "fork" and len(pairs) < NUM_CACHES:
            pairs.append((paged.fork(1), plain.fork(1)))
        elif action == "release" and len(pairs) > 1:
            pairs = [pair for pair in pairs if pair[0] is not paged]
            paged.release()
        held = [page for paged, _ in pairs for page in paged.pages]
        assert len(set(held)) == len(held) == NUM_CACHES * 3 - runner.pool.num_free
        for paged, plain in pairs:
            length = int(plain.lengths_B[0])
            assert int(paged.lengths_B[0]) == length <= len(paged.pages) * PAGE_ROWS
            start = rng.randint(0, length)
            for got, expected in zip(paged.read(0, start, length), plain.read(0, start, length), strict=True):
                assert torch.equal(got, expected)
    for paged, _ in pairs:
        paged.release()
    assert runner.pool.num_free == NUM_CACHES * 3


def test_what_is_read_is_a_copy(runner) -> None:
    cache = runner.new_cache()
    rows = drawn(random.Random(1), 5)
    cache.write(0, *rows)
    read, _ = cache.read(0, 0, 5)
    runner.pool.k_LPGWK.fill_(torch.nan)
    assert torch.equal(read, rows[0])


def test_nothing_is_taken_beyond_the_table_or_the_pool(runner) -> None:
    caches = [runner.new_cache() for _ in range(NUM_CACHES + 1)]
    assert caches[0].capacity == MAX_ROWS
    with pytest.raises(AssertionError, match="a table names"):
        caches[0].reserve(MAX_ROWS + 1)
    for cache in caches[:-1]:
        cache.reserve(MAX_ROWS)
    with pytest.raises(AssertionError, match="than there are pages for"):
        caches[-1].reserve(1)
    assert runner.pool.num_free == 0
    caches[0].release()
    caches[-1].reserve(1)
