"""The network's matrices in the CPU's own block layout: the same eager forward with fewer and faster operations.

Source: oneDNN's blocked weight formats, through the operators that PyTorch's compiler uses itself. A plain bf16 product
reorders its weights at each call, which at 16 rows costs about as much as multiplying; a plain fp32 product goes
through a library that is slow on processors of other makers. Packed layers replace the plain ones, so nothing is held
twice but a tied head. Left out: training (packed weights have no gradient), devices other than the CPU.

Shapes: B batch, T rows, D model width, H query heads, G key-value heads, K features of a head, E outputs, S cache rows.
"""

import torch
from torch import Tensor, nn

from kernels.rms_norm.reference import LengthNorm
from kernels.rope_kv_write.reference import kv_write, rotate
from model.network.transformer import DenseLayer, Transformer

# The layout is chosen for this many rows and serves all; a denoising step has 8 to 64.
TYPICAL_ROWS = 32


class PackedLinear:
    """x · Wᵀ + b over packed W (E, D)."""

    def __init__(self, weight_ED: Tensor, bias_E: Tensor | None) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight_ED.detach().contiguous(), TYPICAL_ROWS)
        self._bias = None if bias_E is None else bias_E.detach()

    def __call__(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise.default(x, self._weight, self._bias, "none", [], "")

    def silu(self, x: Tensor) -> Tensor:
        """silu(x · Wᵀ + b) in one operation."""
        return torch.ops.mkldnn._linear_pointwise.default(x, self._weight, self._bias, "swish", [], "")

    def add_to(self, total: Tensor, x: Tensor) -> Tensor:
        """total + x · Wᵀ + b in one operation."""
        return torch.ops.mkldnn._linear_pointwise.binary(x, total, self._weight, self._bias, "add")

    def times(self, factor: Tensor, x: Tensor) -> Tensor:
        """factor · (x · Wᵀ + b), element by element, in one operation."""
        return torch.ops.mkldnn._linear_pointwise.binary(x, factor, self._weight, self._bias, "mul")


class PackedLayer(nn.Module):
    """A DenseLayer for inference: packed matrices that also add, multiply and gate; queries and keys normed and turned
    together.
    """

    def __init__(self, layer: DenseLayer) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads, self.d_head = layer.num_heads, layer.num_kv_heads, layer.d_head
        self._attn_norm, self._mlp_norm = (
            LengthNorm(norm.weight, norm.eps) for norm in (layer.attn_norm, layer.mlp_norm)
        )
        self._qkv = PackedLinear(layer.qkv.weight, layer.qkv.bias)
        gate, up = layer.gate_up.weight.chunk(2)
        self._attn_out, self._gate, self._up, self._mlp_out = (
            PackedLinear(weight, None) for weight in (layer.attn_out.weight, gate, up, layer.mlp_out.weight)
        )
        self._qk_norm: LengthNorm | None = None
        if layer.q_norm is not None and layer.k_norm is not None:
            q_gains_HK = layer.q_norm.weight.expand(self.num_heads, -1)
            k_gains_GK = layer.k_norm.weight.expand(self.num_kv_heads, -1)
            self._qk_norm = LengthNorm(torch.cat((q_gains_HK, k_gains_GK)), layer.q_norm.eps)

    def project_into(
        self, x_BTD: Tensor, cos: Tensor, sin: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, rows: int | Tensor
    ) -> Tensor:
        """As in Layer."""
        qkv_BTNK = self._qkv(self._attn_norm(x_BTD)).unflatten(-1, (-1, self.d_head))
        num_turned = self.num_heads + self.num_kv_heads
        qk_BTNK, v_BTGK = qkv_BTNK[:, :, :num_turned], qkv_BTNK[:, :, num_turned:]
        if self._qk_norm is not None:
            qk_BTNK = self._qk_norm(qk_BTNK)
        qk_BTNK = rotate(qk_BTNK, cos, sin)
        kv_write(qk_BTNK[:, :, self.num_heads :], v_BTGK, k_BGSK, v_BGSK, rows)
        return qk_BTNK[:, :, : self.num_heads]

    def finish(self, x_BTD: Tensor, attended_BTE: Tensor) -> Tensor:
        """As in Layer."""
        x_BTD = self._attn_out.add_to(x_BTD, attended_BTE)
        normed_BTD = self._mlp_norm(x_BTD)
        return self._mlp_out.add_to(x_BTD, self._up.times(self._gate.silu(normed_BTD), normed_BTD))


def can_pack(network: Transformer) -> bool:
    """Whether this processor and this build of PyTorch multiply packed weights of the network's type."""
    weight = network.embed.weight
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if weight.dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    # Weights that are held in another form than one tensor (8 bits with scales) multiply in their own way.
    # Experts stay as they are.
    is_plain = all(isinstance(layer, DenseLayer) and type(layer.qkv.weight) is nn.Parameter for layer in network.layers)
    return is_plain and weight.dtype in (torch.float32, torch.bfloat16)


@torch.no_grad()
def pack_weights(network: Transformer) -> None:
    """Replaces the layers of a network by packed ones, in place and for good: it can no longer be trained or saved."""
    assert can_pack(network)
    for i, layer in enumerate(network.layers):
        assert isinstance(layer, DenseLayer)
        network.layers[i] = PackedLayer(layer)
    network.packed_head = PackedLinear(network.head_weight, None)
