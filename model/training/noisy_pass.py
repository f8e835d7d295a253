"""Noisy rows alone, over keys and values of the clean stream that were computed once: the pass that a rollout repeats.

The same rows as two_stream.py gives (a test holds it), for as many noisy columns as are still wanted. Source: the two
streams of Block Diffusion (arXiv 2503.09573, section 3); clean rows never depend on noisy ones. Left out: gradients.

Shapes: B rows, C clean places, N noisy columns, T = C + N, G key-value heads, K features of a head, D model width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.rope_kv_write.reference import rope_angles, rotate
from model.network.transformer import Transformer
from model.training.two_stream import CHUNK, Rows, grouped_attention


@dataclass(frozen=True)
class CleanKeys:
    """Keys (turned) and values (B, G, C, K) of each layer; `more_rows` appends to them."""

    kv: tuple[tuple[Tensor, Tensor], ...]


@torch.no_grad()
def clean_keys(network: Transformer, rows: Rows, *, bf16: bool) -> CleanKeys:
    """Runs the clean stream of a batch."""
    dtype = torch.bfloat16 if bf16 else torch.float32
    num_clean = rows.num_clean
    kept: list[tuple[Tensor, Tensor]] = []
    with torch.autocast(rows.tokens_BT.device.type, torch.bfloat16, enabled=bf16):
        x_BCD = network.embed_rows(rows.tokens_BT[:, :num_clean], None).to(dtype)
        angles = rope_angles(rows.positions_BT[:, :num_clean], network.config.d_head, network.config.rope_theta, dtype)
        for layer in network.layers:
            q, k, v = layer.project(x_BCD)  # type: ignore[operator]
            q, k = rotate(q, *angles), rotate(k, *angles)
            k, v = k.transpose(1, 2), v.transpose(1, 2)
            kept.append((k, v))
            attended = []
            for low in range(0, num_clean, CHUNK):
                high = min(low + CHUNK, num_clean)
                mask = rows.clean_mask_BCC[:, low:high, :high]
                attended.append(grouped_attention(q[:, low:high], k[:, :, :high], v[:, :, :high], mask))
            x_BCD = layer.finish(x_BCD, torch.cat(attended, 1))  # type: ignore[operator]
    return CleanKeys(tuple(kept))


@torch.no_grad()
def noisy_hidden(
    network: Transformer,
    keys: CleanKeys,
    tokens_BN: Tensor,
    positions_BN: Tensor,
    states_BN: Tensor | None,
    mask_BNT: Tensor,
    *,
    bf16: bool,
) -> Tensor:
    """Hidden rows (B, N, D) after the final norm. `mask_BNT` True = may attend to that key or new row."""
    return more_rows(network, keys, tokens_BN, positions_BN, states_BN, mask_BNT, bf16=bf16)[0]


@torch.no_grad()
def more_rows(
    network: Transformer,
    keys: CleanKeys,
    tokens_BN: Tensor,
    positions_BN: Tensor,
    states_BN: Tensor | None,
    mask_BNT: Tensor,
    *,
    bf16: bool,
) -> tuple[Tensor, CleanKeys]:
    """`noisy_hidden`, and the keys with those of the new rows behind them. `states_BN` None = clean rows."""
    dtype = torch.bfloat16 if bf16 else torch.float32
    kept: list[tuple[Tensor, Tensor]] = []
    with torch.autocast(tokens_BN.device.type, torch.bfloat16, enabled=bf16):
        x_BND = network.embed_rows(tokens_BN, states_BN).to(dtype)
        angles = rope_angles(positions_BN, network.config.d_head, network.config.rope_theta, dtype)
        for layer, (old_k, old_v) in zip(network.layers, keys.kv, strict=True):
            q, k, v = layer.project(x_BND)  # type: ignore[operator]
            q, k = rotate(q, *angles), rotate(k, *angles)
            k = torch.cat((old_k, k.transpose(1, 2)), 2)
            v = torch.cat((old_v, v.transpose(1, 2)), 2)
            kept.append((k, v))
            x_BND = layer.finish(x_BND, grouped_attention(q, k, v, mask_BNT))  # type: ignore[operator]
        return network.final_norm(x_BND), CleanKeys(tuple(kept))
