"""The transformer: a decoder in Llama/Qwen shape that also reads a state at each position.

Sources: Llama 2 (arXiv 2307.09288) for RMSNorm, rotary positions, SwiGLU and grouped heads; Qwen 2 for the QKV bias;
Qwen 3 for the norm of queries and keys. The state vectors (masked, draft, locked) are this project's own: a 3 × d
table, zero at the start, added to the embedding; a clean position adds nothing, so the clean stream is a plain
Llama model. A layer's feed-forward may be a mixture of experts (experts.py). Left out: dropout, sliding windows; the
cached forward (one_pass.py) and the objective.

Shapes: B batch, T rows, D model width, H query heads, G key-value heads, K features of a head, V vocabulary.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.block_attention.reference import block_attention
from kernels.rms_norm.reference import rms_norm
from kernels.rope_kv_write.reference import rope_angles, rope_kv_write, rotate
from kernels.swiglu.reference import swiglu
from model.network.config import NetworkConfig
from model.network.experts import Mixture
from model.network.rope_table import RopeTable

if TYPE_CHECKING:
    from model.network.compiled import CompiledLayers

Gate = Callable[[Tensor], Tensor]

INIT_DEVIATION = 0.02
NUM_STATES = 3  # masked, draft, locked; state 0 (clean) has no vector


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.eps)


class Layer(nn.Module):
    """Attention and feed-forward, each behind a norm and added to the stream; projections fused to save dispatches.

    What feeds forward is a subclass's.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        D, K = config.d_model, config.d_head
        self.num_heads, self.num_kv_heads, self.d_head = config.num_heads, config.num_kv_heads, K
        self.attn_norm = RMSNorm(D, config.norm_eps)
        self.qkv = nn.Linear(D, (config.num_heads + 2 * config.num_kv_heads) * K, bias=config.qkv_bias)
        self.q_norm = RMSNorm(K, config.norm_eps) if config.qk_norm else None
        self.k_norm = RMSNorm(K, config.norm_eps) if config.qk_norm else None
        self.attn_out = nn.Linear(config.num_heads * K, D, bias=False)
        self.mlp_norm = RMSNorm(D, config.norm_eps)

    def project(self, x_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q (B,T,H,K), k and v (B,T,G,K) of the normed stream: normed if the shape asks for it, not yet rotated."""
        qkv_BTNK = self.qkv(self.attn_norm(x_BTD)).unflatten(-1, (-1, self.d_head))
        q, k, v = qkv_BTNK.split((self.num_heads, self.num_kv_heads, self.num_kv_heads), dim=2)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        return q, k, v

    def project_into(
        self, x_BTD: Tensor, cos: Tensor, sin: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, rows: int | Tensor
    ) -> Tensor:
        """The turned q (B,T,H,K); k, turned, and v are written into the cache. `rows` as in rope_kv_write."""
        return rope_kv_write(*self.project(x_BTD), cos, sin, k_BGSK, v_BGSK, rows)

    def finish(self, x_BTD: Tensor, attended_BTE: Tensor) -> Tensor:
        """The stream after this layer, from the stream before it and the attention's output (E = H·K)."""
        x_BTD = x_BTD + self.attn_out(attended_BTE)
        return x_BTD + self.feed_forward(self.mlp_norm(x_BTD))

    def feed_forward(self, normed_BTD: Tensor, gate: Gate = swiglu) -> Tensor:
        """What the normed stream adds to itself. `gate`: swiglu or a kernel of it."""
        raise NotImplementedError

    def forward(self, x_BTD: Tensor, cos: Tensor, sin: Tensor, mask_BTT: Tensor) -> Tensor:
        q, k, v = self.project(x_BTD)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        return self.finish(x_BTD, block_attention(q, k.transpose(1, 2), v.transpose(1, 2), mask_BTT))


class DenseLayer(Layer):
    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.gate_up = nn.Linear(config.d_model, 2 * config.d_ff, bias=False)
        self.mlp_out = nn.Linear(config.d_ff, config.d_model, bias=False)

    def feed_forward(self, normed_BTD: Tensor, gate: Gate = swiglu) -> Tensor:
        return self.mlp_out(gate(self.gate_up(normed_BTD)))


class ExpertLayer(Layer):
    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        assert config.experts is not None
        self.mixture = Mixture(config.d_model, config.experts)

    def feed_forward(self, normed_BTD: Tensor, gate: Gate = swiglu) -> Tensor:
        return self.mixture(normed_BTD)


class Transformer(nn.Module):
    """Parameters: embed, state_table (3 × D, if the shape has states), layers.*, final_norm, head (if untied)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.d_model)
        self.state_table = nn.Parameter(torch.zeros(NUM_STATES, config.d_model)) if config.state_vectors else None
        self.layers = nn.ModuleList(
            ExpertLayer(config) if config.is_mixture(i) else DenseLayer(config) for i in range(config.num_layers)
        )
        self.final_norm = RMSNorm(config.d_model, config.norm_eps)
        self.head = None if config.tied_head else nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.rope_table = RopeTable(config.d_head, config.rope_theta, config.d_rotary)  # for passes over a cache
        self.packed_head: Callable[[Tensor], Tensor] | None = None  # packed.py
        self.compiled: CompiledLayers | None = None  # compiled.py; may be put here at any time, by any thread
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=INIT_DEVIATION)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, Mixture):
            nn.init.normal_(module.experts_gate_up, std=INIT_DEVIATION)
            nn.init.normal_(module.experts_out, std=INIT_DEVIATION)
        elif isinstance(module, DenseLayer):  # children come first in apply, so this overrides the rule above
            # 2L branches add to the stream; this keeps its variance independent of the depth (GPT-2, §2.3).
            for projection in (module.attn_out, module.mlp_out):
                nn.init.normal_(projection.weight, std=INIT_DEVIATION / math.sqrt(2 * self.config.num_layers))

    @property
    def head_weight(self) -> Tensor:
        """The output matrix (V, D): the embedding itself when the head is tied."""
        return self.embed.weight if self.head is None else self.head.weight

    def embed_rows(self, tokens_BT: Tensor, states_BT: Tensor | None) -> Tensor:
        """Token embedding plus state vector (B, T, D); `states_BT` None = all clean."""
        x_BTD = self.embed(tokens_BT)
        if states_BT is None or self.state_table is None:
            return x_BTD
        return x_BTD + F.embedding(states_BT, F.pad(self.state_table, (0, 0, 1, 0)))

    def forward(self, tokens_BT: Tensor, positions_BT: Tensor, states_BT: Tensor | None, mask_BTT: Tensor) -> Tensor:
        """Hidden rows (B, T, D) after the final norm, without a cache: the form that training uses.

        `mask_BTT` is bool, True = row i may attend to row j, batch size B or 1; every row must see at least itself.
        `states_BT` holds 0 clean, 1 masked, 2 draft, 3 locked (None = all clean). Positions may repeat.
        """
        x_BTD = self.embed_rows(tokens_BT, states_BT)
        config = self.config
        cos, sin = rope_angles(positions_BT, config.d_head, config.rope_theta, x_BTD.dtype, config.d_rotary)
        for layer in self.layers:
            x_BTD = layer(x_BTD, cos, sin, mask_BTT)
        return self.final_norm(x_BTD)

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) → (..., V), in the weights' type; labels that a row can never have are not banned here."""
        return F.linear(hidden, self.head_weight) if self.packed_head is None else self.packed_head(hidden)
