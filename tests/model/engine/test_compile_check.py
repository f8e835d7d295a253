"""The comparison of compiled with eager layers, on graphs that are right, wrong and not finite."""

import math

import torch

from model.engine.compile_check import largest_difference, tolerance
from model.network.compiled import CompiledLayers
from model.network.config import tiny_test
from model.network.step_graph import StepGraph
from model.network.transformer import Transformer


class Uncompiled:
    """Runs the graph of a network as it is; the hidden rows times `scale`."""

    def __init__(self, network: Transformer, scale: float = 1.0) -> None:
        self._graph, self._scale = StepGraph(network), scale

    def run(self, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        hidden, keys, values = self._graph(*inputs)
        return [hidden * self._scale, keys, values]


def difference(network: Transformer, graph: Uncompiled) -> float:
    return largest_difference(network, CompiledLayers(graph, torch.float32))


def test_the_same_layers_agree(tiny_network) -> None:
    assert difference(tiny_network, Uncompiled(tiny_network)) < 1e-5
    assert tiny_network.compiled is None


def test_other_weights_do_not(tiny_network, make_network) -> None:
    assert difference(tiny_network, Uncompiled(make_network(tiny_test(), seed=1))) > tolerance(torch.bfloat16)


def test_a_small_error_is_seen(tiny_network) -> None:
    assert tolerance(torch.float32) < difference(tiny_network, Uncompiled(tiny_network, 1.01)) < 0.02


def test_nan_is_no_agreement(tiny_network) -> None:
    found = difference(tiny_network, Uncompiled(tiny_network, math.nan))
    assert not found <= tolerance(torch.bfloat16)
