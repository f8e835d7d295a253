"""How long a pass takes: fitted to passes that were measured, or by the arithmetic of a card that is not here.

Measured: milliseconds = one pass + each sequence in it + each row + each pair of row and key, none below zero (least
squares; the slowest tenth, when something else had the processor, is left out and the rest fitted again), times a ratio
drawn from those that were measured, for a 95th percentile is made of slow passes. Arithmetic:
the larger of bytes / bandwidth and operations / peak of the data sheet, times what a measured step takes beyond that
limit, and what the host does for a pass and its sequences, measured here. Left out: pieces that overlap (host and
device at once), caches of the processor.
"""

import random
from bisect import bisect
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from benchmarks.queue_simulation import Pass

if TYPE_CHECKING:
    from model.network.config import NetworkConfig

SLOW_SHARE = 0.1
NEAR, MIN_NEIGHBOURS = 1.25, 20
BEYOND_LIMIT = 1.25
"""The bar of benchmarks/roofline.py for a whole step on the device."""
BYTES = 2  # a weight, key or value in bf16


class Timed(NamedTuple):
    """A measured pass and its parts."""

    ms: float
    parts: tuple[Pass, ...]


class Fitted(msgspec.Struct, frozen=True):
    """Milliseconds of each."""

    one_pass: float
    sequence: float
    row: float
    row_key: float

    def pass_ms(self, parts: Sequence[Pass]) -> float:
        _, sequences, rows, row_keys = _features(parts)
        return self.one_pass + self.sequence * sequences + self.row * rows + self.row_key * row_keys


class Scattered:
    """Fitted times as they were measured: each times the ratio that one of its neighbours had, drawn with a fixed seed.

    Neighbours are passes of about the same fitted time: an interruption that makes a short pass ten times as long adds
    little to a long one.
    """

    def __init__(self, fitted: Fitted, timed: Sequence[Timed], more_ms: float = 0.0) -> None:
        """more_ms: what each pass takes besides."""
        self._fitted, self._more_ms = fitted, more_ms
        found = sorted((max(1e-9, fitted.pass_ms(one.parts)), one.ms) for one in timed)
        self._fitted_ms = [fitted_ms for fitted_ms, _ in found]
        self._ratios = [ms / fitted_ms for fitted_ms, ms in found]
        self._rng = random.Random(0)

    def pass_ms(self, parts: Sequence[Pass]) -> float:
        fitted_ms = self._fitted.pass_ms(parts)
        low, high = (bisect(self._fitted_ms, fitted_ms * near) for near in (1 / NEAR, NEAR))
        if high - low < MIN_NEIGHBOURS:  # a size that hardly occurred
            low = max(0, min((low + high - MIN_NEIGHBOURS) // 2, len(self._ratios) - MIN_NEIGHBOURS))
            high = low + MIN_NEIGHBOURS
        return self._more_ms + fitted_ms * self._rng.choice(self._ratios[low:high])


class Card(msgspec.Struct, frozen=True):
    """Data sheet: bytes and dense bf16 operations a second, bytes of memory."""

    name: str
    bytes_per_s: float
    operations_per_s: float
    memory_bytes: float


class Arithmetic(msgspec.Struct, frozen=True):
    """A network on a card. host_ms: of a pass, and of each sequence in it."""

    card: Card
    weight_bytes: int
    key_bytes: int
    layer_operations: int
    head_operations: int
    row_key_operations: int
    host_ms: tuple[float, float]

    def pass_ms(self, parts: Sequence[Pass]) -> float:
        keys = sum(part.num_keys + part.num_ahead + part.num_rows for part in parts)
        _, sequences, rows, row_keys = _features(parts)
        num_labels = sum(part.num_rows for part in parts)  # what only runs ahead needs no head
        reading_s = (self.weight_bytes + self.key_bytes * keys) / self.card.bytes_per_s
        operations = self.layer_operations * rows + self.head_operations * num_labels
        working_s = (operations + self.row_key_operations * row_keys) / self.card.operations_per_s
        device_ms = 1000 * BEYOND_LIMIT * max(reading_s, working_s)
        return device_ms + self.host_ms[0] + self.host_ms[1] * sequences


def arithmetic(config: "NetworkConfig", card: Card, host_ms: tuple[float, float]) -> Arithmetic:
    from benchmarks.arithmetic import num_operations, num_weights

    row = num_operations(config, 1, -1)  # without the keys
    head = 2 * config.vocab_size * config.d_model
    return Arithmetic(
        card,
        BYTES * num_weights(config),
        2 * BYTES * config.num_layers * config.num_kv_heads * config.d_head,
        row - head,
        head,
        num_operations(config, 1, 0) - row,
        host_ms,
    )


def fit(timed: Sequence[Timed]) -> Fitted:
    """Of at least two shapes. Measured and fitted times are compared as ratios, so that short passes count as well."""
    features = np.array([_features(one.parts) for one in timed])
    ms = np.array([one.ms for one in timed])
    found = _non_negative(features / ms[:, None], np.ones(len(ms)))
    kept = np.argsort(ms / np.maximum(features @ found, 1e-9))[: max(2, round(len(ms) * (1 - SLOW_SHARE)))]
    return Fitted(*_non_negative(features[kept] / ms[kept, None], np.ones(len(kept))).tolist())


def _features(parts: Sequence[Pass]) -> tuple[float, float, float, float]:
    rows = [part.num_ahead + part.num_rows for part in parts]
    row_keys = sum(n * (part.num_keys + n) for n, part in zip(rows, parts, strict=True))
    return 1.0, float(len(parts)), float(sum(rows)), float(row_keys)


def _non_negative(features: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Least squares without negative numbers: what would be one is left out, and the rest solved again."""
    used = list(range(features.shape[1]))
    found = np.zeros(features.shape[1])
    while used:
        solved, *_ = np.linalg.lstsq(features[:, used], wanted, rcond=None)
        if solved.min() >= 0:
            found[used] = solved
            return found
        used.pop(int(solved.argmin()))
    return found
