"""The layers of one pass as a graph that can be compiled ahead of time; it writes into the cache as one_pass.py does.

Source: one_pass.py, of which this is the same computation for one canvas (a test holds it); the cached keys and values
come in whole, and the mask's width says how many of them count. It is written for the compiler: sums stay in fp32
between two products, and turned halves are swapped as a dimension of their own, which keeps the loops vectors. Left
out: the embedding and the head (one operation each), batches.

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
    ) -> tuple[Tensor]:
        """Hidden rows (T, D) after the final norm; writes the keys and values of the rows behind the cached ones.

        `turns_T2K` holds cos and sin (rope_table.py). `mask_TS` is additive; its last T columns belong to the new rows.
        """
        num_keys = mask_TS.shape[1]
        num_cached = num_keys - x_TD.shape[0]
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            q_1THK, k_1TGK, v_1TGK = layer.project(x_TD.unsqueeze(0))
            k_LGCK[i, :, num_cached:num_keys] = turn(k_1TGK[0], turns_T2K).transpose(0, 1)
            v_LGCK[i, :, num_cached:num_keys] = v_1TGK[0].transpose(0, 1)
            keys_GSK, values_GSK = k_LGCK[i, :, :num_keys], v_LGCK[i, :, :num_keys]
            attended_TE = attention(turn(q_1THK[0], turns_T2K), keys_GSK, values_GSK, mask_TS)
            x_TD = layer.finish(x_TD.unsqueeze(0), attended_TE.unsqueeze(0))[0]
        return (self.final_norm(x_TD),)


def turn(x_THK: Tensor, turns_T2K: Tensor) -> Tensor:
    """`rotate` (kernels/rope_kv_write)."""
    x_TH2E = x_THK.unflatten(-1, (2, -1))
    cos_T12E, sin_T12E = turns_T2K.unflatten(-1, (2, -1)).split(1, dim=1)
    return (x_TH2E * cos_T12E + x_TH2E.flip(-2) * sin_T12E).flatten(-2)


def attention(q_THK: Tensor, keys_GSK: Tensor, values_GSK: Tensor, mask_TS: Tensor) -> Tensor:
    """softmax(q·kᵀ/√K + mask)·v as (T, H·K): two products, between them one loop once it is compiled."""
    T, H, K = q_THK.shape
    G, S = keys_GSK.shape[:2]
    R = H // G
    q_GNK = (q_THK * K**-0.5).unflatten(1, (G, R)).transpose(0, 1).flatten(1, 2)
    scores_GTRS = torch.bmm(q_GNK, keys_GSK.transpose(1, 2)).view(G, T, R, S).float() + mask_TS[:, None].float()
    weights_GNS = scores_GTRS.softmax(-1).to(q_THK.dtype).view(G, T * R, S)
    return torch.bmm(weights_GNS, values_GSK).view(G, T, R, K).transpose(0, 1).flatten(1)
