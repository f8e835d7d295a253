"""Which form of each operation a device gets, decided once and handed on: plain torch, or Triton's kernels.

On CUDA with Triton the kernels; elsewhere the references, which SEEDLING_KERNELS=torch asks for too (a GPU that Triton
cannot serve, or a kernel under suspicion), as tests do by `kind`. The attention of a step is this project's own:
flash-attn and FlexAttention take neither a page table with a bound for each row nor a group's heads as rows, without
which short blocks read their keys several times. Passes without pages (model/network/one_pass.py) and
training keep `scaled_dot_product_attention`, in which PyTorch itself brings FlashAttention. Left out: choosing between
kernels by measuring them at start.
"""

import functools
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from kernels.canvas_update.reference import UpdatedCanvas
from kernels.confidence_head.reference import Confidence

Kind = Literal["torch", "triton"]

VARIABLE = "SEEDLING_KERNELS"


@dataclass(frozen=True)
class Ops:
    """One function an operation, each with the signature of its reference (kernels/OP/reference.py)."""

    kind: Kind
    rms_norm: Callable[[Tensor, Tensor, float], Tensor]
    add_rms_norm: Callable[[Tensor, Tensor, Tensor, float], tuple[Tensor, Tensor]]
    swiglu: Callable[[Tensor], Tensor]
    paged_rope_kv_write: Callable[..., Tensor]
    paged_block_attention: Callable[..., Tensor]
    confidence_head: Callable[..., Confidence]
    canvas_update: Callable[..., UpdatedCanvas]
    diffusion_loss: Callable[..., tuple[Tensor, Tensor]]


def ops_for(device: torch.device, kind: Kind | None = None) -> Ops:
    """The operations of a device; `kind` overrides what would be chosen."""
    if kind is None:
        has_kernels = device.type == "cuda" and importlib.util.find_spec("triton") is not None
        kind = "triton" if has_kernels and os.environ.get(VARIABLE) != "torch" else "torch"
    return _ops(kind)


@functools.cache
def _ops(kind: Kind) -> Ops:
    if kind == "triton":  # imported here: Triton takes a quarter of a second, and no CPU needs it
        from kernels.block_attention import kernel as attention
        from kernels.canvas_update import kernel as canvas
        from kernels.confidence_head import kernel as head
        from kernels.diffusion_loss import kernel as loss
        from kernels.rms_norm import kernel as norm
        from kernels.rope_kv_write import kernel as rope
        from kernels.swiglu import kernel as gate
    else:
        from kernels.block_attention import reference as attention
        from kernels.canvas_update import reference as canvas
        from kernels.confidence_head import reference as head
        from kernels.diffusion_loss import reference as loss
        from kernels.rms_norm import reference as norm
        from kernels.rope_kv_write import reference as rope
        from kernels.swiglu import reference as gate
    return Ops(
        kind=kind,
        rms_norm=norm.rms_norm,
        add_rms_norm=norm.add_rms_norm,
        swiglu=gate.swiglu,
        paged_rope_kv_write=rope.paged_rope_kv_write,
        paged_block_attention=attention.paged_block_attention,
        confidence_head=head.confidence_head,
        canvas_update=canvas.canvas_update,
        diffusion_loss=loss.diffusion_loss,
    )
