"""Root-mean-square normalisation, optionally fused with the residual addition that precedes it.

Source: Zhang & Sennrich, "Root Mean Square Layer Normalization" (arXiv 1910.07467), equation 4; the weight is
multiplied as it stands (Llama), not as 1 + weight (Gemma). Left out: a bias, and partial normalisation.

Shapes: D = features; `...` = any number of leading dimensions.
"""

import torch.nn.functional as F
from torch import Tensor


def rms_norm(x: Tensor, weight_D: Tensor | None, eps: float) -> Tensor:
    """x / sqrt(mean(x²) + eps) · weight over the last dimension; the mean is taken in fp32, the result has x's type.

    `weight_D` None = all ones.
    """
    if weight_D is None:
        return F.rms_norm(x, (x.shape[-1],), None, eps)
    # The cast is free in pure fp32 or bf16 and keeps bf16 activations bf16 under autocast, where weights stay fp32.
    return F.rms_norm(x, (x.shape[-1],), weight_D.to(x.dtype), eps)


def add_rms_norm(x: Tensor, residual: Tensor, weight_D: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(rms_norm(x + residual), x + residual): the sum is the residual stream of the next branch."""
    total = x + residual
    return rms_norm(total, weight_D, eps), total
