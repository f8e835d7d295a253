"""A network whose weights, gradients and optimiser state lie in pieces on all processes.

Each layer is gathered right before it runs and let go after; embedding, state vectors, last norm and head stay whole
from the forward to the backward pass, because the loss reads the head outside of it. Layers travel in bf16 where the
products are in bf16, gradients are averaged in fp32. Source: FSDP2, `torch.distributed.fsdp.fully_shard` (its tutorial
"Getting Started with Fully Sharded Data Parallel"), after ZeRO stage 3 (arXiv 1910.02054). Left out: tensor and
pipeline parallelism.
"""

import math
from collections.abc import Iterable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from model.network.transformer import Transformer
from model.training.processes import Processes
from model.training.two_stream import Forward, RunLayer, two_stream_hidden

_METHOD = "two_stream"


def shard_network(network: Transformer, mesh: DeviceMesh, run_layer: RunLayer, *, bf16: bool) -> Forward:
    """Cuts the network up in place; the forward to use from now on, in place of `two_stream_hidden`.

    Torch gathers weights around methods of a module that it was told of, so layer and network get one each.
    """
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for layer in network.layers:
        _gather_around(layer, mesh, partial(run_layer, layer), policy if bf16 else MixedPrecisionPolicy())
    whole = partial(two_stream_hidden, network, run_layer=_run_gathered)
    _gather_around(network, mesh, whole, MixedPrecisionPolicy(cast_forward_inputs=False))
    return _forward_gathered


def _gather_around(module: nn.Module, mesh: DeviceMesh, method: Forward, policy: MixedPrecisionPolicy) -> None:
    setattr(module, _METHOD, method)
    fully_shard(module, mesh=mesh, mp_policy=policy)
    register_fsdp_forward_method(module, _METHOD)


def _run_gathered(layer: nn.Module, *args: object) -> Tensor:
    return getattr(layer, _METHOD)(*args)


def _forward_gathered(network: Transformer, *args: object) -> Tensor:
    return getattr(network, _METHOD)(*args)


def let_go(network: nn.Module) -> None:
    """After forward passes without a backward one: what they gathered is in pieces again."""
    for module in network.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def whole(tensor: Tensor) -> Tensor:
    """The tensor, gathered where it lies in pieces; then all processes must ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def clip_gradients(parameters: Iterable[Tensor], largest: float, processes: Processes) -> float:
    """The norm of all gradients; they are scaled down where it is larger. Summed in fp64, so that it does not depend
    on the number of pieces.
    """
    found = [p.grad.to_local() if isinstance(p.grad, DTensor) else p.grad for p in parameters if p.grad is not None]
    squares = torch.stack([torch.linalg.vector_norm(grad, dtype=torch.float64) ** 2 for grad in found])
    norm = math.sqrt(processes.sums([float(squares.sum())])[0])
    if norm > largest:
        for grad in found:
            grad.mul_(largest / norm)
    return norm


def gathered(tensors: Mapping[str, Tensor], *, keep: bool) -> dict[str, Tensor]:
    """Whole tensors in the memory of the CPU, one gathered after the other; empty for those that do not keep them."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        value = whole(tensor.detach())
        if keep:
            found[name] = value.cpu()
    return found


def like(tensor: Tensor, model: Tensor | None) -> Tensor:
    """A whole tensor that all processes have, laid out as `model` is: a piece of it where that is one."""
    if not isinstance(model, DTensor) or tensor.shape != model.shape:
        return tensor
    return distribute_tensor(tensor, model.device_mesh, model.placements, src_data_rank=None)
