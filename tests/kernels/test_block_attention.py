"""Attention against a loop over batch, heads and rows, at odd shapes, with every kind of mask."""

import math

import pytest
import torch

from kernels.block_attention.reference import (
    additive_mask,
    block_attention,
    block_attention_by_bounds,
    block_attention_by_length,
    paged_block_attention,
)

SHAPES = [
    (1, 1, 5, 1, 7, 8),
    (2, 3, 4, 2, 9, 6),
    (3, 1, 6, 3, 4, 10),
    (1, 17, 2, 2, 33, 4),
    (1, 9, 2, 1, 457, 4),
]  # B T H G S D


def by_hand(q, k, v, allowed):
    B, T, H, D = q.shape
    G = k.shape[1]
    out = torch.zeros(B, T, H * D)
    for b in range(B):
        for t in range(T):
            for h in range(H):
                seen = [s for s in range(k.shape[2]) if allowed[b, t, s]]
                g = h // (H // G)
                scores = [float(q[b, t, h].float() @ k[b, g, s].float()) / math.sqrt(D) for s in seen]
                top = max(scores)
                powers = [math.exp(score - top) for score in scores]
                mix = sum(p / sum(powers) * v[b, g, s].float() for p, s in zip(powers, seen, strict=True))
                out[b, t, h * D : (h + 1) * D] = mix
    return out


def inputs(shape, dtype):
    B, T, H, G, S, D = shape
    generator = torch.Generator().manual_seed(sum(shape))
    q = torch.randn(B, T, H, D, generator=generator).to(dtype)
    k, v = (torch.randn(B, G, S, D, generator=generator).to(dtype) for _ in range(2))
    allowed = torch.rand(B, T, S, generator=generator) < 0.6
    allowed[:, :, 0] = True
    return q, k, v, allowed


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_equals_a_loop(shape, dtype, tolerance):
    q, k, v, allowed = inputs(shape, dtype)
    everything = torch.ones_like(allowed)
    for mask, seen in ((None, everything), (allowed, allowed), (additive_mask(allowed, dtype), allowed)):
        got = block_attention(q, k, v, mask)
        assert got.dtype == dtype
        torch.testing.assert_close(got.float(), by_hand(q, k, v, seen), atol=tolerance, rtol=tolerance)


def test_one_mask_serves_the_whole_batch():
    q, k, v, allowed = inputs(SHAPES[1], torch.float32)
    one = allowed[:1]
    torch.testing.assert_close(block_attention(q, k, v, one), by_hand(q, k, v, one.expand(2, -1, -1)))


def test_reads_a_view_of_a_longer_cache():
    q, k, v, _ = inputs(SHAPES[3], torch.float32)
    longer = torch.cat((k, torch.full_like(k, torch.nan)), dim=2)
    torch.testing.assert_close(block_attention(q, longer[:, :, : k.shape[2]], v), block_attention(q, k, v))


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_behind_the_length_have_no_influence(shape):
    q, k, v, _ = inputs(shape, torch.float32)
    lengths = torch.tensor([1 + (3 * b) % shape[4] for b in range(shape[0])])
    allowed = (torch.arange(shape[4]) < lengths[:, None])[:, None].expand(-1, shape[1], -1)
    poisoned_k, poisoned_v = k.clone(), v.clone()
    for b, n in enumerate(lengths.tolist()):
        poisoned_k[b, :, n:] = torch.nan
        poisoned_v[b, :, n:] = torch.nan
    got = block_attention_by_length(q, poisoned_k, poisoned_v, lengths)
    torch.testing.assert_close(got, by_hand(q, k, v, allowed), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("num_page_rows", [None, 3])
def test_each_row_sees_as_many_keys_as_its_bound_says(shape, num_page_rows):
    q, k, v, _ = inputs(shape, torch.float32)
    B, T, _, G, S, D = shape
    bounds = torch.tensor([[(5 * b + 3 * t) % (S + 1) for t in range(T)] for b in range(B)], dtype=torch.int32)
    allowed = torch.arange(S) < bounds.clamp_min(1)[:, :, None]
    expected = by_hand(q, k, v, allowed).masked_fill((bounds == 0)[:, :, None], 0.0)
    for b, most in enumerate(bounds.amax(1).tolist()):
        k[b, :, most:] = v[b, :, most:] = torch.nan
    if num_page_rows is None:
        got = block_attention_by_bounds(q, k, v, bounds)
    else:
        table = torch.randperm(B * -(-S // num_page_rows)).view(B, -1)
        pages_k, pages_v = (torch.full((table.numel(), G, num_page_rows, D), torch.nan) for _ in range(2))
        for b in range(B):
            for s in range(S):
                page, row = table[b, s // num_page_rows], s % num_page_rows
                pages_k[page, :, row], pages_v[page, :, row] = k[b, :, s], v[b, :, s]
        got = paged_block_attention(q, pages_k, pages_v, table, bounds)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_gradients_reach_all_inputs():
    q, k, v, allowed = inputs(SHAPES[1], torch.float64)
    leaves = [x.requires_grad_() for x in (q, k, v)]
    assert torch.autograd.gradcheck(lambda *x: block_attention(*x, allowed), leaves)
