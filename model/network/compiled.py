"""The compiled layers of a network, loaded from a library on the disk, as one_pass.py calls them.

Source: ahead-of-time compilation by PyTorch's Inductor; loading and running its library needs no compiler and imports
nothing. It serves what an editor asks for, one canvas and a few rows; everything else runs eagerly. Left out: making
the library (step_graph.py, model/engine/compile_worker.py), and deciding when to use it (model/engine/compiling.py).

Shapes: B batch (here 1), T new rows, S all keys, C rows of the cache, L layers, G key-value heads, K features a head.
"""

from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_ROWS = 128
MIN_ROWS, MIN_CACHED = 2, 2  # sizes 0 and 1 are cases of their own for the compiler, so it was told there are none
NEVER = float("-inf")


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

    def serves(self, x_BTD: Tensor, num_cached: int, num_keys: int) -> bool:
        """Whether `run` may be called for new rows that stand consecutively behind `num_cached` ones."""
        num_rows = x_BTD.shape[1]
        return (
            x_BTD.shape[0] == 1
            and num_rows <= MAX_ROWS
            and num_cached >= MIN_CACHED
            and num_keys == num_cached + num_rows
            and x_BTD.dtype == self._dtype
        )

    def run(
        self,
        x_1TD: Tensor,
        turns_1T2K: Tensor,
        k_L1GCK: Tensor,
        v_L1GCK: Tensor,
        num_cached: int,
        mask_1TS: Tensor | None,
    ) -> Tensor:
        """The hidden rows (1, T, D) after the final norm; writes keys and values of the rows into the cache.

        `mask_1TS` is additive, None = every key is visible.
        """
        num_rows = x_1TD.shape[1]
        num_keys = num_cached + num_rows
        mask_TS = x_1TD.new_zeros(num_rows, num_keys) if mask_1TS is None else mask_1TS[0]
        x_TD, turns_T2K = x_1TD[0], turns_1T2K[0]
        num_more = MIN_ROWS - num_rows
        if num_more > 0:
            # The further rows see everything and are seen by nobody.
            mask_TS = F.pad(F.pad(mask_TS, (0, num_more), value=NEVER), (0, 0, 0, num_more))
            x_TD = F.pad(x_TD, (0, 0, 0, num_more))
            turns_T2K = F.pad(turns_T2K, (0, 0, 0, 0, 0, num_more))
        k_LGCK, v_LGCK = k_L1GCK[:, 0], v_L1GCK[:, 0]
        hidden_TD, k_LGTK, v_LGTK = self._graph.run([x_TD, turns_T2K, k_LGCK, v_LGCK, mask_TS.contiguous()])
        k_LGCK[:, :, num_cached:num_keys] = k_LGTK[:, :, :num_rows]
        v_LGCK[:, :, num_cached:num_keys] = v_LGTK[:, :, :num_rows]
        return hidden_TD[:num_rows].unsqueeze(0)
