"""How much memory this machine has to give now: of a GPU, or RAM.

Source: proc(5) (/proc/meminfo), the kernel's cgroup v2 documentation (a container's limit counts, its file cache does
not), torch.cuda.mem_get_info. Left out: what swapping could give, the memory of Apple's GPUs (it is RAM), cgroup v1.
"""

import os
from pathlib import Path

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def free_bytes(device_type: str, index: int | None = None) -> int | None:
    """Free bytes of a CUDA device ("cuda") or RAM (all others); None where it cannot be told."""
    if device_type != "cuda":
        return free_ram_bytes()
    import torch

    return torch.cuda.mem_get_info(index)[0]


def free_ram_bytes(proc: Path = PROC, cgroups: Path = CGROUPS) -> int | None:
    """What a process may still take: of the machine, and of each group that it is in."""
    known = [size for size in (_available(proc), *_left_in_groups(proc, cgroups)) if size is not None]
    return min(known) if known else _all_ram()


def _available(proc: Path) -> int | None:
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _left_in_groups(proc: Path, cgroups: Path) -> list[int]:
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return []
    own = next((line.partition("::")[2] for line in lines if line.startswith("0::")), "/")
    inside = Path(own.lstrip("/"))
    left = (_left_in_group(cgroups / part) for part in (inside, *inside.parents))
    return [size for size in left if size is not None]


def _left_in_group(folder: Path) -> int | None:
    try:
        limit = int((folder / "memory.max").read_text())  # "max", no number, where there is none
        taken = int((folder / "memory.current").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(0, limit - taken + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):
        return None


def _all_ram() -> int | None:
    """All of it, where nothing says how much is free (macOS)."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
