"""The least time that one step can take on this processor: its arithmetic, its bytes, and how fast both go here.

The limit is the larger of operations / peak and bytes / bandwidth. Both rates are measured in the same process with the
same threads and number format: the peak as the best of many large matrix products, the bandwidth as the best read of a
buffer of exactly the step's size, repeated, so that weights which fit the last cache are not charged to the memory.
Left out: everything between the products (norms, angles, soft-max), which is what the ratio is there to show.
"""

import time
from collections.abc import Callable

import torch

from model.network.config import NetworkConfig

PEAK_SIZES = (512, 1024, 2048)
PROBES = 12


def num_weights(config: NetworkConfig) -> int:
    """Weights that every row is multiplied with: the matrices of the layers, and the head."""
    heads = (2 * config.num_heads + 2 * config.num_kv_heads) * config.d_head
    return config.num_layers * config.d_model * (heads + 3 * config.d_ff) + config.vocab_size * config.d_model


def num_operations(config: NetworkConfig, num_rows: int, num_cached: int) -> int:
    """Multiplications and additions of one step over `num_cached` rows, head of all rows included."""
    attention = 4 * config.num_layers * config.num_heads * config.d_head * num_rows * (num_cached + num_rows)
    return 2 * num_weights(config) * num_rows + attention


def num_bytes(config: NetworkConfig, num_rows: int, num_cached: int, dtype: torch.dtype) -> int:
    """Weights, keys and values that one step must read."""
    keys_values = 2 * config.num_layers * config.num_kv_heads * config.d_head * (num_cached + num_rows)
    return (num_weights(config) + keys_values) * dtype.itemsize


def peak_per_s(dtype: torch.dtype) -> float:
    """Operations a second of the best large product with packed weights, or with plain ones where that is faster."""
    best = 0.0
    for size in PEAK_SIZES:
        a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
        products: list[Callable[[], object]] = [lambda a=a, b=b: a @ b]
        if torch.backends.mkldnn.is_available():
            packed = torch.ops.mkldnn._reorder_linear_weight(b, size)
            products.append(
                lambda a=a, packed=packed: torch.ops.mkldnn._linear_pointwise(a, packed, None, "none", [], "")
            )
        for product in products:
            best = max(best, 2 * size**3 / best_s(product, PROBES))
    return best


def bandwidth_per_s(size_bytes: int) -> float:
    """Bytes a second of reading a buffer of this size again and again."""
    buffer = torch.ones(size_bytes // 4)
    return size_bytes / best_s(lambda: buffer.sum(), 4 * PROBES)


def best_s(run: Callable[[], object], num_runs: int) -> float:
    """The shortest of `num_runs` runs; two more before them do not count."""
    times_s = []
    for _ in range(num_runs + 2):
        begun_s = time.perf_counter()
        run()
        times_s.append(time.perf_counter() - begun_s)
    return min(times_s[2:])
