"""The training forward through torch.compile, or as it is where that fails.

A run of an hour must not end because the second shape meets a compiler bug or a missing C++ compiler. Left out: the
engine's compiled layers (model/network/compiled.py).
"""

import sys

import torch
from torch import Tensor

from model.training.two_stream import Forward, two_stream_hidden


def compiled_or_eager(function: Forward = two_stream_hidden) -> Forward:
    """The forward compiled, for its two static shapes; eager from the first time that compiling fails."""
    from torch._dynamo.exc import BackendCompilerFailed
    from torch._inductor.exc import InductorError

    compiled: Forward = torch.compile(function, dynamic=False)
    failed = False

    def forward(*args: object) -> Tensor:
        nonlocal failed
        if not failed:
            try:
                return compiled(*args)
            except (BackendCompilerFailed, InductorError) as error:
                failed = True
                reason = str(error).splitlines()[0]
                print(f"compiling failed ({reason}); going on without it", file=sys.stderr, flush=True)
        return function(*args)

    return forward
