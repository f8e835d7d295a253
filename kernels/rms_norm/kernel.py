"""rms_norm and add_rms_norm in one launch each, in Triton.

Source: the formula of reference.py; a row lies in the registers of one program, so it is read once and written once.
Left out: gradients (training keeps the reference, which the compiler fuses), rows too wide for one program.

Shapes: R rows, D features; rows of a head are addressed as (outer, inner), so a slice of the fused projection is read
where it lies.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

ELEMENTS = 4096
"""Of one program: narrow rows (the norm of queries and keys) go together up to this many."""


@triton.jit
def rms_norm_rows(
    x_ptr,
    residual_ptr,
    weight_ptr,
    normed_ptr,
    total_ptr,
    num_rows,
    num_inner,
    outer_stride,
    inner_stride,
    D,
    eps,
    HAS_RESIDUAL: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK_D)
    inside = (row < num_rows)[:, None] & (column < D)[None, :]
    start = (row // num_inner).to(tl.int64) * outer_stride + (row % num_inner) * inner_stride
    x = tl.load(x_ptr + start[:, None] + column[None, :], mask=inside, other=0.0)
    place = row.to(tl.int64)[:, None] * D + column[None, :]
    if HAS_RESIDUAL:
        residual = tl.load(residual_ptr + place, mask=inside, other=0.0)
        x = (x.to(tl.float32) + residual.to(tl.float32)).to(x.dtype)  # the sum is rounded before it is normed
        tl.store(total_ptr + place, x, mask=inside)
    values = x.to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(values * values, 1) / D + eps)
    weight = tl.load(weight_ptr + column, mask=column < D, other=0.0).to(x.dtype).to(tl.float32)
    tl.store(normed_ptr + place, (values * scale[:, None] * weight[None, :]).to(x.dtype), mask=inside)


def rms_norm(x: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    """As in reference.py, contiguous."""
    return _launch(x, None, weight_D, eps)[0]


def add_rms_norm(x: Tensor, residual: Tensor, weight_D: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """As in reference.py, both contiguous."""
    return _launch(x, residual, weight_D, eps)


def _launch(x: Tensor, residual: Tensor | None, weight_D: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    D = x.shape[-1]
    rows_OID = x.reshape(1, -1, D) if x.is_contiguous() or x.dim() < 3 else x.flatten(0, -3)
    if rows_OID.stride(-1) != 1:
        rows_OID = rows_OID.contiguous()
    num_rows = rows_OID.shape[0] * rows_OID.shape[1]
    normed = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    total = normed if residual is None else torch.empty_like(normed)
    if num_rows == 0:
        return normed, total
    num_together, block = tile(num_rows, D)
    rms_norm_rows[(triton.cdiv(num_rows, num_together),)](
        rows_OID,
        rows_OID if residual is None else residual.contiguous(),
        weight_D,
        normed,
        total,
        num_rows,
        rows_OID.shape[1],
        rows_OID.stride(0),
        rows_OID.stride(1),
        D,
        eps,
        HAS_RESIDUAL=residual is not None,
        ROWS=num_together,
        BLOCK_D=block,
        num_warps=num_warps(num_together * block),  # type: ignore[call-arg]
    )
    return normed, total


def tile(num_rows: int, D: int) -> tuple[int, int]:
    """Rows and (padded) features of one program."""
    block = 1 << (D - 1).bit_length()
    together = max(1, ELEMENTS // block)
    return min(together, 1 << (num_rows - 1).bit_length()), block


def num_warps(num_elements: int) -> int:
    """A warp for each 1,024 elements: 32 of them in the registers of a thread."""
    return max(1, min(16, num_elements // 1024))
