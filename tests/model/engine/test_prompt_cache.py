"""Which rows a new prompt finds."""

import pytest
import torch

from model.engine.prompt_cache import PromptCache, common_prefix
from model.network.config import tiny_test


@pytest.fixture
def cache() -> PromptCache:
    return PromptCache(tiny_test(), capacity=64, device="cpu", dtype=torch.float32, num_prompts=2)


def fill(cache: PromptCache, ids: list[int]) -> int:
    """Stands for a run: takes rows, writes the missing ones (row i holds the number ids[i]), gives back; rows found."""
    rows = cache.take(ids)
    found = int(rows.lengths_B[0])
    assert rows.k_LBGSK[0, 0, 0, :found, 0].tolist() == [float(i) for i in ids[:found]]
    config = tiny_test()
    new = torch.tensor(ids[found:], dtype=torch.float32).view(1, 1, -1, 1)
    new = new.expand(config.num_layers, config.num_kv_heads, -1, config.d_head)
    rows.write(0, new, new)
    cache.give_back(ids, rows)
    return found


def test_a_longer_prompt_finds_all_of_the_shorter_one(cache):
    assert fill(cache, [1, 2, 3, 4]) == 0
    assert fill(cache, [1, 2, 3, 4, 5]) == 4
    assert fill(cache, [1, 2, 3, 4, 5]) == 5
    assert fill(cache, [1, 2, 3, 9]) == 3


def test_another_document_copies_the_common_head_and_spares_the_rest(cache):
    fill(cache, [1, *range(10, 20)])
    assert fill(cache, [1, *range(30, 40)]) == 1
    assert fill(cache, [1, *range(10, 20)]) == 11
    assert fill(cache, [1, *range(30, 40)]) == 11


def test_the_least_recently_used_prompt_goes_first(cache):
    fill(cache, [10, 11, 12])
    fill(cache, [20, 21, 22])
    fill(cache, [10, 11, 12, 13])
    fill(cache, [30, 31, 32])
    assert fill(cache, [10, 11, 12, 13]) == 4
    assert fill(cache, [20, 21, 22]) == 0


def test_rows_of_a_canvas_are_not_kept(cache):
    rows = cache.take([1, 2])
    new = torch.zeros(2, 2, 5, 12)
    rows.write(0, new, new)
    cache.give_back([1, 2], rows)
    assert int(cache.take([1, 2, 3, 4, 5]).lengths_B[0]) == 2


@pytest.mark.parametrize(
    ("a", "b", "common"), [([], [], 0), ([1], [], 0), ([1, 2], [1, 2, 3], 2), ([1, 2, 3], [1, 5, 3], 1), ([2], [1], 0)]
)
def test_common_prefix(a, b, common):
    assert common_prefix(a, b) == common
