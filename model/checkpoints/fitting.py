"""What a checkpoint gets on a device: the form of its weights and its context, decided before the weights are read.

Source: memory.py for the bytes, free_memory.py for what is there, precision.py for what can be had. Left out: what the
engine does with its shares (model/engine).
"""

from typing import Literal, NamedTuple

import torch

from model.checkpoints.free_memory import free_bytes
from model.checkpoints.memory import Plan, Weights, plan
from model.checkpoints.precision import can_be_small, check_precision
from model.checkpoints.presets import Preset

Precision = Literal["auto"] | Weights
PRECISIONS: tuple[Precision, ...] = ("auto", "full", "int8", "fp8")

_CAN_BE_SMALL_ON = ("cpu", "cuda")


def fitted(preset: Preset, device: torch.device, dtype: torch.dtype, precision: Precision = "auto") -> Plan:
    """`dtype`: of what stays a float. Raises CheckpointError for a form that cannot be had here, or where none fits."""
    if precision != "auto":
        check_precision(precision, device)
    return plan(
        preset.network,
        preset.context_tokens,
        free_bytes=free_bytes(device.type, device.index),
        float_bytes=dtype.itemsize,
        wanted=precision,
        can_be_small=can_be_small() and device.type in _CAN_BE_SMALL_ON,
    )


class Shares(NamedTuple):
    """Bytes of keys and values: of requests that run, and of prompts that are kept for later ones."""

    running: int
    kept: int


def shares(cache_bytes: int, wish: Shares, one_request: int) -> Shares:
    """As wished where there is room; else what is kept gets half at most, and one request can always run."""
    running = min(wish.running, cache_bytes - min(wish.kept, cache_bytes // 2))
    running = max(running, one_request)
    return Shares(running, max(0, min(wish.kept, cache_bytes - running)))
