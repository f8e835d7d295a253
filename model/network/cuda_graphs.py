"""Passes over pages in a few sizes, each with static buffers and, on a GPU, a graph that is captured once and replayed.

Source: CUDA graphs as PyTorch has them (torch.cuda.graph), one for each pair of a width and a batch size: a step of few
rows is some three hundred launches, which take longer to issue than to run. A wider pass (a prompt's) or a larger batch
is run as it is. What differs from pass to pass travels in
one copy of whole numbers from pinned memory; the host waits for nothing. Without a GPU, or with reference operations
(which wait for the device), the same body runs as it is. Left out: which sequences run together (the scheduler), and
what is read from the rows (the body).

Shapes: B sequences, T new rows of each, M pages of a table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from model.network.paged import PAGE_ROWS, PagedNetwork, PassInputs

WIDTHS = (1, 16, 32, 64, 128)
BATCHES = (1, 2, 4, 8, 16, 32)
NUM_WARMING = 3
"""Passes before a capture: Triton compiles and the libraries take their workspaces in the first."""

Outputs = TypeVar("Outputs")


@dataclass(frozen=True)
class SequencePart:
    """One sequence's share of a pass: new rows, clean ones first, behind `num_cached` rows in `pages`."""

    tokens: Sequence[int]
    states: Sequence[int]
    num_clean: int
    num_cached: int
    pages: Sequence[int]


class Graphs(Generic[Outputs]):
    """`body` computes what a pass is wanted for from its inputs, on the device and without waiting for it.

    The outputs of `run` may be a graph's own buffers: the next pass overwrites them.
    """

    def __init__(self, network: PagedNetwork, body: Callable[[PassInputs], Outputs]) -> None:
        self._network, self._body = network, body
        self._device = network.network.embed.weight.device
        self._captures = self._device.type == "cuda" and network.ops.kind == "triton"
        self._num_pages = -(-network.max_rows // PAGE_ROWS)
        self._sizes: dict[tuple[int, int], _Size[Outputs]] = {}
        self._memory = torch.cuda.graph_pool_handle() if self._captures else None

    @torch.inference_mode()
    def run(self, parts: Sequence[SequencePart]) -> Outputs:
        """One pass; its width and batch are rounded up to the next size."""
        width = _round_up(max(len(part.tokens) for part in parts), WIDTHS)
        batch = _round_up(len(parts), BATCHES)
        size = self._size(width, batch)
        size.fill(_packed(parts, width, batch, self._num_pages))
        return size.replay()

    @torch.inference_mode()
    def prepare(self, width: int, batch: int) -> None:
        """Captures a size before it is asked for."""
        self._size(width, batch)

    def _size(self, width: int, batch: int) -> "_Size[Outputs]":
        if width > WIDTHS[-1] or batch > BATCHES[-1]:
            return self._make(width, batch, captures=False)
        if (width, batch) not in self._sizes:
            self._sizes[width, batch] = self._make(width, batch, captures=self._captures)
        return self._sizes[width, batch]

    def _make(self, width: int, batch: int, *, captures: bool) -> "_Size[Outputs]":
        numbers = torch.zeros(_num_numbers(width, batch, self._num_pages), dtype=torch.int32, device=self._device)
        inputs = _views(numbers, width, batch, self._num_pages)
        if not captures:
            return _Size(numbers, lambda: self._body(inputs))
        return _Size(numbers, captured(lambda: self._body(inputs), self._device, self._memory))


def captured(body: Callable[[], Outputs], device: torch.device, memory: Any = None) -> Callable[[], Outputs]:
    """What replays `body`, captured on a CUDA device. It runs a few times before; `memory` is shared between graphs of
    which only one runs at a time.
    """
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(NUM_WARMING):
            body()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=memory):
        outputs = body()

    def replay() -> Outputs:
        graph.replay()
        return outputs

    return replay


@dataclass(frozen=True)
class _Size(Generic[Outputs]):
    """Static inputs of one width and batch, all in `numbers`, and what runs the pass on them."""

    numbers: Tensor
    replay: Callable[[], Outputs]

    def fill(self, values: list[int]) -> None:
        is_cuda = self.numbers.is_cuda
        # A fresh pinned tensor each time: the allocator keeps it until the copy is done, so nobody need wait.
        self.numbers.copy_(torch.tensor(values, dtype=torch.int32, pin_memory=is_cuda), non_blocking=is_cuda)


def _round_up(num: int, sizes: Sequence[int]) -> int:
    """The next size; above the largest, where nothing is captured, the next multiple of its half: Triton compiles
    anew for few numbers of rows only.
    """
    step = max(1, sizes[-1] // 2)
    return next((size for size in sizes if size >= num), -(-num // step) * step)


def _num_numbers(width: int, batch: int, num_pages: int) -> int:
    return batch * (2 * width + num_pages + 3)


def _packed(parts: Sequence[SequencePart], width: int, batch: int, num_pages: int) -> list[int]:
    """All inputs of a pass one behind the other, in the order of `_views`."""
    missing = batch - len(parts)

    def padded(rows: Sequence[Sequence[int]], length: int) -> list[int]:
        return [value for row in rows for value in (*row, *[0] * (length - len(row)))] + [0] * (missing * length)

    return [
        *padded([part.tokens for part in parts], width),
        *padded([part.states for part in parts], width),
        *padded([part.pages for part in parts], num_pages),
        *padded([[part.num_cached] for part in parts], 1),
        *padded([[part.num_clean] for part in parts], 1),
        *padded([[len(part.tokens)] for part in parts], 1),
    ]


def _views(numbers: Tensor, width: int, batch: int, num_pages: int) -> PassInputs:
    tokens, states, table, cached, num_clean, num_rows = numbers.split(
        [batch * width, batch * width, batch * num_pages, batch, batch, batch]
    )
    return PassInputs(
        tokens.view(batch, width),
        states.view(batch, width),
        table.view(batch, num_pages),
        cached,
        num_clean,
        num_rows,
    )
