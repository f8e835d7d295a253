"""Attention of a block of rows over cached keys and its own, in Triton: over pages or one run of rows, split over keys.

Source: the online soft-max of FlashAttention-2 (arXiv 2307.08691, §3.1) and the split over keys of Flash-Decoding
(Dao et al., 2023), worked out anew for short blocks: the heads that share a key-value head stand as rows of one tile,
so their keys are read once. Each row sees a prefix of the keys; the lengths of these and the page table lie on the
device, so a launch depends on shapes alone: it never waits and may be captured in a graph. Left out: masks that are no
prefix, gradients, heads whose number of features is no power of two (the reference serves them).

Shapes: B batch, T query rows, H query heads, G key-value heads, R = H/G, N = T·R folded rows, S key rows, D features of
a head, X splits. Paged: P pages of W rows each, a table of M pages for each batch element.
"""

import functools
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

LOG2_E = 1.4426950408889634
SMALL_SHARED_BYTES = 101_376  # of a block on sm_86 and sm_89; sm_80 has 166,912, sm_90 232,448 (CUDA guide, table 30)


class Tile(NamedTuple):
    """Folded query rows of a program, keys of one of its turns, the fewest turns of a split, and the launch."""

    rows: int
    keys: int
    min_tiles: int
    num_warps: int
    num_stages: int


@triton.jit
def attend(
    q_ptr,
    k_ptr,
    v_ptr,
    table_ptr,
    bounds_ptr,
    out_ptr,
    logsumexp_ptr,
    scale,  # of the scores, times log2 e
    T,
    q_stride_b,
    q_stride_t,
    q_stride_h,
    k_stride_p,
    k_stride_g,
    k_stride_s,
    v_stride_p,
    v_stride_g,
    v_stride_s,
    table_stride_b,
    G: tl.constexpr,
    R: tl.constexpr,
    D: tl.constexpr,
    PAGE: tl.constexpr,  # rows of a page; 0 = one run of rows for each batch element
    SPLITS: tl.constexpr,
    MIN_TILES: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
    UPCAST: tl.constexpr,
):
    # Tiles of rows that read the same keys run side by side, so all but the first find them in the L2 cache.
    row_tile, split, bg = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    b, g = bg // G, bg % G
    N = T * R
    n = row_tile * ROWS + tl.arange(0, ROWS)
    t, head = n // R, g * R + n % R
    d = tl.arange(0, D)
    is_row = n < N
    bound = tl.load(bounds_ptr + b * T + t, mask=is_row, other=0)
    num_keys = tl.max(bound, 0)
    # The splits share what there is now, not what there is room for; a short run of keys is not worth many splits.
    num_tiles = tl.cdiv(num_keys, KEYS)
    tiles_each = tl.maximum(tl.cdiv(num_tiles, SPLITS), MIN_TILES)
    first = split * tiles_each
    stop = tl.minimum(first + tiles_each, num_tiles)

    q_at = q_ptr + b.to(tl.int64) * q_stride_b + t[:, None] * q_stride_t + head[:, None] * q_stride_h + d[None, :]
    q = tl.load(q_at, mask=(is_row & (first < stop))[:, None], other=0.0)
    if UPCAST:
        q = q.to(tl.float32)
    k_ptr += g * k_stride_g
    v_ptr += g * v_stride_g
    if PAGE == 0:
        k_ptr += b.to(tl.int64) * k_stride_p
        v_ptr += b.to(tl.int64) * v_stride_p
    table_ptr += b * table_stride_b

    largest = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    mix = tl.zeros([ROWS, D], tl.float32)
    for tile in range(first, stop):
        s = tile * KEYS + tl.arange(0, KEYS)
        is_key = s < num_keys
        if PAGE == 0:
            k_at, v_at = s.to(tl.int64) * k_stride_s, s.to(tl.int64) * v_stride_s
        elif PAGE >= KEYS:  # a tile lies in one page
            page = tl.load(table_ptr + tile * KEYS // PAGE).to(tl.int64)
            k_at, v_at = page * k_stride_p + s % PAGE * k_stride_s, page * v_stride_p + s % PAGE * v_stride_s
        else:
            page = tl.load(table_ptr + s // PAGE, mask=is_key, other=0).to(tl.int64)
            k_at, v_at = page * k_stride_p + s % PAGE * k_stride_s, page * v_stride_p + s % PAGE * v_stride_s
        k = tl.load(k_ptr + k_at[:, None] + d[None, :], mask=is_key[:, None], other=0.0)
        v = tl.load(v_ptr + v_at[:, None] + d[None, :], mask=is_key[:, None], other=0.0)
        if UPCAST:
            k, v = k.to(tl.float32), v.to(tl.float32)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        scores = tl.where(s[None, :] < bound[:, None], scores, float("-inf"))
        higher = tl.maximum(largest, tl.max(scores, 1))
        finite = tl.where(higher == float("-inf"), 0.0, higher)  # a row that has seen no key yet
        weights = tl.exp2(scores - finite[:, None])
        shrink = tl.exp2(largest - finite)
        total = total * shrink + tl.sum(weights, 1)
        mix = tl.dot(weights.to(v.dtype), v, mix * shrink[:, None], input_precision="ieee")
        largest = higher

    saw = total > 0.0
    mix = mix / tl.where(saw, total, 1.0)[:, None]
    if SPLITS == 1:
        at = (b.to(tl.int64) * T + t) * (G * R) + head
        tl.store(out_ptr + at[:, None] * D + d[None, :], mix.to(out_ptr.dtype.element_ty), mask=is_row[:, None])
    else:
        # A split without keys leaves its part of the mix as it is and says so by a log-sum-exp of minus infinity.
        at = (split * tl.num_programs(2) + bg).to(tl.int64) * N + n
        tl.store(out_ptr + at[:, None] * D + d[None, :], mix, mask=(is_row & saw)[:, None])
        logsumexp = tl.where(saw, largest + tl.log2(tl.where(saw, total, 1.0)), float("-inf"))
        tl.store(logsumexp_ptr + at, logsumexp, mask=is_row)


@triton.jit
def join_splits(
    mix_ptr,
    logsumexp_ptr,
    out_ptr,
    T,
    num_folded,  # B·G·N
    G: tl.constexpr,
    R: tl.constexpr,
    D: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
):
    i = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    d = tl.arange(0, D)
    is_row = i < num_folded
    largest = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    mix = tl.zeros([ROWS, D], tl.float32)
    for split in tl.static_range(SPLITS):
        at = split * num_folded + i
        logsumexp = tl.load(logsumexp_ptr + at, mask=is_row, other=float("-inf"))
        saw = logsumexp > float("-inf")
        higher = tl.maximum(largest, logsumexp)
        finite = tl.where(higher == float("-inf"), 0.0, higher)
        weight, shrink = tl.exp2(logsumexp - finite), tl.exp2(largest - finite)
        part = tl.load(mix_ptr + at[:, None] * D + d[None, :], mask=saw[:, None], other=0.0)
        mix = mix * shrink[:, None] + part * weight[:, None]
        total = total * shrink + weight
        largest = higher
    mix = mix / tl.where(total > 0.0, total, 1.0)[:, None]
    N = T * R
    bg, n = i // N, i % N
    at = ((bg // G) * T + n // R) * (G * R) + bg % G * R + n % R
    tl.store(out_ptr + at[:, None] * D + d[None, :], mix.to(out_ptr.dtype.element_ty), mask=is_row[:, None])


JOIN_ROWS = 4
MAX_SPLITS = 32


def block_attention_by_bounds(
    q_BTHD: Tensor, k_BGSD: Tensor, v_BGSD: Tensor, bounds_BT: Tensor, *, num_splits: int | None = None
) -> Tensor:
    """As in reference.py; `bounds_BT` int32. `num_splits` None = as many as fill the device."""
    return _launch(q_BTHD, k_BGSD, v_BGSD, None, bounds_BT, num_splits)


def paged_block_attention(
    q_BTHD: Tensor,
    k_PGWD: Tensor,
    v_PGWD: Tensor,
    table_BM: Tensor,
    bounds_BT: Tensor,
    *,
    num_splits: int | None = None,
) -> Tensor:
    """As in reference.py; `table_BM` and `bounds_BT` int32, W a power of two of at least 16."""
    return _launch(q_BTHD, k_PGWD, v_PGWD, table_BM, bounds_BT, num_splits)


def _launch(q: Tensor, k: Tensor, v: Tensor, table: Tensor | None, bounds_BT: Tensor, num_splits: int | None) -> Tensor:
    B, T, H, D = q.shape
    G, num_rows = k.shape[1:3]
    assert triton.next_power_of_2(D) == D >= 16, f"the kernel serves heads of 16, 32, 64, … features, not of {D}"
    assert q.stride(3) == k.stride(3) == v.stride(3) == 1, "features lie side by side"
    assert bounds_BT.is_contiguous()
    assert bounds_BT.dtype == torch.int32
    out_BTE = torch.empty(B, T, H * D, dtype=q.dtype, device=q.device)
    if out_BTE.numel() == 0:
        return out_BTE
    page, capacity = 0, num_rows
    if table is not None:
        page, capacity = num_rows, num_rows * table.shape[1]
        assert triton.next_power_of_2(page) == page >= 16, f"pages of 16, 32, 64, … rows, not of {page}"
        assert table.stride(1) == 1
        assert table.dtype == torch.int32
    num_sms, shared_bytes = _device(q.device)
    tile = tile_for(T * H // G, D, q.element_size(), shared_bytes, is_paged=table is not None)
    num_row_tiles = -(-(T * H // G) // tile.rows)
    X = num_splits or splits_for(B * G * num_row_tiles, capacity, tile, num_sms)
    if X > 1:
        mix_XBND = torch.empty(X, B, H * T, D, dtype=torch.float32, device=q.device)
        logsumexp_XBN = torch.empty(X, B, H * T, dtype=torch.float32, device=q.device)
    else:
        mix_XBND = logsumexp_XBN = out_BTE
    attend[(num_row_tiles, X, B * G)](
        q,
        k,
        v,
        bounds_BT if table is None else table,
        bounds_BT,
        mix_XBND,
        logsumexp_XBN,
        D**-0.5 * LOG2_E,
        T,
        *q.stride()[:3],
        *k.stride()[:3],
        *v.stride()[:3],
        0 if table is None else table.stride(0),  # type: ignore[call-arg]
        G=G,
        R=H // G,
        D=D,
        PAGE=page,
        SPLITS=X,
        MIN_TILES=tile.min_tiles,
        ROWS=tile.rows,
        KEYS=tile.keys,
        UPCAST=not q.is_cuda,  # the interpreter multiplies 16-bit types wrongly
        num_warps=tile.num_warps,  # type: ignore[call-arg]
        num_stages=tile.num_stages,  # type: ignore[call-arg]
    )
    if X > 1:
        num_folded = B * H * T
        join_splits[(triton.cdiv(num_folded, JOIN_ROWS),)](
            mix_XBND,
            logsumexp_XBN,
            out_BTE,
            T,
            num_folded,
            G=G,
            R=H // G,
            D=D,
            SPLITS=X,
            ROWS=JOIN_ROWS,
            num_warps=join_warps(D),  # type: ignore[call-arg]
        )
    return out_BTE


def tile_for(num_folded: int, d_head: int, element_size: int, shared_bytes: int, *, is_paged: bool) -> Tile:
    """All rows of a group in one tile where they fit, so that the keys are read once; 64 keys at a time."""
    most = (128 if element_size == 2 else 32) * 128 // max(128, d_head)  # more would not fit the registers
    rows = max(16, min(most, 1 << (num_folded - 1).bit_length()))
    keys = 64 if element_size == 2 else 32
    # Keys and values of the next turns are under way: of two where they fit, else of one.
    num_ahead = 2 if shared_bytes > SMALL_SHARED_BYTES else 1
    if (rows + 2 * (num_ahead + 1) * keys) * d_head * element_size > shared_bytes:
        num_ahead, keys = 1, 32
    # What a split leaves behind (rows in fp32, written and read) must not outweigh the keys and values that it reads.
    min_tiles = max(2, 8 * rows // (2 * element_size * keys))
    # The page of a tile must be known before its keys can be asked for, which doubles the stages of the pipeline.
    num_stages = 2 * num_ahead + 1 if is_paged else num_ahead + 1
    num_warps = 8 if rows * d_head >= 128 * 64 else 4
    return Tile(rows, keys, min_tiles, num_warps, num_stages)


def splits_for(num_programs: int, capacity: int, tile: Tile, num_sms: int) -> int:
    """A program for every multiprocessor, as far as there is room for that many keys."""
    most = capacity // (tile.keys * tile.min_tiles)
    return max(1, min(most, num_sms // num_programs, MAX_SPLITS))


def join_warps(d_head: int) -> int:
    return max(1, JOIN_ROWS * d_head // 128)


@functools.cache
def _device(device: torch.device) -> tuple[int, int]:
    """Multiprocessors, and bytes of shared memory that a block may have; the interpreter stands for a small GPU."""
    if device.type != "cuda":
        return 16, SMALL_SHARED_BYTES
    index = torch.cuda.current_device() if device.index is None else device.index
    driver: Any = triton.runtime.driver.active
    properties = driver.utils.get_device_properties(index)
    return properties["multiprocessor_count"], properties["max_shared_mem"]
