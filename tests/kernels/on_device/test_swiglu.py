"""swiglu in Triton against the reference."""

import pytest
import torch

from kernels.swiglu import kernel, reference


@pytest.mark.parametrize("shape", [(1, 2), (3, 14), (2, 3, 66), (5, 2 * 1025), (0, 8)], ids=str)
def test_equals_the_reference(shape, device, dtype, tolerance) -> None:
    gate_up = (3 * torch.randn(shape)).to(device, dtype)
    torch.testing.assert_close(kernel.swiglu(gate_up), reference.swiglu(gate_up), atol=tolerance, rtol=tolerance)


def test_large_gates_saturate(device, dtype) -> None:
    gate_up = torch.tensor([[-200.0, 200.0, 1.0, 2.0]], device=device, dtype=dtype)
    assert kernel.swiglu(gate_up).tolist() == [[0.0, 400.0]]


def test_rows_of_a_wider_matrix(device, dtype, tolerance) -> None:
    wide = torch.full((3, 20), torch.nan, device=device, dtype=dtype)
    wide[:, :12] = torch.randn(3, 12).to(device, dtype)
    expected = reference.swiglu(wide[:, :12])
    torch.testing.assert_close(kernel.swiglu(wide[:, :12]), expected, atol=tolerance, rtol=tolerance)
