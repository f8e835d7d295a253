"""Device, machine and source, for the results of `./dev gpu`. Left out: what runs (gpu.py)."""

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # started as a script, and nothing need be installed

from model.provenance import DATE_FORMAT, commit, machine  # noqa: E402

DEVICE_PROGRAM = """
import importlib.util, json, torch
found = torch.cuda.is_available()
about = torch.cuda.get_device_properties(0) if found else None
print(json.dumps({
    "device": about.name if about else "cpu",
    "device_memory_gb": round(about.total_memory / 1e9, 1) if about else None,
    "torch": torch.__version__,
    "cuda": torch.version.cuda if found else None,
    "found": [name for name in ("triton", "pytest", "transformers") if importlib.util.find_spec(name)],
}))
"""


class GpuError(Exception):
    """What the user can mend, in one sentence."""


def describe(rehearse: bool) -> dict[str, Any]:
    """Device, machine and source. GpuError if torch cannot be started."""
    environment = os.environ | ({"CUDA_VISIBLE_DEVICES": ""} if rehearse else {})
    done = subprocess.run(
        [sys.executable, "-c", DEVICE_PROGRAM], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = done.stderr.strip().rpartition("\n")[2]
        raise GpuError(f"torch does not start with {sys.executable} ({last})")
    about = json.loads(done.stdout.strip().rpartition("\n")[2])
    return {
        "date": time.strftime(DATE_FORMAT),
        **about,
        "cpu": machine(),
        "python": platform.python_version(),
        "commit": commit(),
        "source_sha256": source_hash(),
    }


def source_hash() -> str:
    """One hash over the source that trains and evaluates, for trees without git."""
    whole = hashlib.sha256()
    for path in sorted(path for folder in ("model", "kernels") for path in (ROOT / folder).rglob("*.py")):
        whole.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:16]
