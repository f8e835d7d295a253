"""The counts of a step against the network's own parameters and a count by hand."""

import torch

from benchmarks.arithmetic import bandwidth_per_s, num_bytes, num_operations, num_weights, peak_per_s
from model.network.config import small_9m, tiny_test
from model.network.transformer import Transformer


def test_counts_the_matrices_of_a_network() -> None:
    for config in (tiny_test(), small_9m()):
        with torch.device("meta"):
            network = Transformer(config)
        matrices = sum(p.numel() for name, p in network.named_parameters() if p.ndim == 2 and name != "state_table")
        assert num_weights(config) == matrices


def test_operations_and_bytes_of_a_step() -> None:
    config = tiny_test()
    num_scores = config.num_layers * config.num_heads * 3 * 13
    assert num_operations(config, 3, 10) == 2 * 3 * num_weights(config) + 2 * 2 * num_scores * config.d_head
    cached = 2 * config.num_layers * config.num_kv_heads * config.d_head * 13
    assert num_bytes(config, 3, 10, torch.bfloat16) == 2 * (num_weights(config) + cached)


def test_rates_are_measured(monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.arithmetic.PEAK_SIZES", (32,))
    assert peak_per_s(torch.float32) > 0
    assert bandwidth_per_s(1 << 16) > 0
