"""Rotary position embedding with explicit positions, and the write of rotated keys and values into a cache.

Source: Su et al., "RoFormer" (arXiv 2104.09864), §3.4.2, with the half-split pairing of Llama and Qwen (feature i turns
with feature i + D/2). Where only some features turn (GPT-NeoX, arXiv 2204.06745, section 2.1), the others turn by no
angle, so nothing else need know. Left out: context extension by scaled frequencies.

Shapes: B batch, T new rows, H query heads, G key-value heads, D features of a head, S rows of the cache. Paged: P
pages of W rows each, a table of M pages for each batch element.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def rope_angles(
    positions_BT: Tensor, d_head: int, theta: float, dtype: torch.dtype, d_rotary: int | None = None
) -> tuple[Tensor, Tensor]:
    """cos and sin (B, T, 1, D) for `rotate`, computed in fp32; sin carries the sign of the turn in its first half.

    `d_rotary`: so many features turn, the first d_rotary / 2 of each half (None = all).
    """
    d_rotary = d_rotary or d_head
    even_E = torch.arange(0, d_rotary, 2, device=positions_BT.device, dtype=torch.float32)
    frequency_E = F.pad(1.0 / (theta ** (even_E / d_rotary)), (0, (d_head - d_rotary) // 2))
    angle_BTE = positions_BT.unsqueeze(-1).float() * frequency_E
    cos_BTE, sin_BTE = angle_BTE.cos(), angle_BTE.sin()
    cos_BT1D = torch.cat((cos_BTE, cos_BTE), dim=-1).unsqueeze(-2)
    sin_BT1D = torch.cat((-sin_BTE, sin_BTE), dim=-1).unsqueeze(-2)
    return cos_BT1D.to(dtype), sin_BT1D.to(dtype)


def rotate(x_BTHD: Tensor, cos_BT1D: Tensor, sin_BT1D: Tensor) -> Tensor:
    """x turned by the angles of `rope_angles`."""
    # A roll by half of the features swaps the halves: three dispatches where the textbook form takes eight.
    return torch.addcmul(x_BTHD * cos_BT1D, x_BTHD.roll(x_BTHD.shape[-1] // 2, -1), sin_BT1D)


def rope_kv_write(
    q_BTHD: Tensor,
    k_BTGD: Tensor,
    v_BTGD: Tensor,
    cos_BT1D: Tensor,
    sin_BT1D: Tensor,
    k_cache_BGSD: Tensor,
    v_cache_BGSD: Tensor,
    rows: int | Tensor,
) -> Tensor:
    """Rotate q and k, write k and v into the cache in place, return the rotated q (B, T, H, D).

    `rows` is the first cache row when all batch elements write the same T consecutive rows, else int64 (B, T): the row
    of each new key, distinct within a batch element. Rows must lie inside the cache.
    """
    kv_write(rotate(k_BTGD, cos_BT1D, sin_BT1D), v_BTGD, k_cache_BGSD, v_cache_BGSD, rows)
    return rotate(q_BTHD, cos_BT1D, sin_BT1D)


def kv_write(k_BTGD: Tensor, v_BTGD: Tensor, k_cache_BGSD: Tensor, v_cache_BGSD: Tensor, rows: int | Tensor) -> None:
    """Write k, turned already, and v into the cache in place; `rows` as in rope_kv_write."""
    if isinstance(rows, int):
        stop = rows + k_BTGD.shape[1]
        k_cache_BGSD[:, :, rows:stop] = k_BTGD.transpose(1, 2)
        v_cache_BGSD[:, :, rows:stop] = v_BTGD.transpose(1, 2)
    else:
        batch_B1 = torch.arange(rows.shape[0], device=rows.device).unsqueeze(1)
        k_cache_BGSD.transpose(1, 2)[batch_B1, rows] = k_BTGD
        v_cache_BGSD.transpose(1, 2)[batch_B1, rows] = v_BTGD


def paged_rope_kv_write(
    q_BTHD: Tensor,
    k_BTGD: Tensor,
    v_BTGD: Tensor,
    cos_BT1D: Tensor,
    sin_BT1D: Tensor,
    k_PGWD: Tensor,
    v_PGWD: Tensor,
    table_BM: Tensor,
    rows_BT: Tensor,
) -> Tensor:
    """rope_kv_write into pages: row s of batch element b is row s mod W of page table_BM[b, s // W].

    A negative row (padding) is not written. The rest may not meet: no page twice in what is written.
    """
    real_BT = rows_BT >= 0
    batch_BT = torch.arange(rows_BT.shape[0], device=rows_BT.device).unsqueeze(1).expand_as(rows_BT)
    row_X = rows_BT[real_BT].long()
    num_page_rows = k_PGWD.shape[2]
    page_X = table_BM[batch_BT[real_BT], row_X // num_page_rows].long()
    k_PGWD[page_X, :, row_X % num_page_rows] = rotate(k_BTGD, cos_BT1D, sin_BT1D)[real_BT]
    v_PGWD[page_X, :, row_X % num_page_rows] = v_BTGD[real_BT]
    return rotate(q_BTHD, cos_BT1D, sin_BT1D)
