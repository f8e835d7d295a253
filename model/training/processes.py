"""The processes of one training run: one alone, or as many as torchrun has started.

What all must do alike, the first one decides (its clock, whether to save); what each found is added up. Source:
torch.distributed; torchrun's environment. Left out: the sharding of weights (sharding.py) and the split of the data,
which is a rule of the trainer: micro batch n belongs to process n mod size.
"""

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

TIMEOUT = timedelta(hours=1)
"""How long the others wait, while the first one writes a large state to a slow disk."""


@dataclass(frozen=True)
class Processes:
    """This one among `size`; `num_beside` of them share its machine. mesh: None = not started by torchrun."""

    device: str
    rank: int = 0
    size: int = 1
    num_beside: int = 1
    mesh: DeviceMesh | None = None

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def as_first(self, value: float) -> float:
        """The value of the first process, in all of them."""
        if self.mesh is None:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(told, src=0)
        return float(told)

    def sums(self, values: Sequence[float]) -> list[float]:
        """Each value, added up over all processes; whole numbers up to 2^53 are exact."""
        if self.mesh is None:
            return list(values)
        added = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(added)
        return added.tolist()


@contextmanager
def started_processes(device: str) -> Iterator[Processes]:
    """The processes that torchrun has started on `device` (cpu or cuda, of which each takes its own), or this one."""
    if not dist.is_torchelastic_launched():
        yield Processes(device)
        return
    local_rank = int(os.environ["LOCAL_RANK"])
    if device == "cuda":
        torch.cuda.set_device(local_rank)
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=TIMEOUT)
    yield Processes(
        f"cuda:{local_rank}" if device == "cuda" else device,
        dist.get_rank(),
        dist.get_world_size(),
        int(os.environ["LOCAL_WORLD_SIZE"]),
        init_device_mesh(device, (dist.get_world_size(),)),
    )
    # Not after an error: the others may be waiting for this process, and torchrun ends them when it has ended.
    # Together, and with no module left that holds the group: else its threads outlive it, and now and then a
    # process aborts as it exits ("terminate called without an active exception").
    gc.collect()
    dist.barrier()
    dist.destroy_process_group()
