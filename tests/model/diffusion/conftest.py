"""A network that says what a test wants, in place of hidden rows and head: the sampler's rules under chosen beliefs."""

import math
from collections.abc import Callable, Mapping

import pytest
import torch

from model.diffusion.frames import Frame
from model.diffusion.reading import Reading, Request, read_logits
from model.diffusion.run import Run

VOCAB = 512
Beliefs = Callable[[Request], Mapping[int, Mapping[int, float]]]
"""Of a request: block row → {label: probability}. The rest is spread over all tokens; rows left out are flat."""


def read_as(request: Request, beliefs: Mapping[int, Mapping[int, float]]) -> Reading:
    rows = []
    for ask in request.asks:
        said = beliefs.get(ask.index, {})
        rest = max(1.0 - sum(said.values()), 1e-9) / VOCAB
        row = [math.log(rest)] * VOCAB
        for label, p in said.items():
            row[label] = math.log(p)
        rows.append(row)
    return read_logits(torch.tensor(rows), [request])[0]


def run_as(run: Run, beliefs: Beliefs, *, max_passes: int = 500) -> list[Frame]:
    """Every frame of a run whose network has these beliefs; fails if it does not end."""
    frames = [run.frame()] if run.result is not None else []
    while run.result is None:
        assert len(frames) < max_passes, "the run does not end"
        request = run.request()
        frames.append(run.absorb(request, read_as(request, beliefs(request))))
    return frames


@pytest.fixture
def play():
    """play(run, beliefs) → frames."""
    return run_as


@pytest.fixture
def read():
    """read(request, beliefs of its rows) → Reading."""
    return read_as
