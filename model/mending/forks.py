"""Many alternatives in one pass: branches that share what is cached, each seeing the cache up to its fork and itself.

Source: tree attention as in speculative decoding with token trees (SpecInfer, arXiv 2305.09781), here for both streams:
a clean branch is causal, a noisy one sees its whole block. The prompt's keys are neither copied nor repeated; branches
are scratch rows behind the rows that count, and no branch sees another. Left out: choosing the branches (blind.py,
judge.py).

Shapes: T rows of all branches of one pass, S keys, D model width.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from kernels.block_attention.reference import additive_mask
from model.network.kv_cache import KVCache
from model.network.one_pass import Plan, run_layers
from model.network.transformer import Transformer

MAX_ROWS = 256
"""Rows of one pass: beyond that the scores of rows that cannot see each other cost more than a pass of its own."""


class Branch(NamedTuple):
    """Rows that go on behind the first `num_seen` cached rows. states None = clean and causal, else a noisy block."""

    num_seen: int
    ids: Sequence[int]
    states: Sequence[int] | None = None


def groups_of(branches: Sequence[Branch]) -> Iterator[list[Branch]]:
    """Branches in order, as many a pass as fit."""
    group: list[Branch] = []
    num_rows = 0
    for branch in branches:
        if group and num_rows + len(branch.ids) > MAX_ROWS:
            yield group
            group, num_rows = [], 0
        group.append(branch)
        num_rows += len(branch.ids)
    if group:
        yield group


@torch.inference_mode()
def run_group(network: Transformer, cache: KVCache, group: Sequence[Branch]) -> list[Tensor]:
    """The hidden rows of each branch after one pass. The cache (batch 1) counts what it counted before."""
    device = cache.k_LBGSK.device
    num_cached = int(cache.lengths_B[0])
    lengths = [len(branch.ids) for branch in group]
    num_rows = sum(lengths)
    assert num_rows, "a branch needs rows"
    assert all(0 <= branch.num_seen <= num_cached for branch in group), "a branch forks behind what is cached"
    cache.reserve(num_cached + num_rows)
    cache.num_pending_B = None

    x_1TD = torch.cat([_embedded(network, branch, device) for branch in group]).unsqueeze(0)
    owner_T = torch.repeat_interleave(torch.arange(len(group), device=device), torch.tensor(lengths, device=device))
    first_T = torch.tensor([sum(lengths[:i]) for i in range(len(group))], device=device)[owner_T]
    seen_T = torch.tensor([branch.num_seen for branch in group], device=device)[owner_T]
    is_causal_T = torch.tensor([branch.states is None for branch in group], device=device)[owner_T]
    row_T = torch.arange(num_rows, device=device)
    same_TT = owner_T[:, None] == owner_T
    allowed_TS = torch.cat(
        (
            torch.arange(num_cached, device=device) < seen_T[:, None],
            same_TT & ((row_T <= row_T[:, None]) | ~is_causal_T[:, None]),
        ),
        dim=1,
    )
    mask_1TS = additive_mask(allowed_TS, x_1TD.dtype).unsqueeze(0)
    positions_1T = (seen_T + row_T - first_T).unsqueeze(0)
    plan = Plan(positions_1T, num_cached, num_cached + num_rows, mask_1TS, mask_1TS)
    return list(run_layers(network, cache, x_1TD, plan, 0)[0].split(lengths))


def _embedded(network: Transformer, branch: Branch, device: torch.device) -> Tensor:
    tokens = torch.tensor(branch.ids, device=device)
    states = None if branch.states is None else torch.tensor(branch.states, device=device)
    return network.embed_rows(tokens, states)
