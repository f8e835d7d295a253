"""The rotary write in Triton against the reference: odd widths, strided inputs, pages, rows that are not written."""

import pytest
import torch

from kernels.rope_kv_write import kernel, reference


def case(device, dtype, *, num_heads=11, num_kv_heads=3, d_head=24, positions=None):
    """Queries, keys and values as slices of one projection, as the network makes them, and their angles."""
    B, T, H, G, D = 2, 3, num_heads, num_kv_heads, d_head
    generator = torch.Generator().manual_seed(H + D)
    qkv = torch.randn(B, T, H + 2 * G, D, generator=generator).to(device, dtype)
    if positions is None:
        positions = torch.tensor([[7, 0, 91], [3, 4, 5]])
    angles = reference.rope_angles(positions.to(device), D, 500.0, dtype)
    return qkv.split((H, G, G), dim=2), angles


def empty_caches(shape, device, dtype):
    return [torch.full(shape, torch.nan, device=device, dtype=dtype) for _ in range(4)]


def check(got, expected, caches, tolerance) -> None:
    torch.testing.assert_close(got, expected, atol=tolerance, rtol=tolerance)
    for written, wanted in zip(caches[:2], caches[2:], strict=True):
        assert torch.equal(written.isnan(), wanted.isnan()), "rows that were not named keep their bytes"
        torch.testing.assert_close(written, wanted, atol=tolerance, rtol=tolerance, equal_nan=True)


@pytest.mark.parametrize("shape", [(1, 1, 2), (4, 4, 64), (9, 3, 6), (28, 4, 128)], ids=str)
@pytest.mark.parametrize("consecutive", [True, False])
def test_equals_the_reference(shape, consecutive, device, dtype, tolerance) -> None:
    (q, k, v), angles = case(device, dtype, num_heads=shape[0], num_kv_heads=shape[1], d_head=shape[2])
    rows = 4 if consecutive else torch.tensor([[8, 0, 3], [2, 1, 7]], device=device)
    caches = empty_caches((2, shape[1], 9, shape[2]), device, dtype)
    got = kernel.rope_kv_write(q, k, v, *angles, *caches[:2], rows)
    expected = reference.rope_kv_write(q, k, v, *angles, *caches[2:], rows)
    assert got.dtype == dtype
    check(got, expected, caches, tolerance)


@pytest.mark.parametrize("rows_dtype", [torch.int32, torch.int64])
def test_writes_into_pages_and_skips_padding(rows_dtype, device, dtype, tolerance) -> None:
    (q, k, v), angles = case(device, dtype)
    table = torch.tensor([[3, 1], [0, 4]], dtype=torch.int32, device=device)
    rows = torch.tensor([[17, -1, 3], [2, 16, 31]], dtype=rows_dtype, device=device)
    caches = empty_caches((5, 3, 16, 24), device, dtype)
    got = kernel.paged_rope_kv_write(q, k, v, *angles, *caches[:2], table, rows)
    expected = reference.paged_rope_kv_write(q, k, v, *angles, *caches[2:], table, rows)
    check(got, expected, caches, tolerance)
    assert int((~caches[0].isnan()).sum()) == 5 * 3 * 24


def test_one_row_of_angles_serves_the_batch(device, dtype, tolerance) -> None:
    (q, k, v), angles = case(device, dtype, positions=torch.tensor([[40, 41, 42]]))
    caches = empty_caches((2, 3, 5, 24), device, dtype)
    got = kernel.rope_kv_write(q, k, v, *angles, *caches[:2], 1)
    check(got, reference.rope_kv_write(q, k, v, *angles, *caches[2:], 1), caches, tolerance)
