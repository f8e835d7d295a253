"""What a number must carry to be comparable: command, machine, versions, commit and date.

Evaluations, benchmarks and `./dev gpu` print or store it. Source: the system itself (/proc/cpuinfo, installed packages,
git). Standard library only, so it costs nothing to import. Left out: what a computation itself knows (model, settings).
"""

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CPU_INFO = Path("/proc/cpuinfo")
DATE_FORMAT = "%Y-%m-%d %H:%M"


def header(command: str) -> list[str]:
    """Comment lines that stand above a result."""
    return [
        f"# {command}",
        f"# {machine()}",
        f"# {platform.system()} {platform.machine()}, Python {platform.python_version()}, torch {torch_version()}, "
        f"load {_load()}",
        f"# commit {commit()}, {time.strftime(DATE_FORMAT)}",
    ]


def machine() -> str:
    """The processor and how many CPUs this process may use; a GPU where torch is at work and has one."""
    num_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch = sys.modules.get("torch")  # whoever computes on a GPU has imported it
    gpu = f", {torch.cuda.get_device_name()}" if torch is not None and torch.cuda.is_available() else ""
    return f"{processor()}, {num_cpus} CPUs{gpu}"


def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine() or "unknown processor")


def torch_version() -> str:
    """The installed one; it is not imported for this."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def commit(root: Path = ROOT) -> str:
    """The commit of the source this runs from, marked when the tree has changes."""
    if not (root / ".git").exists():  # an installed package may lie in somebody else's repository
        return "unknown (not a git checkout)"

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        head = git("rev-parse", "--short", "HEAD")
        return f"{head} with changes" if git("status", "--porcelain") else head
    except (OSError, subprocess.CalledProcessError):
        return "unknown (git failed)"


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
