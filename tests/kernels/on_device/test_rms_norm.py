"""rms_norm and add_rms_norm in Triton against the reference."""

import pytest
import torch

from kernels.rms_norm import kernel, reference

SHAPES = [(1, 1), (3, 7), (5, 33), (1, 2, 4096), (2, 5, 3, 64), (0, 8), (17, 129)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_the_reference(shape, device, dtype, tolerance) -> None:
    x, residual, weight = torch.randn(shape), torch.randn(shape), torch.randn(shape[-1])
    x, residual, weight = (each.to(device, dtype) for each in (x, residual, weight))
    torch.testing.assert_close(
        kernel.rms_norm(x, weight, 1e-3), reference.rms_norm(x, weight, 1e-3), atol=tolerance, rtol=tolerance
    )
    before = x.clone(), residual.clone()
    normed, total = kernel.add_rms_norm(x, residual, weight, 1e-3)
    expected, expected_total = reference.add_rms_norm(x, residual, weight, 1e-3)
    torch.testing.assert_close(total, expected_total, atol=0, rtol=0)
    torch.testing.assert_close(normed, expected, atol=tolerance, rtol=tolerance)
    assert torch.equal(x, before[0])
    assert torch.equal(residual, before[1])


def test_a_slice_of_the_fused_projection_is_read_where_it_lies(device, dtype, tolerance) -> None:
    qkv_BTNK = torch.full((2, 3, 7, 16), torch.nan, device=device, dtype=dtype)
    qkv_BTNK[:, :, 2:6] = torch.randn(2, 3, 4, 16).to(device, dtype)
    k_BTGK = qkv_BTNK[:, :, 2:6]
    weight = torch.randn(16).to(device, dtype)
    got = kernel.rms_norm(k_BTGK, weight, 1e-5)
    assert got.is_contiguous()
    expected = reference.rms_norm(k_BTGK, weight, 1e-5)
    torch.testing.assert_close(got, expected, atol=tolerance, rtol=tolerance)


def test_every_second_feature(device, dtype, tolerance) -> None:
    x = torch.randn(4, 24).to(device, dtype)[:, ::2]
    weight = torch.ones(12, device=device, dtype=dtype)
    expected = reference.rms_norm(x, weight, 1e-5)
    torch.testing.assert_close(kernel.rms_norm(x, weight, 1e-5), expected, atol=tolerance, rtol=tolerance)


def test_an_fp32_weight_keeps_the_type_of_the_rows(device, dtype) -> None:
    assert (
        kernel.rms_norm(torch.ones(2, 8, device=device, dtype=dtype), torch.ones(8, device=device), 1e-5).dtype == dtype
    )
