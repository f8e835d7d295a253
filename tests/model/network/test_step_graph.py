"""The graph that is compiled against the eager pass, not compiled: fp32, every layout of new rows it must serve."""

import msgspec
import pytest
import torch

from model.network.compiled import MAX_ROWS, CompiledLayers
from model.network.config import tiny_test
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.network.step_graph import StepGraph
from model.network.transformer import Transformer


class Uncompiled:
    """Runs the graph as it is and counts how often."""

    def __init__(self, network: Transformer) -> None:
        self._graph = StepGraph(network)
        self.num_calls = 0

    def run(self, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        self.num_calls += 1
        return list(self._graph(*inputs))


def passes(network: Transformer) -> list[torch.Tensor]:
    """Hidden rows of each kind of pass behind 20 cached rows, and all rows that are then cached."""
    generator = torch.Generator().manual_seed(5)

    def draw(num: int) -> torch.Tensor:
        return torch.randint(64, 512, (1, num), generator=generator)

    def noisy(num: int) -> Rows:
        return Rows(draw(num), torch.randint(1, 4, (1, num), generator=generator))

    with torch.inference_mode():
        cache = KVCache(network.config)
        one_pass(network, cache, Rows(draw(20)), None, want_clean=0)
        cache.advance(20)
        found = [one_pass(network, cache, None, noisy(7))[1]]
        found += one_pass(network, cache, Rows(draw(3)), noisy(6))
        cache.advance(3)
        found.append(one_pass(network, cache, Rows(draw(4)), noisy(5), want_clean=0)[1])
        cache.advance(4)
        found.append(one_pass(network, cache, Rows(draw(1)), None)[0])
        cache.advance(1)
        found.append(one_pass(network, cache, Rows(draw(6)), None)[0])
        cache.advance(2)
        found += one_pass(network, cache, Rows(draw(5)), noisy(4), want_clean=3)
        return [*(rows for rows in found if rows is not None), *cache.read(0, 0, 30)]


@pytest.mark.parametrize("changes", [{}, {"num_kv_heads": 1, "qk_norm": False, "qkv_bias": True}])
def test_gives_the_rows_of_the_eager_pass(make_network, changes: dict[str, int]) -> None:
    network = make_network(msgspec.structs.replace(tiny_test(), **changes))
    wanted = passes(network)
    graph = Uncompiled(network)
    network.compiled = CompiledLayers(graph, torch.float32)
    got = passes(network)
    assert graph.num_calls == 6
    for one, other in zip(wanted, got, strict=True):
        torch.testing.assert_close(other, one, atol=1e-5, rtol=1e-5)


def test_serves_one_canvas_of_few_rows_behind_a_cache(tiny_network: Transformer) -> None:
    compiled = CompiledLayers(Uncompiled(tiny_network), torch.float32)
    x_1TD, mask_1TS = torch.zeros(1, 8, 48), torch.zeros(1, 8, 128)
    assert compiled.serves(x_1TD, 100, mask_1TS)
    assert not compiled.serves(x_1TD, 0, mask_1TS)
    assert not compiled.serves(x_1TD, torch.arange(8).unsqueeze(0), mask_1TS)
    assert not compiled.serves(x_1TD, 100, None)
    assert not compiled.serves(x_1TD[:, :1], 100, mask_1TS[:, :1])
    assert not compiled.serves(x_1TD.bfloat16(), 100, mask_1TS)
    assert not compiled.serves(torch.zeros(2, 8, 48), 100, mask_1TS)
    assert not compiled.serves(torch.zeros(1, MAX_ROWS + 8, 48), 100, mask_1TS)
