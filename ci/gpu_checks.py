"""What `./dev gpu` looks at before it trains: kernels against their references, the roofline, the shipped model's step
and its twin.

Each is one `python -m …` of a minute or two. Left out: running them and keeping what they gave (gpu.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KERNEL_TESTS = "kernels"
"""Where these fail, everything after them runs with SEEDLING_KERNELS=torch."""

WANTED_GB = 28


@dataclass(frozen=True)
class Check:
    """`python -m WORDS`; `is_json`: its last line is one JSON object. `skip`: why it is left out."""

    name: str
    words: tuple[str, ...]
    is_json: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    skip: str | None = None


def checks(root: Path, out: Path, about: Mapping[str, Any], *, rehearse: bool) -> list[Check]:
    """The checks for this device, in order."""
    embedded = str(root / "model" / "embedded")
    rehearsed = ("--rehearse",) if rehearse else ()
    missing = [name for name in ("triton", "pytest") if name not in about["found"]]
    no_tests = f"not installed: {', '.join(missing)}" if missing else None
    no_gpu = None if rehearse or about["device_memory_gb"] is not None else "there is no CUDA GPU here"
    memory_gb = about["device_memory_gb"]
    too_small = (
        f"8 B weights want 28 GB, this GPU has {memory_gb}" if memory_gb is not None and memory_gb < 28 else None
    )
    # In the rehearsal one small file of kernels in the interpreter: ./dev test runs all of them.
    tests = "tests/kernels/on_device" + ("/test_swiglu.py" if rehearse else "")
    interpreted = {"TRITON_INTERPRET": "1"} if rehearse else {}
    return [
        Check(KERNEL_TESTS, ("pytest", "-q", tests), False, interpreted, skip=no_tests or no_gpu),
        Check(
            "roofline",
            ("benchmarks.roofline", *rehearsed, "--picture", str(out / "roofline.png")),
            skip=no_gpu or (None if rehearse else too_small),
        ),
        Check("step", ("benchmarks.roofline", *rehearsed, "--model", embedded), skip=no_gpu),
        Check("twin", ("benchmarks.twin", "--limit", "2" if rehearse else "100")),
    ]
