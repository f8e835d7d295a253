"""Attention in Triton against the reference: odd shapes, pages in any order, bounds that differ by row, splits."""

import pytest
import torch

from kernels.block_attention import kernel, reference
from tests.kernels.moved_bytes import Counted

# B T H G S D W X: batch, rows, query and key-value heads, keys, features, rows of a page (None = no pages), splits
SHAPES = [
    (1, 1, 4, 4, 37, 64, 16, None),
    (1, 1, 8, 1, 601, 64, 32, 3),
    (2, 5, 6, 3, 101, 64, 16, 2),
    (3, 3, 5, 1, 67, 128, 128, 1),
    (1, 32, 8, 2, 257, 32, 64, 4),
    (2, 11, 7, 1, 131, 16, 64, 2),
    (1, 19, 7, 1, 67, 16, 64, 1),
    (2, 2, 6, 2, 97, 64, None, 1),
    (1, 9, 3, 1, 389, 128, None, 5),
]


def case(shape, device, dtype):
    B, T, H, G, S, D = shape[:6]
    generator = torch.Generator().manual_seed(sum(shape[:6]))
    q, k, v = (
        torch.randn(size, generator=generator).to(device, dtype) for size in ((B, T, H, D), (B, G, S, D), (B, G, S, D))
    )
    bounds = torch.randint(0, S + 1, (B, T), generator=generator, dtype=torch.int32)
    bounds[0, T // 2] = S
    bounds[-1, 0] = 1 if T == 1 else 0
    for b, most in enumerate(bounds.amax(1).tolist()):
        k[b, :, most:] = v[b, :, most:] = torch.nan
    return q, k, v, bounds.to(device)


def in_pages(k, num_page_rows):
    """Pages of all batch elements in random order, NaN where no key stands, and the table."""
    B, G, S, D = k.shape
    M = -(-S // num_page_rows)
    padded = torch.nn.functional.pad(k, (0, 0, 0, M * num_page_rows - S), value=torch.nan)
    order = torch.randperm(B * M, generator=torch.Generator().manual_seed(S))
    pages = torch.full((B * M + 2, G, num_page_rows, D), torch.nan, device=k.device, dtype=k.dtype)
    pages[order] = padded.unflatten(2, (M, num_page_rows)).transpose(1, 2).flatten(0, 1)
    return pages, order.view(B, M).to(k.device, torch.int32)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_the_reference(shape, device, dtype, tolerance) -> None:
    q, k, v, bounds = case(shape, device, dtype)
    num_page_rows, num_splits = shape[6:]
    expected = reference.block_attention_by_bounds(q, k, v, bounds)
    if num_page_rows is None:
        got = kernel.block_attention_by_bounds(q, k, v, bounds, num_splits=num_splits)
    else:
        pages_k, table = in_pages(k, num_page_rows)
        got = kernel.paged_block_attention(
            q, pages_k, in_pages(v, num_page_rows)[0], table, bounds, num_splits=num_splits
        )
    assert got.dtype == dtype
    torch.testing.assert_close(got, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("num_splits", [1, 3])
def test_an_element_without_keys_gives_zeros(num_splits, device, dtype) -> None:
    q, k, v, _ = case((2, 2, 6, 2, 97, 64, None, 1), device, dtype)
    bounds = torch.tensor([[0, 0], [2, 1]], dtype=torch.int32, device=device)
    k[0] = v[0] = torch.nan
    k[1, :, :2] = v[1, :, :2] = 1.0
    got = kernel.block_attention_by_bounds(q, k, v, bounds, num_splits=num_splits)
    assert torch.equal(got[0], torch.zeros_like(got[0]))
    torch.testing.assert_close(got[1], torch.ones_like(got[1]))


def test_reads_queries_and_keys_where_a_projection_left_them(device, dtype, tolerance) -> None:
    B, T, H, G, S, D = 2, 3, 4, 2, 23, 64
    generator = torch.Generator().manual_seed(1)
    q = torch.randn(B, T, H + 5, D, generator=generator).to(device, dtype)[:, :, 1 : H + 1]
    k, v = (torch.randn(B, S, G + 3, D, generator=generator).to(device, dtype)[:, :, :G].transpose(1, 2) for _ in "kv")
    bounds = torch.full((B, T), S, dtype=torch.int32, device=device)
    got = kernel.block_attention_by_bounds(q, k, v, bounds, num_splits=2)
    expected = reference.block_attention(q, k, v)
    torch.testing.assert_close(got, expected, atol=tolerance, rtol=tolerance)


def test_large_scores_do_not_overflow(device) -> None:
    q = torch.full((1, 2, 2, 16), 300.0, device=device)
    k = torch.linspace(-1, 1, 133, device=device)[None, None, :, None].expand(1, 1, 133, 16) * 300.0
    v = torch.arange(133.0, device=device)[None, None, :, None].expand(1, 1, 133, 16).contiguous()
    bounds = torch.tensor([[133, 57]], dtype=torch.int32, device=device)
    got = kernel.block_attention_by_bounds(q, k.contiguous(), v, bounds, num_splits=2)
    torch.testing.assert_close(got[0, :, 0].cpu(), torch.tensor([132.0, 56.0]))


# T R S W X, G 2 and D 64: a whole block, a block of prime size, one row; the last has fewer keys than splits could use.
@pytest.mark.parametrize(
    "shape", [(32, 4, 1000, 64, 3), (13, 5, 517, 16, 2), (1, 7, 999, None, 7), (16, 4, 100, 64, 8)]
)
def test_a_launch_moves_the_bytes_that_the_readme_counts(shape, device, monkeypatch) -> None:
    if device.type == "cuda":
        pytest.skip("counted by the interpreter")
    T, R, S, W, X = shape
    q, k, v, _ = case((1, T, 2 * R, 2, S, 64, W, X), device, torch.float16)
    k, v = torch.randn_like(k), torch.randn_like(v)
    bounds = torch.full((1, T), S, dtype=torch.int32)
    pages_k, table = (k, None) if W is None else in_pages(k, W)
    pages_v = v if W is None else in_pages(v, W)[0]
    counted = Counted(monkeypatch)
    if table is None:
        kernel.block_attention_by_bounds(q, pages_k, pages_v, bounds, num_splits=X)
    else:
        kernel.paged_block_attention(q, pages_k, pages_v, table, bounds, num_splits=X)
    tile = kernel.tile_for(T * R, 64, 2, kernel.SMALL_SHARED_BYTES, is_paged=W is not None)
    num_tiles = -(-S // tile.keys)
    num_used = -(-num_tiles // max(-(-num_tiles // X), tile.min_tiles))  # splits that have a tile
    num_rows = 2 * T * R
    expected = 2 * 2 * S * 64 * 2 + (num_used + 1) * num_rows * 64 * 2 + 4 * T
    expected += 0 if W is None else 4 * -(-S // W)
    expected += 2 * 4 * num_used * num_rows * (64 + 1)
    assert expected <= counted.num_bytes <= 1.15 * expected


def test_no_rows_are_no_launch(device) -> None:
    q, k = torch.empty(2, 0, 4, 64, device=device), torch.empty(2, 2, 8, 64, device=device)
    bounds = torch.empty(2, 0, dtype=torch.int32, device=device)
    assert kernel.block_attention_by_bounds(q, k, k, bounds).shape == (2, 0, 256)
