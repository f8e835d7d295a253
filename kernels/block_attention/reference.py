"""Attention of a block of new rows over cached rows and over itself, with grouped key-value heads.

Source: Vaswani et al. (arXiv 1706.03762), equation 1; grouped heads: Ainslie et al. (arXiv 2305.13245). The keys of the
block already stand in the cache behind the cached ones (rope_kv_write), so the op sees one run of keys.
Left out: paged caches, dropout, soft caps, attention sinks.

Shapes: B batch, T query rows, H query heads, G key-value heads (H a multiple of G), S key rows, D features of a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def block_attention(q_BTHD: Tensor, k_BGSD: Tensor, v_BGSD: Tensor, mask_BTS: Tensor | None = None) -> Tensor:
    """softmax(q·kᵀ/√D + mask)·v as (B, T, H·D).

    `mask_BTS`: None = every row sees every key; bool with True = may attend; or additive in q's type (0 or −inf). It
    may have batch size 1. Each query row must see at least one key. Query head h reads key-value head h // (H/G).
    """
    B, T, H, D = q_BTHD.shape
    G = k_BGSD.shape[1]
    if T == 1 and H > G:
        # One row a head is a matrix-vector product, which is 8× slower in bf16 on the CPU than the same heads as rows.
        q_BGRD = q_BTHD.view(B, G, H // G, D)
        mask_B1RS = None if mask_BTS is None else mask_BTS.unsqueeze(1).expand(-1, -1, H // G, -1)
        return F.scaled_dot_product_attention(q_BGRD, k_BGSD, v_BGSD, mask_B1RS).reshape(B, 1, H * D)
    mask_B1TS = None if mask_BTS is None else mask_BTS.unsqueeze(1)
    q_BHTD = q_BTHD.transpose(1, 2)
    grouped = H > G
    if grouped and q_BTHD.device.type != "cpu":
        # Off the CPU only the kernels without a mask know grouped heads; repeating keys is cheaper than the fallback.
        k_BGSD, v_BGSD = k_BGSD.repeat_interleave(H // G, 1), v_BGSD.repeat_interleave(H // G, 1)
        grouped = False
    out_BHTD = F.scaled_dot_product_attention(q_BHTD, k_BGSD, v_BGSD, mask_B1TS, enable_gqa=grouped)
    return out_BHTD.transpose(1, 2).reshape(B, T, H * D)


def additive_mask(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where `allowed`, −inf elsewhere: converted once instead of once a layer."""
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill_(~allowed, float("-inf"))


def block_attention_by_length(q_BTHD: Tensor, k_BGSD: Tensor, v_BGSD: Tensor, num_keys_B: Tensor) -> Tensor:
    """Every query row of batch element b sees its first num_keys_B[b] ≥ 1 keys. What stands behind them, NaN
    included, has no influence (it costs a copy of the keys and values). Gives (B, T, H·D).
    """
    valid_BS = torch.arange(k_BGSD.shape[2], device=k_BGSD.device) < num_keys_B.unsqueeze(1)
    unseen_B1S1 = ~valid_BS[:, None, :, None]
    k_BGSD, v_BGSD = k_BGSD.masked_fill(unseen_B1S1, 0.0), v_BGSD.masked_fill(unseen_B1S1, 0.0)
    mask_BTS = additive_mask(valid_BS, q_BTHD.dtype).unsqueeze(1).expand(-1, q_BTHD.shape[1], -1)
    return block_attention(q_BTHD, k_BGSD, v_BGSD, mask_BTS)
