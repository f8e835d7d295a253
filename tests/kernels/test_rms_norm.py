"""RMS norm against a loop over rows, in fp32 and bf16."""

import math

import pytest
import torch

from kernels.rms_norm.reference import LengthNorm, add_rms_norm, rms_norm


def by_hand(row: list[float], weight: list[float], eps: float) -> list[float]:
    scale = 1.0 / math.sqrt(sum(value * value for value in row) / len(row) + eps)
    return [value * scale * w for value, w in zip(row, weight, strict=True)]


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (5, 33)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)])
def test_equals_a_loop(shape, dtype, tolerance):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(shape, generator=generator).to(dtype)
    weight = torch.randn(shape[-1], generator=generator).to(dtype)
    expected = torch.tensor([by_hand(row, weight.tolist(), 1e-3) for row in x.tolist()])
    got = rms_norm(x, weight, 1e-3)
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), expected, atol=tolerance, rtol=tolerance)


def test_fp32_weight_keeps_bf16_rows_bf16():
    assert rms_norm(torch.ones(2, 4, dtype=torch.bfloat16), torch.ones(4), 1e-5).dtype == torch.bfloat16


def test_add_returns_the_sum_and_its_norm():
    generator = torch.Generator().manual_seed(2)
    x, residual = torch.randn(3, 5, generator=generator), torch.randn(3, 5, generator=generator)
    weight = torch.randn(5, generator=generator)
    normed, total = add_rms_norm(x, residual, weight, 1e-5)
    assert torch.equal(total, x + residual)
    assert torch.equal(normed, rms_norm(x + residual, weight, 1e-5))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 1e3])
def test_the_length_gives_the_same_norm(dtype, tolerance, scale):
    generator = torch.Generator().manual_seed(4)
    x = (scale * torch.randn(2, 3, 4, 7, generator=generator)).to(dtype)
    before = x.clone()
    weight = torch.randn(4, 7, generator=generator).to(dtype)
    expected = torch.stack([rms_norm(x[:, :, head], weight[head], 1e-3) for head in range(4)], dim=2)
    got = LengthNorm(weight, 1e-3)(x)
    assert got.dtype == dtype
    assert torch.equal(x, before)
    torch.testing.assert_close(got, expected, atol=tolerance, rtol=tolerance)
