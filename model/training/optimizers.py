"""Two optimisers for one network: Muon for the hidden matrices, AdamW for embeddings, head, norms and state vectors.

Source: Muon (Keller Jordan, 2024) as in torch.optim, with step sizes matched to AdamW's (Moonlight, arXiv 2502.16982,
section 2.2), so one schedule serves both. Also the moving average of the weights that is kept at the end, and the
tensors of both as a flat dict for a resume file without pickle. Left out: the schedule itself (schedule.py).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from model.network.transformer import Transformer
from model.training.gathered_muon import GatheredMuon

WEIGHT_DECAY = 0.05


@dataclass(frozen=True)
class Optimizers:
    muon: torch.optim.Muon
    adamw: torch.optim.AdamW

    def set_rate(self, muon_rate: float, adamw_rate: float) -> None:
        for optimizer, rate in ((self.muon, muon_rate), (self.adamw, adamw_rate)):
            for group in optimizer.param_groups:
                group["lr"] = rate

    def step(self) -> None:
        self.muon.step()
        self.adamw.step()
        self.muon.zero_grad(set_to_none=True)
        self.adamw.zero_grad(set_to_none=True)


def make_optimizers(network: Transformer) -> Optimizers:
    """Every parameter in exactly one group; vectors, embeddings and the head have no weight decay."""
    hidden = [p for name, p in network.named_parameters() if name.startswith("layers.") and p.ndim == 2]
    ids = {id(p) for p in hidden}
    others = [p for p in network.parameters() if id(p) not in ids]
    muon = GatheredMuon if isinstance(hidden[0], DTensor) else torch.optim.Muon
    return Optimizers(
        muon(hidden, lr=0.0, weight_decay=WEIGHT_DECAY, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=0.0, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0),
    )


def optimizer_tensors(optimizers: Optimizers) -> dict[str, Tensor]:
    """The state of both as named tensors (optimizer.parameter number.name)."""
    tensors: dict[str, Tensor] = {}
    for label, optimizer in (("muon", optimizers.muon), ("adamw", optimizers.adamw)):
        for number, state in optimizer.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"{label}.{number}.{name}"] = torch.as_tensor(value).contiguous()
    return tensors


def load_optimizer_tensors(optimizers: Optimizers, tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`, for optimisers over the same network."""
    for label, optimizer in (("muon", optimizers.muon), ("adamw", optimizers.adamw)):
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            owner, number, name = key.split(".", 2)
            if owner == label:
                state.setdefault(int(number), {})[name] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def parameter_of(optimizers: Optimizers, name: str) -> Tensor | None:
    """The parameter that a tensor of `optimizer_tensors` belongs to; None for a name that no run writes."""
    label, _, rest = name.partition(".")
    number = rest.partition(".")[0]
    for other, optimizer in (("muon", optimizers.muon), ("adamw", optimizers.adamw)):
        parameters = optimizer.param_groups[0]["params"]
        if label == other and number.isdecimal() and int(number) < len(parameters):
            return parameters[int(number)]
    return None


class Average:
    """Exponential moving average of the weights, begun when the learning rate starts to decay."""

    def __init__(self, network: Transformer, decay: float, weights: dict[str, Tensor] | None = None) -> None:
        self.decay = decay
        self.weights = weights or {name: p.detach().clone() for name, p in network.named_parameters()}

    @torch.no_grad()
    def update(self, network: Transformer) -> None:
        for name, p in network.named_parameters():
            self.weights[name].lerp_(p.detach(), 1.0 - self.decay)
