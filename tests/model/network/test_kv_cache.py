"""Growth, cutting, copying: what counts in a cache stays what it was."""

import pytest
import torch

from model.network.config import tiny_test
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass


def filled(network, seed: int, lengths: list[int]) -> KVCache:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, 512, (len(lengths), max(lengths)), generator=generator)
    cache = KVCache(network.config, batch_size=len(lengths), capacity=64)
    one_pass(network, cache, Rows(tokens, None, torch.tensor(lengths)), None)
    cache.advance(lengths)
    return cache


def same_rows(left: KVCache, i: int, right: KVCache, j: int) -> bool:
    n = int(left.lengths_B[i])
    if n != int(right.lengths_B[j]):
        return False
    return all(torch.equal(a, b) for a, b in zip(left.read(i, 0, n), right.read(j, 0, n), strict=True))


def test_grows_by_doubling_and_keeps_its_rows(tiny_network):
    cache = filled(tiny_network, 1, [60])
    before = cache.read(0, 0, 60)
    one_pass(tiny_network, cache, None, Rows(torch.full((1, 10), 3), torch.ones(1, 10, dtype=torch.long)))
    assert cache.capacity == 128
    assert all(torch.equal(a, b) for a, b in zip(before, cache.read(0, 0, 60), strict=True))
    cache.reserve(1000)
    assert cache.capacity == 1000
    assert cache.size_bytes == 2 * 2 * 1 * 2 * 1000 * 12 * 4


def test_truncate_and_advance_move_the_lengths_only(tiny_network):
    cache = filled(tiny_network, 2, [9, 4])
    cache.truncate([3, 4])
    assert cache.lengths_B.tolist() == [3, 4]
    with pytest.raises(AssertionError):
        cache.truncate(5)
    with pytest.raises(AssertionError, match="without a pass"):
        cache.advance(1)
    one_pass(tiny_network, cache, Rows(torch.ones(2, 5, dtype=torch.long), None, torch.tensor([5, 2])), None)
    with pytest.raises(AssertionError):
        cache.advance([5, 3])
    cache.advance(torch.tensor([5, 0]))
    assert cache.lengths_B.tolist() == [8, 4]


def test_fork_join_and_pick_copy(tiny_network):
    one, two = filled(tiny_network, 3, [7]), filled(tiny_network, 4, [11, 2])
    forked = one.fork(3)
    assert all(same_rows(forked, i, one, 0) for i in range(3))
    joined = KVCache.join([two, one])
    assert joined.lengths_B.tolist() == [11, 2, 7]
    assert same_rows(joined, 0, two, 0)
    assert same_rows(joined, 2, one, 0)
    picked = joined.pick([2, 0])
    assert same_rows(picked, 0, one, 0)
    assert same_rows(picked, 1, two, 0)
    one.k_LBGSK.zero_()
    assert forked.k_LBGSK[:, :, :, :7].abs().sum() > 0


def test_rows_can_be_kept_elsewhere_and_put_back(tiny_network):
    cache = filled(tiny_network, 5, [20])
    first, second = cache.read(0, 0, 12), cache.read(0, 12, 20)
    other = KVCache(tiny_test(), capacity=64)
    other.write(0, *first)
    other.write(0, *second)
    assert same_rows(other, 0, cache, 0)
