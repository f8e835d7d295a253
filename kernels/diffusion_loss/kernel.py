"""diffusion_loss with everything between the matrix products in one launch a chunk of rows, in Triton.

Source: the formula of reference.py. A program owns a row of the chunk's logits and passes over the vocabulary twice:
running maximum and sum (Milakov & Gimelshein, arXiv 1805.02867), then the gradient, written where the logits stood. So
a chunk moves its logits three times instead of about twelve and keeps nothing in fp32. The products stay with the
library: at these shapes nothing hand-written multiplies faster. Left out: what the reference leaves out.

Shapes: R rows, C rows of a chunk, D model width, V vocabulary, K label sets.
"""

from typing import Any

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

BLOCK, NUM_WARPS = 4096, 8


@triton.jit
def loss_rows(
    logits_ptr,
    labels_ptr,
    weights_ptr,
    sets_ptr,
    allowed_ptr,
    losses_ptr,
    V,
    row_stride,
    WANTS_GRADIENT: tl.constexpr,
    BLOCK_V: tl.constexpr,
):
    row = tl.program_id(0)
    logits_ptr += row.to(tl.int64) * row_stride
    weight = tl.load(weights_ptr + row)
    counts = weight != 0.0
    allowed_ptr += tl.load(sets_ptr + row) * V
    label = tl.where(counts, tl.load(labels_ptr + row), 0)
    num_read = tl.where(counts, V, 0)  # of a row without weight nothing is read, NaN included

    # Before the reductions, whose barriers keep every warp from writing a gradient here first.
    is_allowed = tl.load(allowed_ptr + label, mask=counts, other=0) != 0
    at_label = tl.load(logits_ptr + label, mask=is_allowed, other=float("-inf")).to(tl.float32)

    # Starting from a finite value, a stretch of banned labels alone gives exp(-inf) = 0 and never -inf minus -inf.
    largest = tl.full([], -1e30, tl.float32)
    total = tl.full([], 0.0, tl.float32)
    for start in range(0, V, BLOCK_V):
        column = start + tl.arange(0, BLOCK_V)
        allowed = tl.load(allowed_ptr + column, mask=column < num_read, other=0) != 0
        # All logits are read, the banned ones too: single holes in the mask would make 2 bytes a load out of 16.
        logit = tl.load(logits_ptr + column, mask=column < num_read, other=0.0).to(tl.float32)
        logit = tl.where(allowed, logit, float("-inf"))
        higher = tl.maximum(largest, tl.max(logit, 0))
        total = total * tl.exp(largest - higher) + tl.sum(tl.exp(logit - higher), 0)
        largest = higher
    logsumexp = largest + tl.log(tl.where(counts, total, 1.0))

    tl.store(losses_ptr + row, tl.where(counts, logsumexp - at_label, 0.0))

    if WANTS_GRADIENT:
        for start in range(0, V, BLOCK_V):
            column = start + tl.arange(0, BLOCK_V)
            allowed = tl.load(allowed_ptr + column, mask=column < num_read, other=0) != 0
            logit = tl.load(logits_ptr + column, mask=column < num_read, other=0.0)
            probability = tl.where(allowed, tl.exp(logit.to(tl.float32) - logsumexp), 0.0)
            gradient = tl.where(counts, weight * (probability - tl.where(column == label, 1.0, 0.0)), 0.0)
            tl.store(logits_ptr + column, gradient.to(logit.dtype), mask=column < V)


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
    """As in reference.py."""
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
        weights_R = weights_R.float().contiguous()
        labels_R, sets_R = labels_R.contiguous(), sets_R.contiguous()
        allowed_KV = allowed_KV.contiguous().view(torch.uint8)
        losses_R = torch.empty_like(weights_R)
        grad_hidden_RD = torch.empty_like(hidden_RD) if wants_hidden else None
        grad_head_VD = torch.zeros_like(head_VD, dtype=torch.float32) if wants_head else None
        for start in range(0, hidden_RD.shape[0], chunk_rows):
            rows = slice(start, start + chunk_rows)
            grad_CV = F.linear(hidden_RD[rows], head_VD)  # the logits; autocast decides on their type
            loss_rows[(grad_CV.shape[0],)](
                grad_CV,
                labels_R[rows],
                weights_R[rows],
                sets_R[rows],
                allowed_KV,
                losses_R[rows],
                head_VD.shape[0],
                grad_CV.stride(0),
                WANTS_GRADIENT=wants_hidden or wants_head,
                BLOCK_V=min(BLOCK, triton.next_power_of_2(head_VD.shape[0])),
                num_warps=NUM_WARPS,  # type: ignore[call-arg]
            )
            if grad_hidden_RD is not None:
                grad_hidden_RD[rows] = grad_CV @ head_VD.to(grad_CV.dtype)
            if grad_head_VD is not None:
                grad_head_VD += grad_CV.t() @ hidden_RD[rows].to(grad_CV.dtype)
        ctx.save_for_backward(grad_hidden_RD, None if grad_head_VD is None else grad_head_VD.to(head_VD.dtype))
        ctx.mark_non_differentiable(losses_R)
        # Where a weight is 0 the loss is too, so infinity times nothing does not arise.
        return (weights_R * losses_R).sum(), losses_R

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        scaled = (None if saved is None else saved * grads[0].to(saved.dtype) for saved in ctx.saved_tensors)
        return (*scaled, None, None, None, None, None)
