"""Rotary embedding against complex multiplication, and the cache write row by row."""

import cmath
import math

import pytest
import torch

from kernels.rope_kv_write.reference import paged_rope_kv_write, rope_angles, rope_kv_write, rotate

THETA = 500.0


def turned(row: list[float], position: int) -> list[float]:
    half = len(row) // 2
    out = [0.0] * len(row)
    for i in range(half):
        z = complex(row[i], row[i + half]) * cmath.exp(1j * position * THETA ** (-2 * i / len(row)))
        out[i], out[i + half] = z.real, z.imag
    return out


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("d_head", [2, 6, 12])
def test_rotation_is_complex_multiplication(d_head, dtype, tolerance):
    x = torch.randn(2, 3, 5, d_head, generator=torch.Generator().manual_seed(3)).to(dtype)
    positions = torch.tensor([[0, 7, 7], [31, 2, 90]])
    got = rotate(x, *rope_angles(positions, d_head, THETA, dtype))
    assert got.dtype == dtype
    expected = [
        [[turned(x[b, t, h].tolist(), int(positions[b, t])) for h in range(5)] for t in range(3)] for b in range(2)
    ]
    torch.testing.assert_close(got.float(), torch.tensor(expected), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("d_rotary", [2, 4, 6])
def test_features_that_do_not_turn(d_rotary):
    """A head of 8 features of which the first d_rotary turn among themselves, laid out as `rope_angles` says."""
    x = torch.randn(1, 2, 1, 8, generator=torch.Generator().manual_seed(5))
    positions = torch.tensor([[3, 40]])
    got = rotate(x, *rope_angles(positions, 8, THETA, torch.float32, d_rotary))
    half = d_rotary // 2
    turning = [*range(half), *range(4, 4 + half)]
    for t in range(2):
        row, expected = x[0, t, 0], x[0, t, 0].clone()
        expected[turning] = torch.tensor(turned(row[turning].tolist(), int(positions[0, t])))
        torch.testing.assert_close(got[0, t, 0], expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(got[..., half:4], x[..., half:4])


def test_scores_depend_on_distance_only():
    generator = torch.Generator().manual_seed(4)
    q, k = torch.randn(1, 1, 1, 8, generator=generator), torch.randn(1, 1, 1, 8, generator=generator)

    def score(i: int, j: int) -> float:
        turn_q = rope_angles(torch.tensor([[i]]), 8, THETA, torch.float32)
        turn_k = rope_angles(torch.tensor([[j]]), 8, THETA, torch.float32)
        return float((rotate(q, *turn_q) * rotate(k, *turn_k)).sum())

    assert math.isclose(score(3, 1), score(40, 38), abs_tol=1e-5)
    assert not math.isclose(score(3, 1), score(3, 2), abs_tol=1e-3)


@pytest.mark.parametrize("consecutive", [True, False])
def test_writes_only_its_rows(consecutive):
    generator = torch.Generator().manual_seed(5)
    B, T, H, G, D, S = 2, 3, 4, 2, 6, 9
    q, k, v = (torch.randn(B, T, n, D, generator=generator) for n in (H, G, G))
    k_cache, v_cache = torch.full((B, G, S, D), torch.nan), torch.full((B, G, S, D), torch.nan)
    rows = torch.tensor([[4, 5, 6], [4, 5, 6]] if consecutive else [[8, 0, 3], [2, 1, 7]])
    angles = rope_angles(rows, D, THETA, torch.float32)
    out = rope_kv_write(q, k, v, *angles, k_cache, v_cache, 4 if consecutive else rows)
    torch.testing.assert_close(out, rotate(q, *angles))
    k_turned = rotate(k, *angles)
    for b in range(B):
        for s in range(S):
            if s in rows[b].tolist():
                t = rows[b].tolist().index(s)
                assert torch.equal(k_cache[b, :, s], k_turned[b, t])
                assert torch.equal(v_cache[b, :, s], v[b, t])
            else:
                assert k_cache[b, :, s].isnan().all()
                assert v_cache[b, :, s].isnan().all()


def test_pages_get_the_rows_that_a_cache_would():
    generator = torch.Generator().manual_seed(6)
    B, T, H, G, D, W = 2, 3, 4, 2, 6, 4
    q, k, v = (torch.randn(B, T, n, D, generator=generator) for n in (H, G, G))
    table, rows = torch.tensor([[4, 1], [2, 0]], dtype=torch.int32), torch.tensor([[7, 2, 4], [5, -1, 0]])
    angles = rope_angles(rows, D, THETA, torch.float32)
    pages = [torch.full((5, G, W, D), torch.nan) for _ in range(2)]
    out = paged_rope_kv_write(q, k, v, *angles, *pages, table, rows)
    torch.testing.assert_close(out, rotate(q, *angles))
    expected = [torch.full_like(pages[0], torch.nan) for _ in range(2)]
    k_turned = rotate(k, *angles)
    for b, t, page, row in [(0, 0, 1, 3), (0, 1, 4, 2), (0, 2, 1, 0), (1, 0, 0, 1), (1, 2, 2, 0)]:
        expected[0][page, :, row], expected[1][page, :, row] = k_turned[b, t], v[b, t]
    for got, wanted in zip(pages, expected, strict=True):
        torch.testing.assert_close(got, wanted, equal_nan=True)
