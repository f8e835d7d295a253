"""confidence_head without logits in memory, in Triton: a product with the vocabulary that keeps five numbers a row.

Source: the formula of reference.py; the soft-max taken piece by piece over the vocabulary (Milakov & Gimelshein, arXiv
1805.02867) beside the product that makes its logits (Cut Your Losses, arXiv 2411.09009, §4). A program owns a
stretch of the vocabulary: it multiplies it with all rows, leaves maximum, sum, Σ z·e^z and arg-max of each row, and
the logits of asked ids that lie in its stretch; a second launch joins the stretches. Labels stand as rows of the tensor
cores' tiles, as a block has few hidden rows. Left out: sampling at a temperature, gradients.

Shapes: R rows, D model width, V vocabulary, K label sets, M ids asked for in each row, X stretches.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.confidence_head.reference import Confidence


class Tile(NamedTuple):
    """Labels, rows and features of one product, and how it is launched."""

    labels: int
    rows: int
    features: int
    num_warps: int
    num_stages: int


@triton.jit
def read_stretch(
    hidden_ptr,
    head_ptr,
    allowed_ptr,
    sets_ptr,
    ids_ptr,
    best_ptr,
    total_ptr,
    moment_ptr,
    label_ptr,
    asked_ptr,
    R,
    V,
    hidden_stride_r,
    head_stride_v,
    D: tl.constexpr,
    M: tl.constexpr,
    HAS_SETS: tl.constexpr,
    ROWS: tl.constexpr,
    LABELS: tl.constexpr,
    BLOCK_D: tl.constexpr,
    UPCAST: tl.constexpr,
):
    # Tiles of rows that read the same weights run side by side, so all but the first find them in the L2 cache.
    stretch = tl.program_id(1)
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    label = stretch * LABELS + tl.arange(0, LABELS)
    d = tl.arange(0, BLOCK_D)
    is_row, is_label = r < R, label < V
    head_at = head_ptr + label.to(tl.int64)[:, None] * head_stride_v + d[None, :]
    hidden_at = hidden_ptr + r[:, None] * hidden_stride_r + d[None, :]
    z = tl.zeros([LABELS, ROWS], tl.float32)
    for start in range(0, D, BLOCK_D):
        if D % BLOCK_D == 0:
            head = tl.load(head_at + start, mask=is_label[:, None], other=0.0)
            hidden = tl.load(hidden_at + start, mask=is_row[:, None], other=0.0)
        else:
            is_feature = (start + d < D)[None, :]
            head = tl.load(head_at + start, mask=is_label[:, None] & is_feature, other=0.0)
            hidden = tl.load(hidden_at + start, mask=is_row[:, None] & is_feature, other=0.0)
        if UPCAST:
            head, hidden = head.to(tl.float32), hidden.to(tl.float32)
        z = tl.dot(head, tl.trans(hidden), z, input_precision="ieee")

    # Rows that are none come along (their values are 0, and nothing of them is stored).
    if HAS_SETS:
        chosen = tl.load(sets_ptr + r, mask=is_row, other=0).to(tl.int32)
        allowed_at = allowed_ptr + (chosen[None, :] * V + label[:, None])
        z = tl.where(tl.load(allowed_at, mask=is_label[:, None], other=0) != 0, z, float("-inf"))
    else:
        z = tl.where(is_label[:, None], z, float("-inf"))
    best = tl.max(z, 0)
    above = z - tl.where(best == float("-inf"), 0.0, best)[None, :]  # a stretch may have no label for a row
    power = tl.exp(above)
    at = stretch * R + r
    tl.store(best_ptr + at, best, mask=is_row)
    tl.store(total_ptr + at, tl.sum(power, 0), mask=is_row)
    # 0 · −inf is NaN; a finite bound leaves every other term as it is.
    tl.store(moment_ptr + at, tl.sum(power * tl.maximum(above, -200.0), 0), mask=is_row)
    # Among equal logits the smallest id.
    tl.store(label_ptr + at, tl.min(tl.where(z == best[None, :], label[:, None], V), 0), mask=is_row)
    for m in tl.static_range(M):
        asked = tl.load(ids_ptr + r * M + m, mask=is_row, other=-1)
        is_asked = (asked[None, :] == label[:, None]) & is_label[:, None]
        value = tl.sum(tl.where(is_asked, z, 0.0), 0)
        mine = (asked >= stretch * LABELS) & (asked < (stretch + 1) * LABELS)
        tl.store(asked_ptr + r * M + m, value, mask=is_row & mine)


@triton.jit
def join_stretches(
    best_ptr,
    total_ptr,
    moment_ptr,
    label_ptr,
    asked_ptr,
    ids_ptr,
    probs_ptr,
    logsumexp_ptr,
    entropy_ptr,
    R,
    num_stretches,
    V,
    M: tl.constexpr,
    BLOCK_X: tl.constexpr,
):
    r = tl.program_id(0)
    x = tl.arange(0, BLOCK_X)
    at, inside = x * R + r, x < num_stretches
    best = tl.load(best_ptr + at, mask=inside, other=float("-inf"))
    total = tl.load(total_ptr + at, mask=inside, other=0.0)
    moment = tl.load(moment_ptr + at, mask=inside, other=0.0)
    label = tl.load(label_ptr + at, mask=inside, other=V)
    highest = tl.max(best, 0)
    below = tl.where(total > 0.0, best - highest, 0.0)
    scale = tl.where(total > 0.0, tl.exp(below), 0.0)
    # Σ e^(z−m)·(z−m) moves with the maximum; entropy = log Σ e^(z−m) − Σ e^(z−m)·(z−m) / Σ e^(z−m).
    moment = tl.sum(scale * (moment + total * below), 0)
    total = tl.sum(scale * total, 0)
    tl.store(ids_ptr + r, tl.min(tl.where(best == highest, label, V), 0).to(tl.int64))
    tl.store(probs_ptr + r, 1.0 / total)
    tl.store(logsumexp_ptr + r, highest + tl.log(total))
    tl.store(entropy_ptr + r, tl.log(total) - moment / total)
    for m in tl.static_range(M):
        asked = tl.load(asked_ptr + r * M + m)
        tl.store(asked_ptr + r * M + m, tl.exp(asked - highest) / total)


def confidence_head(
    hidden_RD: Tensor,
    head_VD: Tensor,
    allowed: Tensor | None = None,
    sets_R: Tensor | None = None,
    gather: Tensor | None = None,
) -> Confidence:
    """As in reference.py, with logits that were never rounded to the rows' type; the smallest of equal ids wins."""
    (R, D), V, device = hidden_RD.shape, head_VD.shape[0], hidden_RD.device
    assert hidden_RD.stride(1) == head_VD.stride(1) == 1, "features lie side by side"
    table, sets = _table(allowed, sets_R, R, device)
    asked = None if gather is None else gather.reshape(R, -1).contiguous()
    tile = tile_for(R, hidden_RD.element_size())
    X = -(-V // tile.labels)
    best_XR, total_XR, moment_XR = (torch.empty(X, R, dtype=torch.float32, device=device) for _ in range(3))
    label_XR = torch.empty(X, R, dtype=torch.int32, device=device)
    probs_R, logsumexp_R, entropy_R = (torch.empty(R, dtype=torch.float32, device=device) for _ in range(3))
    ids_R = torch.empty(R, dtype=torch.int64, device=device)
    gathered = None if asked is None else torch.empty(asked.shape, dtype=torch.float32, device=device)
    M = 0 if asked is None else asked.shape[1]
    if R > 0:
        read_stretch[(triton.cdiv(R, tile.rows), X)](
            hidden_RD,
            head_VD,
            hidden_RD if table is None else table,
            hidden_RD if sets is None else sets,
            label_XR if asked is None else asked,
            best_XR,
            total_XR,
            moment_XR,
            label_XR,
            best_XR if gathered is None else gathered,
            R,
            V,
            hidden_RD.stride(0),
            head_VD.stride(0),
            D=D,
            M=M,
            HAS_SETS=sets is not None,
            ROWS=tile.rows,
            LABELS=tile.labels,
            BLOCK_D=min(tile.features, max(16, triton.next_power_of_2(D))),
            UPCAST=not hidden_RD.is_cuda,  # the interpreter multiplies 16-bit types wrongly
            num_warps=tile.num_warps,  # type: ignore[call-arg]
            num_stages=tile.num_stages,  # type: ignore[call-arg]
        )
        join_stretches[(R,)](
            best_XR,
            total_XR,
            moment_XR,
            label_XR,
            best_XR if gathered is None else gathered,
            ids_R,
            probs_R,
            logsumexp_R,
            entropy_R,
            R,
            X,
            V,
            M=M,  # type: ignore[arg-type]
            BLOCK_X=triton.next_power_of_2(X),
        )
    shaped = None if gathered is None or gather is None else gathered.view(gather.shape)
    return Confidence(ids_R, probs_R, logsumexp_R, entropy_R, shaped)


def _table(
    allowed: Tensor | None, sets_R: Tensor | None, num_rows: int, device: torch.device
) -> tuple[Tensor | None, Tensor | None]:
    """The allowed labels as a table of bytes, and the row of it that belongs to each row."""
    if allowed is None:
        return None, None
    assert allowed.numel() < 2**31, "the kernel counts bytes of the table in 32 bits"
    table = allowed.contiguous().view(torch.uint8)
    if sets_R is not None:
        return table, sets_R.contiguous()
    if allowed.dim() == 1:
        return table, torch.zeros(num_rows, dtype=torch.int64, device=device)
    return table, torch.arange(num_rows, device=device)


def tile_for(num_rows: int, element_size: int) -> Tile:
    """Eight labels a row or more, so that what is read again of the hidden rows stays small beside the weights."""
    features = 128 // element_size  # 128 bytes side by side
    if num_rows <= 16:
        return Tile(128, 16, features, 4, 4)
    labels = 256 if element_size == 2 else 128
    return Tile(labels, 32 if num_rows <= 32 else 64, features, 8, 3)
