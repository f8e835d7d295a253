"""rope_kv_write in one launch, in Triton: queries turned, keys turned and written, values written, pages or not.

Source: the formula of reference.py. Each value is read once and written once: a program owns a few heads of one row, of
queries or of keys or of values, and reads them where the fused projection left them. Rows and page tables lie on the
device, so a launch never waits for it. Left out: gradients.

Shapes: B batch, T new rows, H query heads, G key-value heads, D features of a head, E = D/2, S rows of the cache.
Paged: P pages of W rows each, a table of M pages for each batch element.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

HEADS = 8
"""Of one program: 8 heads of 128 features are 2 KB in 16 bits."""


@triton.jit
def turn_and_write(
    q_ptr,
    k_ptr,
    v_ptr,
    cos_ptr,
    sin_ptr,
    out_ptr,
    k_cache_ptr,
    v_cache_ptr,
    table_ptr,
    rows_ptr,
    first_row,
    T,
    q_stride_b,
    q_stride_t,
    q_stride_h,
    k_stride_b,
    k_stride_t,
    k_stride_g,
    v_stride_b,
    v_stride_t,
    v_stride_g,
    cos_stride_b,
    cos_stride_t,
    sin_stride_b,
    sin_stride_t,
    k_cache_stride_p,
    k_cache_stride_g,
    k_cache_stride_s,
    v_cache_stride_p,
    v_cache_stride_g,
    v_cache_stride_s,
    table_stride_b,
    H: tl.constexpr,
    G: tl.constexpr,
    D: tl.constexpr,
    PAGE: tl.constexpr,  # rows of a page; 0 = one run of rows for each batch element
    HAS_ROWS: tl.constexpr,
    HEADS: tl.constexpr,
    BLOCK_E: tl.constexpr,
):
    E: tl.constexpr = D // 2
    QUERIES: tl.constexpr = (H + HEADS - 1) // HEADS
    KEYS: tl.constexpr = (G + HEADS - 1) // HEADS
    part = tl.program_id(1)
    b = (tl.program_id(0) // T).to(tl.int64)
    t = tl.program_id(0) % T
    e = tl.arange(0, BLOCK_E)[None, :]
    h = tl.arange(0, HEADS)[:, None]

    if part < QUERIES:
        head = part * HEADS + h
        inside = (head < H) & (e < E)
        x_at = q_ptr + b * q_stride_b + t * q_stride_t + head * q_stride_h + e
        y_at = out_ptr + ((b * T + t) * H + head) * D + e
    else:
        row = first_row + t
        if HAS_ROWS:
            row = tl.load(rows_ptr + b * T + t).to(tl.int32)
        page = b
        if PAGE > 0:
            entry = tl.maximum(row, 0) // PAGE
            page = tl.load(table_ptr + b * table_stride_b + entry).to(tl.int64)
            place = tl.maximum(row, 0).to(tl.int64) % PAGE
        else:
            place = tl.maximum(row, 0).to(tl.int64)
        if part < QUERIES + KEYS:
            head = (part - QUERIES) * HEADS + h
            x_at = k_ptr + b * k_stride_b + t * k_stride_t + head * k_stride_g + e
            y_at = k_cache_ptr + page * k_cache_stride_p + head * k_cache_stride_g + place * k_cache_stride_s + e
        else:
            head = (part - QUERIES - KEYS) * HEADS + h
            x_at = v_ptr + b * v_stride_b + t * v_stride_t + head * v_stride_g + e
            y_at = v_cache_ptr + page * v_cache_stride_p + head * v_cache_stride_g + place * v_cache_stride_s + e
        inside = (head < G) & (e < E) & (row >= 0)

    low = tl.load(x_at, mask=inside, other=0.0)
    high = tl.load(x_at + E, mask=inside, other=0.0)
    if part < QUERIES + KEYS:
        # The second half of sin carries no sign (rope_angles).
        cos = tl.load(cos_ptr + b * cos_stride_b + t * cos_stride_t + e, mask=e < E, other=0.0).to(tl.float32)
        sin = tl.load(sin_ptr + b * sin_stride_b + t * sin_stride_t + E + e, mask=e < E, other=0.0).to(tl.float32)
        low_fp32, high_fp32 = low.to(tl.float32), high.to(tl.float32)
        low = (low_fp32 * cos - high_fp32 * sin).to(low.dtype)
        high = (high_fp32 * cos + low_fp32 * sin).to(high.dtype)
    tl.store(y_at, low, mask=inside)
    tl.store(y_at + E, high, mask=inside)


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
    """As in reference.py; a negative row of the (B, T) form is not written."""
    return _launch(q_BTHD, k_BTGD, v_BTGD, cos_BT1D, sin_BT1D, k_cache_BGSD, v_cache_BGSD, None, rows)


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
    """As in reference.py."""
    return _launch(q_BTHD, k_BTGD, v_BTGD, cos_BT1D, sin_BT1D, k_PGWD, v_PGWD, table_BM, rows_BT)


def _launch(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cos: Tensor,
    sin: Tensor,
    k_cache: Tensor,
    v_cache: Tensor,
    table: Tensor | None,
    rows: int | Tensor,
) -> Tensor:
    B, T, H, D = q.shape
    G = k.shape[2]
    assert all(x.stride(-1) == 1 for x in (q, k, v, cos, sin, k_cache, v_cache)), "features lie side by side"
    assert isinstance(rows, int) or rows.is_contiguous()
    out_BTHD = torch.empty(B, T, H, D, dtype=q.dtype, device=q.device)
    if out_BTHD.numel() == 0:
        return out_BTHD
    num_parts = triton.cdiv(H, HEADS) + 2 * triton.cdiv(G, HEADS)
    turn_and_write[(B * T, num_parts)](
        q,
        k,
        v,
        cos,
        sin,
        out_BTHD,
        k_cache,
        v_cache,
        q if table is None else table,
        q if isinstance(rows, int) else rows,
        rows if isinstance(rows, int) else 0,
        T,
        *q.stride()[:3],
        *k.stride()[:3],
        *v.stride()[:3],
        *_strides(cos),
        *_strides(sin),
        *k_cache.stride()[:3],
        *v_cache.stride()[:3],
        0 if table is None else table.stride(0),  # type: ignore[call-arg]
        H=H,
        G=G,
        D=D,
        PAGE=0 if table is None else k_cache.shape[2],
        HAS_ROWS=not isinstance(rows, int),
        HEADS=HEADS,
        BLOCK_E=triton.next_power_of_2(D // 2),
        num_warps=1,  # type: ignore[call-arg]
    )
    return out_BTHD


def _strides(angles_BT1D: Tensor) -> tuple[int, int]:
    """Of the batch (0 where one row of angles serves all) and of the rows."""
    return 0 if angles_BT1D.shape[0] == 1 else angles_BT1D.stride(0), angles_BT1D.stride(1)
