"""The compiled layers of a network, loaded from a library on the disk, as one_pass.py calls them.

Source: ahead-of-time compilation by PyTorch's Inductor; loading and running its library needs no compiler and imports
nothing. It serves what an editor asks for, one canvas and a few rows; everything else runs eagerly. Left out: making
the library (step_graph.py, model/engine/compile_worker.py), and deciding when to use it (model/engine/compiling.py).

Shapes: B batch (here 1), T new rows, S all keys, C rows of the cache, L layers, G key-value heads, K features a head.
"""

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

MAX_ROWS = 128
MIN_ROWS, MIN_CACHED = 2, 2  # sizes 0 and 1 are cases of their own for the compiler, so it was told there are none


class Graph(Protocol):
    """Takes the tensors that StepGraph takes, gives those it gives."""

    def run(self, inputs: list[Tensor]) -> list[Tensor]: ...


def load_compiled(library: Path, dtype: torch.dtype) -> "CompiledLayers":
    """`dtype` is the network's. Raises RuntimeError when the library cannot be loaded."""
    from torch._C._aoti import AOTIModelContainerRunnerCpu

    return CompiledLayers(AOTIModelContainerRunnerCpu(str(library), 1), dtype)


class CompiledLayers:
    """Not thread-safe with one cache; several threads may run it over caches of their own."""

    def __init__(self, graph: Graph, dtype: torch.dtype) -> None:
        self._graph, self._dtype = graph, dtype

    def serves(self, x_BTD: Tensor, rows: int | Tensor, mask_BTS: Tensor | None) -> bool:
        """Whether `run` may be called for these rows; `rows` as in rope_kv_write."""
        return (
            x_BTD.shape[0] == 1
            and MIN_ROWS <= x_BTD.shape[1] <= MAX_ROWS
            and isinstance(rows, int)
            and rows >= MIN_CACHED
            and mask_BTS is not None
            and x_BTD.dtype == self._dtype
        )

    def run(
        self,
        x_1TD: Tensor,
        turns_1T2K: Tensor,
        k_L1GCK: Tensor,
        v_L1GCK: Tensor,
        num_cached: int,
        mask_1TS: Tensor,
    ) -> Tensor:
        """The hidden rows (1, T, D) after the final norm; writes keys and values of the rows into the cache.

        The columns of the additive mask are rows of the cache: cached ones, then the new ones, then perhaps more, which
        no row that matters sees.
        """
        end = num_cached + x_1TD.shape[1]
        mask_TS = mask_1TS[0]
        if mask_TS.shape[1] > end:  # the graph takes the new keys last
            mask_TS = torch.cat((mask_TS[:, :num_cached], mask_TS[:, end:], mask_TS[:, num_cached:end]), dim=1)
        k_LGCK, v_LGCK = k_L1GCK[:, 0], v_L1GCK[:, 0]
        hidden_TD, k_LGTK, v_LGTK = self._graph.run([x_1TD[0], turns_1T2K[0], k_LGCK, v_LGCK, mask_TS])
        k_LGCK[:, :, num_cached:end] = k_LGTK
        v_LGCK[:, :, num_cached:end] = v_LGTK
        return hidden_TD.unsqueeze(0)
