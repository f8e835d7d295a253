"""swiglu in one launch, in Triton: both halves are read once, the product is written once.

Source: the formula of reference.py. Left out: gradients, and the fusion into the end of the gate-up product (a step of
few rows is bound by the weights of that product; what stands here is 0.5 % of its bytes).

Shapes: R rows, F = width of the feed-forward layer.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024


@triton.jit
def swiglu_rows(gate_up_ptr, out_ptr, F, row_stride, BLOCK_F: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK_F + tl.arange(0, BLOCK_F)
    inside = column < F
    gate = tl.load(gate_up_ptr + row * row_stride + column, mask=inside, other=0.0)
    up = tl.load(gate_up_ptr + row * row_stride + F + column, mask=inside, other=0.0).to(tl.float32)
    value = gate.to(tl.float32)
    # Rounded in between, as two operations of the reference do it.
    activated = (value / (1.0 + tl.exp(-value))).to(gate.dtype).to(tl.float32)
    tl.store(out_ptr + row * F + column, (activated * up).to(gate.dtype), mask=inside)


def swiglu(gate_up: Tensor) -> Tensor:
    """As in reference.py, contiguous."""
    F = gate_up.shape[-1] // 2
    out = torch.empty((*gate_up.shape[:-1], F), dtype=gate_up.dtype, device=gate_up.device)
    rows_RF = gate_up.reshape(-1, 2 * F)
    if rows_RF.stride(-1) != 1:
        rows_RF = rows_RF.contiguous()
    if out.numel():
        block = min(BLOCK, triton.next_power_of_2(F))
        swiglu_rows[(rows_RF.shape[0], triton.cdiv(F, block))](rows_RF, out, F, rows_RF.stride(0), BLOCK_F=block)
    return out
