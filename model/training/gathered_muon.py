"""Muon for matrices that lie in pieces on several processes.

A matrix can be orthogonalised only as a whole. torch.optim.Muon takes pieces too, but multiplies them in bf16 across
processes, so its sums differ from those of one process and travel 15 times. Here momentum stays in pieces; the
processes take turns as owners: each gathers its matrix, runs torch's own Muon on it, and sends the change to all. No
matrix is worked on twice, and one whole matrix at a time is in memory. Source: the division of work of Moonlight
(arXiv 2502.16982, section 2.3). Left out: sending only the piece that a process needs.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from model.training.sharding import like, whole


class GatheredMuon(torch.optim.Muon):
    """Has the groups and the state of torch.optim.Muon; parameters are DTensors of one mesh with one dimension."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        assert closure is None, "the loss is computed before"
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            size = dist.get_world_size()
            for low in range(0, len(parameters), size):
                self._step_together(parameters[low : low + size], group)

    def _step_together(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        """One matrix for each process."""
        assert group["adjust_lr_fn"] == "match_rms_adamw", "the only rule that is known here"
        own: Tensor | None = None
        for owner, parameter in enumerate(parameters):
            update = whole(self._with_momentum(parameter, group))
            if owner == dist.get_rank():
                own = _orthogonal(update, group)
        for owner, parameter in enumerate(parameters):
            change = torch.empty(parameter.shape, device=parameter.device, dtype=torch.bfloat16)
            if owner == dist.get_rank():
                assert own is not None, "every process has gathered its own"
                change.copy_(own)
            dist.broadcast(change, src=owner)
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(like(change, parameter), alpha=group["lr"] * 0.2 * math.sqrt(max(parameter.shape)))

    def _with_momentum(self, parameter: nn.Parameter, group: dict[str, Any]) -> Tensor:
        assert isinstance(parameter, DTensor)
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter.grad)
        state["momentum_buffer"].lerp_(parameter.grad, 1 - group["momentum"])
        return parameter.grad.lerp(state["momentum_buffer"], group["momentum"])


def _orthogonal(update: Tensor, group: dict[str, Any]) -> Tensor:
    """The nearest orthogonal matrix, negative, as torch's Muon finds it in bf16: one step of it from zero."""
    matrix = nn.Parameter(torch.zeros_like(update))
    matrix.grad = update
    num_rows, num_columns = update.shape
    kept = {name: group[name] for name in ("ns_coefficients", "eps", "ns_steps")}
    rate = 1 / math.sqrt(
        max(1, num_rows / num_columns)
    )  # undoes that of its rule "original", so that nothing is rounded
    torch.optim.Muon(
        [matrix], lr=rate, weight_decay=0.0, momentum=0.0, nesterov=False, adjust_lr_fn="original", **kept
    ).step()
    return matrix.detach()
