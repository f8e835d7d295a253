"""Branches in one pass give what each would give alone behind its own cache."""

import torch

from model.diffusion.states import DRAFT, LOCKED
from model.mending.forks import MAX_ROWS, Branch, groups_of, run_group
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass

PROMPT = [70, 80, 90, 100, 110, 120]


def filled(network, ids) -> KVCache:
    cache = KVCache(network.config, capacity=64)
    one_pass(network, cache, Rows(torch.tensor([ids])), None)
    cache.advance(len(ids))
    return cache


def test_every_branch_is_alone_with_what_it_forks_from(tiny_network) -> None:
    branches = [
        Branch(6, [130, 140, 150]),
        Branch(3, [160, 170]),
        Branch(6, [180, 190], [DRAFT, LOCKED]),
        Branch(4, [200, 210, 220], [DRAFT, DRAFT, DRAFT]),
    ]
    cache = filled(tiny_network, PROMPT)
    found = run_group(tiny_network, cache, branches)
    assert int(cache.lengths_B[0]) == len(PROMPT)
    for branch, hidden_TD in zip(branches, found, strict=True):
        alone = filled(tiny_network, PROMPT[: branch.num_seen])
        tokens = torch.tensor([list(branch.ids)])
        if branch.states is None:
            wanted, _ = one_pass(tiny_network, alone, Rows(tokens), None)
        else:
            _, wanted = one_pass(tiny_network, alone, None, Rows(tokens, torch.tensor([list(branch.states)])))
        assert wanted is not None
        torch.testing.assert_close(hidden_TD, wanted[0], atol=1e-5, rtol=1e-4)


def test_groups_keep_the_order_and_the_limit() -> None:
    branches = [Branch(0, [1] * 100), Branch(0, [2] * 100), Branch(0, [3] * 100), Branch(0, [4] * (MAX_ROWS + 1))]
    groups = list(groups_of(branches))
    assert [branch for group in groups for branch in group] == branches
    assert [sum(len(branch.ids) for branch in group) for group in groups] == [200, 100, MAX_ROWS + 1]
    assert list(groups_of([])) == []
