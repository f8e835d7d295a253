"""Root-mean-square normalisation, optionally fused with the residual addition that precedes it.

Source: Zhang & Sennrich, "Root Mean Square Layer Normalization" (arXiv 1910.07467), equation 4; the weight is
multiplied as it stands (Llama), not as 1 + weight (Gemma). Left out: a bias, and partial normalisation.

Shapes: D = features; `...` = any number of leading dimensions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def rms_norm(x: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x²) + eps) · weight over the last dimension; the mean is taken in fp32, the result has x's type."""
    # The cast is free in pure fp32 or bf16 and keeps bf16 activations bf16 under autocast, where weights stay fp32.
    return F.rms_norm(x, (x.shape[-1],), weight_D.to(x.dtype), eps)


class LengthNorm:
    """rms_norm for inference on a CPU: the same function as x / hypot(‖x‖, √(D·eps)) · √D·weight, six dispatches
    where PyTorch takes nine.

    `weight` may have leading dimensions, as x has them: one gain for each head.
    """

    def __init__(self, weight: Tensor, eps: float) -> None:
        num_features = weight.shape[-1]
        self._gain = weight.detach().float() * num_features**0.5
        self._floor = torch.tensor((num_features * eps) ** 0.5)

    def __call__(self, x: Tensor) -> Tensor:
        x_fp32 = x.float()
        length = torch.hypot(torch.linalg.vector_norm(x_fp32, 2, -1, True), self._floor)
        return torch.div(x_fp32, length).mul_(self._gain).to(x.dtype)


def add_rms_norm(x: Tensor, residual: Tensor, weight_D: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(rms_norm(x + residual), x + residual): the sum is the residual stream of the next branch."""
    total = x + residual
    return rms_norm(total, weight_D, eps), total
