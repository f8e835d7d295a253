"""The layers of one pass as a graph that can be compiled ahead of time: tensors in, tensors out, nothing written.

Source: one_pass.py, of which this is the same computation for one canvas (a test holds it); the cached keys and values
come in whole, and the mask's width says how many of them count. It is written for the compiler: between two products
everything stays in fp32, and the halves that a position turns are computed apart, which keeps the loops vectors. A
graph that wrote into the cache would copy all of it in each layer. Left out: the embedding and the head (one operation
each), batches, the write of new keys and values into the cache (compiled.py).

Shapes: T new rows, S all keys (cached ones first), C rows of the cache, D model width, L layers, H query heads, G
key-value heads, R = H/G, K features of a head, E = K/2.
"""

import torch
from torch import Tensor, nn

from model.network.transformer import Layer, Transformer


class StepGraph(nn.Module):
    """Shares the layers of `network`, which must be plain ones."""

    def __init__(self, network: Transformer) -> None:
        super().__init__()
        self.layers, self.final_norm = network.layers, network.final_norm

    def forward(
        self, x_TD: Tensor, turns_T2K: Tensor, k_LGCK: Tensor, v_LGCK: Tensor, mask_TS: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden rows (T, D) after the final norm, and the keys (turned) and values of the rows, (L, G, T, K) each.

        `turns_T2K` holds cos and sin (rope_table.py). `mask_TS` is additive; its last T columns belong to the new rows.
        """
        num_cached = mask_TS.shape[1] - x_TD.shape[0]
        new_k, new_v = [], []
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            q_1THK, k_1TGK, v_1TGK = layer.project(x_TD.unsqueeze(0))
            k_GTK, v_GTK = turn(k_1TGK[0], turns_T2K).transpose(0, 1), v_1TGK[0].transpose(0, 1)
            new_k.append(k_GTK)
            new_v.append(v_GTK)
            keys_GSK = torch.cat((k_LGCK[i, :, :num_cached], k_GTK), dim=1)
            values_GSK = torch.cat((v_LGCK[i, :, :num_cached], v_GTK), dim=1)
            attended_TE = attention(turn(q_1THK[0], turns_T2K), keys_GSK, values_GSK, mask_TS)
            x_TD = layer.finish(x_TD.unsqueeze(0), attended_TE.unsqueeze(0))[0]
        return self.final_norm(x_TD), torch.stack(new_k), torch.stack(new_v)


def turn(x_THK: Tensor, turns_T2K: Tensor) -> Tensor:
    """`rotate` (kernels/rope_kv_write)."""
    cos_T1E, _ = turns_T2K[:, :1].chunk(2, dim=-1)
    _, sin_T1E = turns_T2K[:, 1:].chunk(2, dim=-1)  # the first half carries the sign of the turn
    low, high = x_THK.chunk(2, dim=-1)
    return torch.cat((low * cos_T1E - high * sin_T1E, high * cos_T1E + low * sin_T1E), dim=-1)


def attention(q_THK: Tensor, keys_GSK: Tensor, values_GSK: Tensor, mask_TS: Tensor) -> Tensor:
    """softmax(q·kᵀ/√K + mask)·v as (T, H·K): two products, between them one loop once it is compiled."""
    T, H, K = q_THK.shape
    G, S = keys_GSK.shape[:2]
    R = H // G
    q_GNK = (q_THK * K**-0.5).unflatten(1, (G, R)).transpose(0, 1).flatten(1, 2)
    scores_GTRS = torch.bmm(q_GNK, keys_GSK.transpose(1, 2)).view(G, T, R, S).float() + mask_TS[:, None].float()
    weights_GNS = scores_GTRS.softmax(-1).to(q_THK.dtype).view(G, T * R, S)
    return torch.bmm(weights_GNS, values_GSK).view(G, T, R, K).transpose(0, 1).flatten(1)
