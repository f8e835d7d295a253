"""The header that every benchmark prints: command, machine, commit, date. A number without them cannot be compared."""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def print_header(name: str) -> None:
    """Prints what was run, where, and on which commit (marked when the tree has changes)."""
    words = " ".join([f"python -m benchmarks.{name}", *sys.argv[1:]])
    print(f"# {words}")
    num_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"# {_processor()}, {num_cpus} CPUs,")
    print(f"# {platform.system()} {platform.machine()}, Python {platform.python_version()}, load {_load()}")
    print(f"# commit {_commit()}, {time.strftime('%Y-%m-%d %H:%M')}")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def _commit() -> str:
    def git(*words: str) -> str:
        result = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return result.stdout.strip()

    try:
        return (git("rev-parse", "--short", "HEAD") or "unknown") + (
            " with changes" if git("status", "--porcelain") else ""
        )
    except OSError:
        return "unknown"
