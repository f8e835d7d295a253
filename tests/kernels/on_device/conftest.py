"""The tests that run kernels: on a GPU in bf16, or with TRITON_INTERPRET=1 in Triton's interpreter in fp32 and fp16.

Without either nothing here is collected; test_interpreted.py runs all of it in a process of its own. The interpreter
keeps bf16 as raw 16-bit words and multiplies those, so bf16 is left to GPUs.
"""

import os
from collections.abc import Iterator

import pytest
import torch

IS_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
if not (IS_INTERPRETED or torch.cuda.is_available()):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(autouse=True)
def poisoned() -> Iterator[None]:
    """Whatever `torch.empty` gives is NaN, or the largest whole number, so that nothing unwritten can look right."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def device() -> torch.device:
    return torch.device("cpu" if IS_INTERPRETED else "cuda")


@pytest.fixture(params=[torch.float32, torch.float16 if IS_INTERPRETED else torch.bfloat16], ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


@pytest.fixture
def tolerance(dtype: torch.dtype) -> float:
    """How far a result may lie from the reference's, absolute and relative."""
    return {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}[dtype]
