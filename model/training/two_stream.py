"""The training forward: clean stream and noisy views in one pass, with the attention cut along the known structure.

Clean rows attend causally, so a chunk of them needs only the keys up to its end; noisy rows see clean rows of their
sample before their block, and their block. This gives the same rows as `Transformer.forward` under the dense mask (a
test holds it) and spares 40 % of the attention. Source: Block Diffusion (arXiv 2503.09573, section 3) for the two
streams; the chunks are plain blocking. Left out: kernels (on a GPU the fused attention with the dense mask is as
good).

Shapes: B batch, C clean rows, N noisy rows, T = C + N, H query heads, G key-value heads, K features of a head.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from kernels.rope_kv_write.reference import rope_angles, rotate
from model.network.transformer import Layer, Transformer
from model.training.packing import Batch

CHUNK = 128
Forward = Callable[..., Tensor]
RunLayer = Callable[..., Tensor]
"""`two_stream_layer`, or what runs it in another way."""


@dataclass(frozen=True)
class Rows:
    """The tensors of a batch that the forward reads (see packing.Batch)."""

    tokens_BT: Tensor
    positions_BT: Tensor
    states_BT: Tensor
    clean_mask_BCC: Tensor
    noisy_mask_BNT: Tensor | None

    @property
    def num_clean(self) -> int:
        return self.clean_mask_BCC.shape[1]

    def dense_mask(self) -> Tensor:
        """The whole (B, T, T) mask, True = may attend: what `Transformer.forward` takes."""
        if self.noisy_mask_BNT is None:
            return self.clean_mask_BCC
        num_noisy = self.noisy_mask_BNT.shape[1]
        return torch.cat((torch.nn.functional.pad(self.clean_mask_BCC, (0, num_noisy)), self.noisy_mask_BNT), 1)


def rows_of(batch: Batch, device: torch.device | str = "cpu") -> Rows:
    """Tensors and masks of a packed batch: clean rows first, then the noisy ones."""

    def put(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(device)

    sample_BC, position_BC = put(batch.clean_sample), put(batch.clean_positions)
    same_BCC = sample_BC.unsqueeze(2) == sample_BC.unsqueeze(1)
    clean_mask = same_BCC & (position_BC.unsqueeze(1) <= position_BC.unsqueeze(2))
    tokens, positions = put(batch.clean_tokens), position_BC
    states = torch.zeros_like(tokens)
    if batch.noisy_tokens.shape[1] == 0:
        return Rows(tokens, positions, states, clean_mask, None)
    sample_BN, start_BN, block_BN = put(batch.noisy_sample), put(batch.noisy_start), put(batch.noisy_block)
    to_clean = (sample_BN.unsqueeze(2) == sample_BC.unsqueeze(1)) & (position_BC.unsqueeze(1) < start_BN.unsqueeze(2))
    to_noisy = block_BN.unsqueeze(2) == block_BN.unsqueeze(1)  # padding sees padding, so no row sees nothing
    return Rows(
        torch.cat((tokens, put(batch.noisy_tokens)), 1),
        torch.cat((positions, put(batch.noisy_positions)), 1),
        torch.cat((states, put(batch.noisy_states)), 1),
        clean_mask,
        torch.cat((to_clean, to_noisy), 2),
    )


def two_stream_layer(
    layer: Layer, x_BTD: Tensor, cos: Tensor, sin: Tensor, clean_mask_BCC: Tensor, noisy_mask_BNT: Tensor | None
) -> Tensor:
    """The stream after one layer."""
    num_clean = clean_mask_BCC.shape[1]
    q, k, v = layer.project(x_BTD)
    q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    k, v = k.transpose(1, 2), v.transpose(1, 2)
    attended = []
    for low in range(0, num_clean, CHUNK):
        high = min(low + CHUNK, num_clean)
        mask = clean_mask_BCC[:, low:high, :high]
        attended.append(grouped_attention(q[:, low:high], k[:, :, :high], v[:, :, :high], mask))
    if noisy_mask_BNT is not None:
        attended.append(grouped_attention(q[:, num_clean:], k, v, noisy_mask_BNT))
    return layer.finish(x_BTD, torch.cat(attended, 1))


def checkpointed(run_layer: RunLayer) -> RunLayer:
    """The same layer, of which only the incoming stream is kept: the backward pass runs it a second time."""

    def run(*args: object) -> Tensor:
        kept = checkpoint(run_layer, *args, use_reentrant=False, preserve_rng_state=False)  # there is no dropout
        assert isinstance(kept, Tensor)
        return kept

    return run


def two_stream_hidden(
    network: Transformer,
    tokens_BT: Tensor,
    positions_BT: Tensor,
    states_BT: Tensor,
    clean_mask_BCC: Tensor,
    noisy_mask_BNT: Tensor | None,
    dtype: torch.dtype = torch.float32,
    run_layer: RunLayer = two_stream_layer,
) -> Tensor:
    """Hidden rows (B, T, D) after the final norm. Takes the fields of `Rows` one by one so that it compiles.

    The stream runs in `dtype`; embeddings are looked up in their own type, because summing their gradients in bf16
    would lose most of a frequent token's.
    """
    x_BTD = network.embed_rows(tokens_BT, states_BT).to(dtype)
    cos, sin = rope_angles(positions_BT, network.config.d_head, network.config.rope_theta, x_BTD.dtype)
    for layer in network.layers:
        x_BTD = run_layer(layer, x_BTD, cos, sin, clean_mask_BCC, noisy_mask_BNT)
    return network.final_norm(x_BTD)


def grouped_attention(q_BTHK: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, mask_BTS: Tensor) -> Tensor:
    """Attention by plain matrix products, the query heads of a group as rows of one product: (B, T, H * K).

    On the CPU this is faster in training than the fused op, whose backward is slow in bf16. Every row must see a key.
    """
    B, T, H, K = q_BTHK.shape
    G = k_BGSK.shape[1]
    q = (q_BTHK * (1 / math.sqrt(K))).view(B, T, G, H // G, K).transpose(1, 2).reshape(B, G, T * (H // G), K)
    hidden_BG1S = ~mask_BTS[:, None, :, None, :]
    out = _Attention.apply(q, k_BGSK, v_BGSK, hidden_BG1S)
    return out.view(B, G, T, H // G, K).transpose(1, 2).reshape(B, T, H * K)  # type: ignore[union-attr]


class _Attention(torch.autograd.Function):
    """softmax(q k^T) v with the soft-max kept for the backward pass and nothing else of that size; R = T * H / G rows.

    Written out because autocast would run the soft-max and its gradient in fp32 and keep both, which doubles the time.
    """

    @staticmethod
    def forward(ctx: Any, q_BGRK: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, hidden_BGTS: Tensor) -> Tensor:
        with torch.autocast(q_BGRK.device.type, enabled=False):
            scores = q_BGRK @ k_BGSK.transpose(2, 3)
            B, G, R, S = scores.shape
            T = hidden_BGTS.shape[2]
            scores.view(B, G, T, R // T, S).masked_fill_(hidden_BGTS, torch.finfo(scores.dtype).min)
            weights = torch.softmax(scores, dim=-1)
            ctx.save_for_backward(q_BGRK, k_BGSK, v_BGSK, weights)
            return weights @ v_BGSK

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        q, k, v, weights = ctx.saved_tensors
        (grad,) = grads
        with torch.autocast(q.device.type, enabled=False):
            grad = grad.to(q.dtype)
            grad_v = weights.transpose(2, 3) @ grad
            grad_weights = grad @ v.transpose(2, 3)
            # Hidden places have weight 0, so their score gets no gradient.
            grad_scores = torch.ops.aten._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
            return grad_scores @ k, grad_scores.transpose(2, 3) @ q, grad_v, None


def hidden_rows(network: Transformer, rows: Rows, *, bf16: bool, forward: Forward = two_stream_hidden) -> Tensor:
    """Hidden rows (B, T, D) of a batch; `forward` is `two_stream_hidden` or a compiled form of it.

    `bf16` runs the matrix products and the stream in bf16 while the weights stay fp32.
    """
    dtype = torch.bfloat16 if bf16 else torch.float32
    with torch.autocast(rows.tokens_BT.device.type, torch.bfloat16, enabled=bf16):
        return forward(
            network,
            rows.tokens_BT,
            rows.positions_BT,
            rows.states_BT,
            rows.clean_mask_BCC,
            rows.noisy_mask_BNT,
            dtype,
        )
