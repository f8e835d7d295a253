"""Weighted cross-entropy over rows of both streams, with the labels a row can never have at −inf, chunk by chunk.

Source: the masked-diffusion bound as a weighted cross-entropy (MDLM, arXiv 2406.07524, equation 10); gradients are made
in the forward pass, chunk by chunk, so that the (R, V) logits never exist as a whole (Liger, arXiv 2410.10989, §3.2).
Left out: the weights themselves (n/m, λ, shares of samples): the objective computes them.

Shapes: R rows, D model width, V vocabulary, K label sets (one a state: clean, masked, draft, locked).
"""

from collections.abc import Collection
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def label_sets(
    vocab_size: int,
    *,
    banned: Collection[int],
    banned_when_masked: Collection[int],
    banned_when_clean: Collection[int],
) -> Tensor:
    """Allowed labels, bool (4, V), one row a state of a position: 0 clean, 1 masked, 2 draft, 3 locked.

    `banned` (`<mask>`, layout, padding and unused ids) can nowhere be a label; `<ins>` cannot be one of a masked row,
    `<ins>` and `<del>` none of the clean stream.
    """
    allowed_KV = torch.ones(4, vocab_size, dtype=torch.bool)
    allowed_KV[:, sorted(banned)] = False
    allowed_KV[0, sorted(banned_when_clean)] = False
    allowed_KV[1, sorted(banned_when_masked)] = False
    return allowed_KV


def diffusion_loss(
    hidden_RD: Tensor,
    head_VD: Tensor,
    labels_R: Tensor,
    weights_R: Tensor,
    allowed_KV: Tensor,
    sets_R: Tensor,
    *,
    chunk_rows: int = 1024,
) -> tuple[Tensor, Tensor]:
    """(Σ_r weight_r · CE_r, CE of each row in nats without gradient). Soft-max and sums in fp32.

    `labels_R` int64; `sets_R` int64: the label set of each row (its state). Rows of weight 0 give neither loss nor
    gradient, whatever their label (−100 included). A weighted row whose label its set bans gives an infinite loss.
    Gradients flow to `hidden_RD` and `head_VD`, once (no second derivative).
    """
    return _DiffusionLoss.apply(hidden_RD, head_VD, labels_R, weights_R, allowed_KV, sets_R, chunk_rows)  # type: ignore[return-value]


class _DiffusionLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_RD: Tensor,
        head_VD: Tensor,
        labels_R: Tensor,
        weights_R: Tensor,
        allowed_KV: Tensor,
        sets_R: Tensor,
        chunk_rows: int,
    ) -> tuple[Tensor, Tensor]:
        wants_hidden, wants_head = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        grad_hidden: list[Tensor] = []
        grad_head_VD = torch.zeros_like(head_VD, dtype=torch.float32) if wants_head else None
        losses: list[Tensor] = []
        # An additive table costs one gather and one addition a chunk, less than a masked_fill with a gathered bool.
        bias_KV = torch.zeros(allowed_KV.shape, device=allowed_KV.device).masked_fill(~allowed_KV, float("-inf"))
        weights_R = weights_R.float()
        for start in range(0, hidden_RD.shape[0], chunk_rows):
            rows = slice(start, start + chunk_rows)
            counts = weights_R[rows] != 0
            logits = F.linear(hidden_RD[rows], head_VD)  # autocast decides on its type
            log_probs = torch.log_softmax(logits.float() + bias_KV[sets_R[rows]], dim=-1)
            label_1 = torch.where(counts, labels_R[rows], 0).unsqueeze(-1)
            losses.append(torch.where(counts, -log_probs.gather(-1, label_1).squeeze(-1), 0.0))
            if not (wants_hidden or wants_head):
                continue
            # d CE / d logits = softmax − one-hot, in the type of the matrix products that follow.
            grad = log_probs.exp_() if not torch.compiler.is_compiling() else log_probs.exp()
            grad = grad.scatter_add(-1, label_1, torch.full_like(label_1, -1.0, dtype=grad.dtype))
            grad = torch.where(counts, weights_R[rows], 0.0).unsqueeze(-1) * grad
            grad = grad.to(logits.dtype)
            if wants_hidden:
                grad_hidden.append(grad @ head_VD.to(grad.dtype))
            if grad_head_VD is not None:
                grad_head_VD += grad.t() @ hidden_RD[rows].to(grad.dtype)
        losses_R = torch.cat(losses)
        saved = (
            torch.cat(grad_hidden).to(hidden_RD.dtype) if wants_hidden else None,
            grad_head_VD.to(head_VD.dtype) if grad_head_VD is not None else None,
        )
        ctx.save_for_backward(*saved)
        ctx.mark_non_differentiable(losses_R)
        return (weights_R * losses_R).sum(), losses_R

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        grad_hidden_RD, grad_head_VD = ctx.saved_tensors
        scale = grads[0]
        return (
            None if grad_hidden_RD is None else grad_hidden_RD * scale.to(grad_hidden_RD.dtype),
            None if grad_head_VD is None else grad_head_VD * scale.to(grad_head_VD.dtype),
            None,
            None,
            None,
            None,
            None,
        )
