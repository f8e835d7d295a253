"""Keys and values in pages that all sequences share, and one pass of the network over them without a host in between.

Source: paged attention (Kwon et al., arXiv 2309.06180) for the pages; one_pass.py for what a pass computes, of which
this is the same computation (a test holds it) with every length on the device: which rows are clean, where they stand
and how far each one sees follows from three numbers a sequence. So the pass depends on shapes alone and can be
captured in a graph (cuda_graphs.py). A sequence's clean rows stand before its noisy ones, without padding between them.
Left out: which pages belong to whom over time beyond taking and giving back, full attention (nothing is cached there).

Shapes: B sequences, T new rows of each, M pages of a table, P pages, W rows of a page, L layers, H query heads, G
key-value heads, K features of a head, D model width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.ops import Ops, ops_for
from kernels.rope_kv_write.reference import rope_angles
from model.network.config import NetworkConfig
from model.network.transformer import Layer, Transformer

PAGE_ROWS = 64


class PagePool:
    """`k_LPGWK` and `v_LPGWK` and the list of free pages. Fresh pages are zero."""

    def __init__(
        self, config: NetworkConfig, num_pages: int, *, device: torch.device | str = "cpu", dtype: torch.dtype
    ) -> None:
        shape = (config.num_layers, num_pages, config.num_kv_heads, PAGE_ROWS, config.d_head)
        self.k_LPGWK = torch.zeros(shape, device=device, dtype=dtype)
        self.v_LPGWK = torch.zeros(shape, device=device, dtype=dtype)
        self._free = list(range(num_pages - 1, -1, -1))

    @property
    def num_free(self) -> int:
        return len(self._free)

    def take(self, num_rows: int) -> list[int] | None:
        """Pages for so many rows; None where too few are free, and nothing is taken."""
        num_pages = -(-num_rows // PAGE_ROWS)
        if num_pages > len(self._free):
            return None
        return [self._free.pop() for _ in range(num_pages)]

    def give_back(self, pages: Sequence[int]) -> None:
        assert not set(pages) & set(self._free), "a page was given back twice"
        self._free.extend(pages)


@dataclass(frozen=True)
class PassInputs:
    """int32 tensors on the device. Rows behind `num_rows_B` are padding; of the others the first `num_clean_B` are
    clean. `cached_B` rows count already; the table names the pages of rows 0, W, 2W, ...
    """

    tokens_BT: Tensor
    states_BT: Tensor
    table_BM: Tensor
    cached_B: Tensor
    num_clean_B: Tensor
    num_rows_B: Tensor


class PagedNetwork:
    """A network over a pool. `kind` as in `ops_for`."""

    def __init__(self, network: Transformer, pool: PagePool, *, max_rows: int, ops: Ops | None = None) -> None:
        config = network.config
        assert config.attention != "full", "with full attention nothing is cached"
        weight = network.embed.weight
        self.network, self.pool = network, pool
        self.ops = ops or ops_for(weight.device)
        self.max_rows = max_rows
        positions_1S = torch.arange(max_rows, device=weight.device).unsqueeze(0)
        angles = rope_angles(positions_1S, config.d_head, config.rope_theta, weight.dtype, config.d_rotary)
        self._turns_S2K = torch.cat(angles, dim=2)[0]
        table = network.state_table
        self._states_4D = None if table is None else F.pad(table.detach(), (0, 0, 1, 0))

    def hidden(self, inputs: PassInputs) -> Tensor:
        """Hidden rows (B, T, D) after the final norm; those of padding are meaningless. Writes keys and values."""
        ops, unit = self.ops, self.network.config.cache_unit
        index_1T = torch.arange(inputs.tokens_BT.shape[1], device=inputs.tokens_BT.device, dtype=torch.int32)[None]
        cached_B1, num_rows_B1 = inputs.cached_B[:, None], inputs.num_rows_B[:, None]
        is_real_BT = index_1T < num_rows_B1
        position_BT = cached_B1 + index_1T
        rows_BT = torch.where(is_real_BT, position_BT, -1)
        end_B1 = cached_B1 + num_rows_B1
        # A clean row sees up to the end of its unit (a unit of one row is the row itself), a noisy row everything.
        unit_end_BT = torch.minimum((position_BT // unit + 1) * unit, cached_B1 + inputs.num_clean_B[:, None])
        bounds_BT = torch.where(index_1T < inputs.num_clean_B[:, None], unit_end_BT, end_B1)
        bounds_BT = torch.where(is_real_BT, bounds_BT, 0).contiguous()
        turns_BT2K = self._turns_S2K[position_BT.clamp_max(self.max_rows - 1)]
        cos, sin = turns_BT2K.split(1, dim=-2)

        x_BTD = F.embedding(inputs.tokens_BT, self.network.embed.weight)
        if self._states_4D is not None:
            x_BTD = x_BTD + F.embedding(inputs.states_BT, self._states_4D)
        layers = [layer for layer in self.network.layers if isinstance(layer, Layer)]
        assert len(layers) == len(self.network.layers), "packed layers are the CPU's"
        first = layers[0].attn_norm
        normed_BTD = ops.rms_norm(x_BTD, first.weight, first.eps)
        for i, layer in enumerate(layers):
            q, k, v = self._project(layer, normed_BTD)
            k_PGWK, v_PGWK = self.pool.k_LPGWK[i], self.pool.v_LPGWK[i]
            q = ops.paged_rope_kv_write(q, k, v, cos, sin, k_PGWK, v_PGWK, inputs.table_BM, rows_BT)
            attended_BTE = ops.paged_block_attention(q, k_PGWK, v_PGWK, inputs.table_BM, bounds_BT)
            normed_BTD, x_BTD = ops.add_rms_norm(
                layer.attn_out(attended_BTE), x_BTD, layer.mlp_norm.weight, layer.mlp_norm.eps
            )
            grown_BTD = layer.feed_forward(normed_BTD, ops.swiglu)
            following = self.network.final_norm if i + 1 == len(layers) else layers[i + 1].attn_norm
            normed_BTD, x_BTD = ops.add_rms_norm(grown_BTD, x_BTD, following.weight, following.eps)
        return normed_BTD

    def _project(self, layer: Layer, normed_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As Layer.project, behind the norm."""
        qkv_BTNK = layer.qkv(normed_BTD).unflatten(-1, (-1, layer.d_head))
        q, k, v = qkv_BTNK.split((layer.num_heads, layer.num_kv_heads, layer.num_kv_heads), dim=2)
        if layer.q_norm is not None and layer.k_norm is not None:
            q = self.ops.rms_norm(q, layer.q_norm.weight, layer.q_norm.eps)
            k = self.ops.rms_norm(k, layer.k_norm.weight, layer.k_norm.eps)
        return q, k, v
