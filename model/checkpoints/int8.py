"""Weights as 8-bit integers, one scale a row: a checkpoint in half of bf16's bytes.

Source: symmetric absolute-maximum quantisation of weights only, a row (one output of a projection, one token of the
embedding or head) at a time, as in LLM.int8() (arXiv 2208.07339, section 2) without its outliers, since no activation
is quantised. Norms, biases and the state table stay as they are. Left out: arithmetic on the integers (loading turns
them back into floats), and calibration.

Shapes: R rows (outputs, or tokens), C columns (inputs).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE_SUFFIX = ".scale"
LARGEST = 127  # -128 is left out, so that zero is the middle
KEPT = "state_table"  # three rows that are added to the stream: nothing to save


def quantize_rows(weight_RC: Tensor) -> tuple[Tensor, Tensor]:
    """int8 (R, C) and fp32 scales (R) with weight = integer x scale, at most half a scale off; ties go to even."""
    weight_RC = weight_RC.float()
    scale_R = weight_RC.abs().amax(dim=1) / LARGEST
    divisor_R1 = torch.where(scale_R > 0, scale_R, torch.ones_like(scale_R))[:, None]  # a row of zeros stays zero
    # A subnormal scale is coarser than its row; the clamp keeps such a row inside the range.
    q_RC = (weight_RC / divisor_R1).round().clamp(-LARGEST, LARGEST)
    return q_RC.to(torch.int8), scale_R


def dequantize_rows(q_RC: Tensor, scale_R: Tensor, dtype: torch.dtype) -> Tensor:
    """The floats (R, C), rounded once, from the fp32 product."""
    return (q_RC.float() * scale_R[:, None]).to(dtype)


def is_stored_as_integers(name: str, weight: Tensor) -> bool:
    """Whether the integer form keeps this weight as integers: the matrices, the state table aside."""
    return weight.ndim == 2 and name != KEPT


def compress(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a checkpoint in the integer form. Raises ValueError, with the name, if one is not finite."""
    small: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if not weight.isfinite().all():
            raise ValueError(f"the weight {name} holds numbers that are not finite")
        if is_stored_as_integers(name, weight):
            small[name], small[name + SCALE_SUFFIX] = quantize_rows(weight)
        else:
            small[name] = weight
    return small


def expand(weights: Mapping[str, Tensor], dtype: torch.dtype | None) -> dict[str, Tensor]:
    """The floats of a checkpoint in the integer form. `dtype` None: the type of the weights that stayed floats.

    Raises ValueError with what is wrong: integers without scales of their rows, scales without integers, no floats.
    """
    kinds = {weight.dtype for name, weight in weights.items() if not _is_scale(name)}
    if torch.int8 not in kinds:
        raise ValueError("it holds no integers, but its preset asks for them")
    if kinds == {torch.int8}:
        raise ValueError("it holds no floats beside the integers")
    kept_dtype = dtype or max(kinds - {torch.int8}, key=lambda kind: kind.itemsize)
    full: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if _is_scale(name):
            owner = weights.get(name.removesuffix(SCALE_SUFFIX))
            if owner is None or owner.dtype != torch.int8:
                raise ValueError(f"{name} has no integers beside it")
        elif weight.dtype == torch.int8:
            scale = weights.get(name + SCALE_SUFFIX)
            if scale is None or weight.ndim != 2 or scale.dtype != torch.float32 or scale.shape != weight.shape[:1]:
                raise ValueError(f"the integers {name} lack a 32-bit scale for each of their rows")
            full[name] = dequantize_rows(weight, scale, kept_dtype)
        else:
            full[name] = weight
    return full


def relative_error(weight: Tensor, again: Tensor) -> float:
    """Norm of the difference over norm of the weight (Frobenius), 0 for a weight of zeros."""
    size = float(weight.double().norm())
    return float((weight.double() - again.double()).norm()) / size if size else 0.0


def _is_scale(name: str) -> bool:
    return name.endswith(SCALE_SUFFIX)
