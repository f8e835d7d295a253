"""Where the time of our own decoding goes: first passes, later passes, the head, and everything around them.

The functions that the samplers call are replaced by ones that look at the clock, for one separate run: the clocks cost
a few microseconds a pass and must not stand in the times that are compared. Left out: what happens inside a pass
(the benchmark `step`).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from benchmarks.lines import Line, Task
from model.network.transformer import Transformer

PASSES = "model.diffusion.steps.many_passes"  # of one canvas here


def time_shares(
    network: Transformer, write: Callable[[Task], Line], tasks: Sequence[Task], warm: Callable[[Task], None]
) -> dict[str, float]:
    """Shares of the time of all tasks, which sum to 1: `prefill` (the pass that also runs what the keystroke changed),
    `steps` (all further passes), `head` (all logits), `python` (sampling, rules, stop rule).
    """
    spent_s = {"prefill": 0.0, "steps": 0.0, "head": 0.0}
    total_s = 0.0
    for task in tasks:
        warm(task)
        with _clocks(network) as (passes_s, heads_s):
            begun_s = time.perf_counter()
            write(task)
            total_s += time.perf_counter() - begun_s
        spent_s["prefill"] += sum(passes_s[:1])
        spent_s["steps"] += sum(passes_s[1:])
        spent_s["head"] += sum(heads_s)
    shares = {name: seconds / total_s for name, seconds in spent_s.items()}
    return shares | {"python": 1 - sum(shares.values())}


@contextmanager
def _clocks(network: Transformer) -> Iterator[tuple[list[float], list[float]]]:
    """The seconds of each pass and of each call of the head while the context is open."""
    passes_s: list[float] = []
    heads_s: list[float] = []
    patches = [
        mock.patch(PASSES, _clocked(_found(PASSES), passes_s)),
        mock.patch.object(network, "logits", _clocked(network.logits, heads_s)),
    ]
    for patch in patches:
        patch.start()
    try:
        yield passes_s, heads_s
    finally:
        for patch in patches:
            patch.stop()


def _clocked(function: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        begun_s = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds.append(time.perf_counter() - begun_s)

    return call


def _found(name: str) -> Callable[..., Any]:
    import importlib

    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)
