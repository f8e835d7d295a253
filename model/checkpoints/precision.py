"""A network's matrices in 8 bits, for cards and machines that hold half of what 16 bits need.

Source: torchao's weight-only forms, one scale a row: `Int8WeightOnlyConfig`, `Float8WeightOnlyConfig` (e4m3fn). Only
the projections and an untied head change; embedding, norms and biases stay, and so does the arithmetic: a matrix is
turned back for each product. So it saves memory, not time, unless the layers are compiled. Weights change one at a time
while they are loaded, so nothing ever holds the large form. Left out: quantised activations, 4 bits, storing the result
(`seedling quantize` stores our own form).
"""

import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from model.checkpoints.error import CheckpointError
from model.checkpoints.memory import Weights

INSTALL = 'pip install "seedling-lsp[models]"'
MATRICES = (".qkv.weight", ".attn_out.weight", ".gate_up.weight", ".mlp_out.weight", "head.weight")
OLDEST_FP8 = (8, 9)  # compute capability of the first cards with 8-bit floats (Ada; Hopper is 9.0)

Shrink = Callable[[str, Tensor], Tensor]


class PrecisionError(CheckpointError):
    """A form of the weights that cannot be had here."""


def can_be_small() -> bool:
    """Whether what makes matrices small is installed. Imports nothing."""
    return importlib.util.find_spec("torchao") is not None


def check_precision(weights: Weights, device: torch.device) -> None:
    """Raises PrecisionError if this machine cannot hold weights so: before anything is read."""
    if weights == "full":
        return
    if not can_be_small():
        raise PrecisionError(f"--precision {weights} needs torchao, which is not installed: run {INSTALL}.")
    if weights != "fp8":
        return
    if device.type != "cuda":
        raise PrecisionError(
            f"--precision fp8 needs an NVIDIA GPU, and this is {device.type}: take int8, which runs everywhere."
        )
    ability = torch.cuda.get_device_capability(device)
    if ability < OLDEST_FP8:
        name = torch.cuda.get_device_name(device)
        raise PrecisionError(f"--precision fp8 needs a newer GPU than {name} (Ada, Hopper or later): take int8.")


def shrinker(weights: Weights) -> Shrink:
    """What turns a weight, by its name, into the form in which it is held; most stay as they are."""
    if weights == "full":
        return lambda _name, weight: weight
    # Its compiled parts serve other forms, and complain where they do not fit this PyTorch.
    os.environ.setdefault("TORCHAO_FORCE_SKIP_LOADING_SO_FILES", "1")
    with _quiet():
        from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig, quantize_

    form = {"int8": Int8WeightOnlyConfig, "fp8": Float8WeightOnlyConfig}[weights](set_inductor_config=False)

    @torch.no_grad()
    def shrink(name: str, weight: Tensor) -> Tensor:
        if not is_matrix(name):
            return weight
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        linear.weight = nn.Parameter(weight, requires_grad=False)
        quantize_(linear, form)
        return linear.weight

    return shrink


def is_matrix(name: str) -> bool:
    """Whether the weight of that name is one that the 8-bit forms make small: a projection, or an untied head."""
    return name.endswith(MATRICES)


def is_small(network: nn.Module) -> bool:
    """Whether a network's matrices are held in 8 bits: they can then neither be packed nor stored."""
    return any(_is_in_parts(parameter) for parameter in network.parameters())


def stored_bytes(network: nn.Module) -> int:
    """Bytes of all parameters as they are held, each counted once."""
    return sum(_bytes_of(parameter) for parameter in network.parameters())


def _bytes_of(tensor: Tensor) -> int:
    if not _is_in_parts(tensor):
        return tensor.numel() * tensor.element_size()
    names, _ = tensor.__tensor_flatten__()  # type: ignore[attr-defined]  # PyTorch's protocol of tensor subclasses
    return sum(_bytes_of(getattr(tensor, name)) for name in names)


def _is_in_parts(tensor: Tensor) -> bool:
    return type(tensor) not in (Tensor, nn.Parameter) and hasattr(tensor, "__tensor_flatten__")


@contextmanager
def _quiet() -> Iterator[None]:
    """torchao's import tells of what is of no use here: parts that it skips, names that PyTorch will once take back."""
    loggers = [logging.getLogger(name) for name in ("torchao", "torch.utils._pytree")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
