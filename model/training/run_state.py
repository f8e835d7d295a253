"""The state of a training run on disk: one safetensors file, replaced in one step, that a killed run goes on from.

Holds weights, optimiser state, the moving average and the counters (step, seconds spent, tokens read), all whole: of
several processes the first one gathers and writes them, and each takes its pieces of them, so a run goes on with any
number of processes. The data order needs no state: a batch is a pure function of (seed, step). Left out: the checkpoint
folder for users (checkpoints/load.py), files that each process writes a part of.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.network.config import NetworkConfig
from model.network.transformer import Transformer
from model.training.optimizers import Average, Optimizers, load_optimizer_tensors, optimizer_tensors, parameter_of
from model.training.sharding import gathered, like

RESUME_FILE = "resume.safetensors"


class TrainError(Exception):
    """Training that cannot start or go on; the message is one sentence for the user."""

    @property
    def sentence(self) -> str:
        return str(self)


class Counters(msgspec.Struct, kw_only=True):
    """`spent_s` = wall time used so far, over all starts of the run; tokens of the clean stream, padding excluded."""

    step: int = 0
    spent_s: float = 0.0
    num_tokens: int = 0
    num_canvas_tokens: int = 0
    num_bad_steps: int = 0


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What must be equal for a run to go on."""

    network: NetworkConfig
    tokenizer_sha256: str
    seed: int
    rows: int
    micro_rows: int
    clean_tokens: int
    noisy_tokens: int


@dataclass
class RunState:
    network: Transformer
    optimizers: Optimizers
    identity: Identity
    counters: Counters = field(default_factory=Counters)
    average: Average | None = None


def save_run(state: RunState, folder: Path, *, is_first: bool = True) -> None:
    """Writes the resume file: a temporary file, flushed, then renamed. TrainError if the disk is full or not
    writable. Of several processes all call this; only the first one writes."""
    tensors: dict[str, Tensor] = {f"net.{name}": p.detach() for name, p in state.network.named_parameters()}
    tensors |= {f"opt.{name}": value for name, value in optimizer_tensors(state.optimizers).items()}
    if state.average is not None:
        tensors |= {f"ema.{name}": value for name, value in state.average.weights.items()}
    tensors = gathered(tensors, keep=is_first)
    if not is_first:
        return
    path = folder / RESUME_FILE
    part = path.with_name(path.name + ".part")
    metadata = {
        "identity": msgspec.json.encode(state.identity).decode(),
        "counters": msgspec.json.encode(state.counters).decode(),
    }
    try:
        # safetensors makes its file readable for its owner alone; an empty one made here shows what the umask allows.
        part.touch()
        mode = part.stat().st_mode
        save_file({name: value.contiguous() for name, value in tensors.items()}, part, metadata=metadata)
        part.chmod(mode)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise TrainError(
            f"the run could not be saved to {path} ({error}); the last saved state is still there: free some space and "
            "go on with --resume"
        ) from None


def load_run(state: RunState, folder: Path, ema_decay: float) -> None:
    """Fills `state` from the resume file. TrainError if there is none, it is damaged, or another run's."""
    path = folder / RESUME_FILE
    if not path.is_file():
        raise TrainError(f"there is nothing to resume in {folder}: {RESUME_FILE} is missing")
    own = dict(state.network.named_parameters())
    parts: dict[str, dict[str, Tensor]] = {"net": {}, "opt": {}, "ema": {}}
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            identity = msgspec.json.decode(metadata["identity"], type=Identity)
            counters = msgspec.json.decode(metadata["counters"], type=Counters)
            _check_same(identity, state.identity, path)
            for name in file.keys():  # noqa: SIM118 (safe_open is no dict)
                part, _, rest = name.partition(".")
                if part not in parts:
                    raise TrainError(f"{path} is not a readable training state (it holds {name}, which no run writes)")
                owner = parameter_of(state.optimizers, rest) if part == "opt" else own.get(rest)
                # One after the other, so that of many processes none ever holds the whole.
                parts[part][rest] = like(file.get_tensor(name), owner)
    except (OSError, SafetensorError, KeyError, msgspec.DecodeError) as error:
        raise TrainError(f"{path} is not a readable training state ({error})") from None
    _check_weights(own, parts["net"], path)
    if parts["ema"]:
        _check_weights(own, parts["ema"], path)
    with torch.no_grad():
        for name, p in own.items():
            p.copy_(parts["net"][name])
    try:
        load_optimizer_tensors(state.optimizers, parts["opt"])
    except (ValueError, KeyError) as error:
        raise TrainError(f"{path} is not a readable training state (its optimiser's part: {error})") from None
    device = next(state.network.parameters()).device
    if parts["ema"]:
        weights = {name: value.to(device) for name, value in parts["ema"].items()}
        state.average = Average(state.network, ema_decay, weights)
    state.counters = counters


def _check_weights(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path) -> None:
    for name, weight in wanted.items():
        if name not in found or found[name].shape != weight.shape:
            raise TrainError(f"{path} is not a readable training state (the weight {name} is missing or misshapen)")


def _check_same(found: Identity, wanted: Identity, path: Path) -> None:
    if found.tokenizer_sha256 != wanted.tokenizer_sha256:
        raise TrainError(f"{path} was trained with another tokenizer than that of the shards")
    for name in ("network", "seed", "rows", "micro_rows", "clean_tokens", "noisy_tokens"):
        old, new = getattr(found, name), getattr(wanted, name)
        if old != new:
            raise TrainError(f"{path} belongs to a run with another {name.replace('_', ' ')} ({old}, now {new})")
