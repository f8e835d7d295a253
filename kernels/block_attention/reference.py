"""Attention of a block of new rows over cached rows and over itself, with grouped key-value heads.

Source: Vaswani et al. (arXiv 1706.03762), equation 1; grouped heads: Ainslie et al. (arXiv 2305.13245). The keys of the
block already stand in the cache behind the cached ones (rope_kv_write), so the op sees one run of keys.
Left out: dropout, soft caps, attention sinks, windows.

Shapes: B batch, T query rows, H query heads, G key-value heads (H a multiple of G), R = H/G, M = B·G, N = T·R folded
rows, S key rows, D features of a head. Paged: P pages of W rows each, a table of M pages for each batch element.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

FEW_ROWS = 8
# Below this many scores a head the CPU's fused kernel wins, above that many in all the whole score matrix is too large.
MIN_SCORES, MAX_SCORES = 4096, 1 << 24


def block_attention(q_BTHD: Tensor, k_BGSD: Tensor, v_BGSD: Tensor, mask_BTS: Tensor | None = None) -> Tensor:
    """softmax(q·kᵀ/√D + mask)·v as (B, T, H·D).

    `mask_BTS`: None = every row sees every key; bool with True = may attend; or additive in q's type (0 or −inf). It
    may have batch size 1. Each query row must see at least one key. Query head h reads key-value head h // (H/G).
    """
    B, T, H, D = q_BTHD.shape
    G, S = k_BGSD.shape[1:3]
    R = H // G  # query heads that share a key-value head
    on_cpu = q_BTHD.device.type == "cpu"
    if T < FEW_ROWS or not (on_cpu or mask_BTS is not None):
        # The heads of a group become rows, so their keys are read once and never repeated; on the CPU a single bf16 row
        # a head would also be a matrix-vector product, 8× slower than the same heads as rows.
        mask_B1NS = None if mask_BTS is None else mask_BTS.repeat_interleave(R, 1).unsqueeze(1)
        return _unfold(F.scaled_dot_product_attention(_fold(q_BTHD, G), k_BGSD, v_BGSD, mask_B1NS), T)
    worth_it = MIN_SCORES <= T * S and B * H * T * S <= MAX_SCORES
    if on_cpu and worth_it and q_BTHD.dtype == torch.bfloat16 and not q_BTHD.requires_grad:
        # Two bf16 products take half the time of the CPU's fused kernel from 16 rows on; fp32 gains nothing by it.
        # As one batch: the 4-dimensional product would expand and reshape all three operands first.
        q_MND = _fold(q_BTHD * D**-0.5, G).flatten(0, 1)
        scores_MNS = torch.bmm(q_MND, k_BGSD.flatten(0, 1).transpose(1, 2))
        if mask_BTS is not None:
            scores_BGTRS, mask_B1T1S = scores_MNS.view(B, G, T, R, S), mask_BTS[:, None, :, None]
            if mask_BTS.dtype == torch.bool:
                scores_BGTRS.masked_fill_(~mask_B1T1S, float("-inf"))
            else:
                scores_BGTRS.add_(mask_B1T1S)
        return _unfold(torch.bmm(scores_MNS.softmax(-1), v_BGSD.flatten(0, 1)).unflatten(0, (B, G)), T)
    grouped = R > 1
    if grouped and not on_cpu:
        # Off the CPU only kernels without a mask know grouped heads; repeating keys is cheaper than the fallback.
        k_BGSD, v_BGSD = k_BGSD.repeat_interleave(R, 1), v_BGSD.repeat_interleave(R, 1)
        grouped = False
    mask_B1TS = None if mask_BTS is None else mask_BTS.unsqueeze(1)
    out_BHTD = F.scaled_dot_product_attention(q_BTHD.transpose(1, 2), k_BGSD, v_BGSD, mask_B1TS, enable_gqa=grouped)
    return out_BHTD.transpose(1, 2).reshape(B, T, H * D)


def _fold(q_BTHD: Tensor, num_groups: int) -> Tensor:
    """(B, G, T·R, D): row t·R + r of group g is head g·R + r of row t."""
    return q_BTHD.unflatten(2, (num_groups, -1)).transpose(1, 2).flatten(2, 3)


def _unfold(out_BGND: Tensor, num_rows: int) -> Tensor:
    return out_BGND.unflatten(2, (num_rows, -1)).transpose(1, 2).flatten(2, 4)


def additive_mask(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where `allowed`, −inf elsewhere: converted once instead of once a layer."""
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill_(~allowed, float("-inf"))


def block_attention_by_length(q_BTHD: Tensor, k_BGSD: Tensor, v_BGSD: Tensor, num_keys_B: Tensor) -> Tensor:
    """Every query row of batch element b sees its first num_keys_B[b] ≥ 1 keys; else as block_attention_by_bounds."""
    return block_attention_by_bounds(q_BTHD, k_BGSD, v_BGSD, num_keys_B.unsqueeze(1).expand(-1, q_BTHD.shape[1]))


def block_attention_by_bounds(q_BTHD: Tensor, k_BGSD: Tensor, v_BGSD: Tensor, bounds_BT: Tensor) -> Tensor:
    """Row t of batch element b sees the first bounds_BT[b, t] keys; where that is 0 (padding) its output is 0.

    One number a row says all that a pass needs: a causal row's bound is its own place + 1, a noisy row's is the end of
    its block, a block-causal row's is the end of its unit. What stands behind the largest bound of an element, NaN
    included, has no influence (it costs a copy of the keys and values). Gives (B, T, H·D).
    """
    key_S = torch.arange(k_BGSD.shape[2], device=k_BGSD.device)
    unseen_B1S1 = (key_S >= bounds_BT.amax(1, keepdim=True))[:, None, :, None]
    k_BGSD, v_BGSD = k_BGSD.masked_fill(unseen_B1S1, 0.0), v_BGSD.masked_fill(unseen_B1S1, 0.0)
    # A row that sees nothing would be a soft-max over nothing: it reads one key, and its output is dropped.
    mask_BTS = additive_mask(key_S < bounds_BT.clamp_min(1).unsqueeze(-1), q_BTHD.dtype)
    return block_attention(q_BTHD, k_BGSD, v_BGSD, mask_BTS).masked_fill((bounds_BT == 0).unsqueeze(-1), 0.0)


def paged_block_attention(
    q_BTHD: Tensor, k_PGWD: Tensor, v_PGWD: Tensor, table_BM: Tensor, bounds_BT: Tensor
) -> Tensor:
    """block_attention_by_bounds where key s of element b is row s mod W of page table_BM[b, s // W].

    Entries of the table behind an element's keys may name any page of the pool.
    """
    k_BGSD, v_BGSD = (pages[table_BM.long()].transpose(1, 2).flatten(2, 3) for pages in (k_PGWD, v_PGWD))
    return block_attention_by_bounds(q_BTHD, k_BGSD, v_BGSD, bounds_BT)
