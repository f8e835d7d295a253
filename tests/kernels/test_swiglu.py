"""SwiGLU against a loop over features."""

import math

import pytest
import torch

from kernels.swiglu.reference import swiglu


@pytest.mark.parametrize("width", [1, 3, 17])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)])
def test_equals_a_loop(width, dtype, tolerance):
    gate_up = torch.randn(2, 3, 2 * width, generator=torch.Generator().manual_seed(width)).to(dtype)
    expected = [
        [[row[i] / (1 + math.exp(-row[i])) * row[width + i] for i in range(width)] for row in rows]
        for rows in gate_up.tolist()
    ]
    got = swiglu(gate_up)
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), torch.tensor(expected), atol=tolerance, rtol=tolerance)
