"""A network's matrices in 8 bits, for cards and machines that hold half of what 16 bits need.

Source: torchao's weight-only forms, one scale a row: `Int8WeightOnlyConfig`, `Float8WeightOnlyConfig` (e4m3fn). Only
the projections and an untied head change; embedding, norms and biases stay, and so does the arithmetic: a matrix is
turned back for each product. So it saves memory, not time, unless the layers are compiled. Left out: quantised
activations, 4 bits, storing the result (`seedling quantize` stores our own form).
"""

import importlib.util
import os

import torch
from torch import nn

from model.checkpoints.memory import Weights
from model.network.transformer import Transformer

INSTALL = 'pip install "seedling-lsp[models]"'
OLDEST_FP8 = (8, 9)  # compute capability of the first cards with 8-bit floats (Ada; Hopper is 9.0)


class PrecisionError(Exception):
    """A form of the weights that cannot be had here; the message is one sentence for the user."""

    @property
    def sentence(self) -> str:
        return str(self)


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


@torch.no_grad()
def make_small(network: Transformer, weights: Weights, device: torch.device) -> None:
    """Turns the matrices into 8 bits, one after the other, and puts the network on `device`: in place and for good.

    The network may come from the CPU: the device then never holds more than the small form and one matrix.
    """
    if weights != "full":
        check_precision(weights, device)
        # Its compiled parts serve other forms, and complain where they do not fit this PyTorch.
        os.environ.setdefault("TORCHAO_FORCE_SKIP_LOADING_SO_FILES", "1")
        from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig, quantize_

        kinds = {"int8": Int8WeightOnlyConfig, "fp8": Float8WeightOnlyConfig}
        quantize_(network, kinds[weights](set_inductor_config=False), filter_fn=_is_matrix, device=device)
    network.to(device)


def stored_bytes(network: nn.Module) -> int:
    """Bytes of all parameters as they are held, each counted once."""
    return sum(_bytes_of(parameter) for parameter in network.parameters())


def _bytes_of(tensor: torch.Tensor) -> int:
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if flatten is None or type(tensor) in (torch.Tensor, nn.Parameter):
        return tensor.numel() * tensor.element_size()
    names, _ = flatten()
    return sum(_bytes_of(getattr(tensor, name)) for name in names)


def _is_matrix(module: nn.Module, _name: str) -> bool:
    return isinstance(module, nn.Linear)
