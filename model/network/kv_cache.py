"""A preallocated cache of keys and values, each batch element with its own length.

Source: the usual decoder cache; rows behind a length are scratch space of one_pass.py and never count. Left out: pages
(paged_cache.py) and sharing between requests (the engine's prefix cache copies rows out and in with `read`, `write`).

Shapes: L layers, B batch, G key-value heads, S allocated rows, K features of a head.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.network.config import NetworkConfig

if TYPE_CHECKING:
    from model.network.paged_runner import PagedRunner

MIN_CAPACITY = 64


class KVCache:
    """`k_LBGSK` and `v_LBGSK` hold the rows; `lengths_B` (int64, always on the CPU, so that reading it never waits for
    a device) tells how many of them count. Allocated rows are zero, so scratch space never holds NaN. `runner` runs the
    passes over rows in pages.
    """

    runner: "PagedRunner | None" = None

    def __init__(
        self,
        config: NetworkConfig,
        *,
        batch_size: int = 1,
        capacity: int = 1024,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (config.num_layers, batch_size, config.num_kv_heads, max(capacity, MIN_CAPACITY), config.d_head)
        self.config = config
        self.k_LBGSK = torch.zeros(shape, device=device, dtype=dtype)
        self.v_LBGSK = torch.zeros(shape, device=device, dtype=dtype)
        self.lengths_B = torch.zeros(batch_size, dtype=torch.int64)
        self.num_pending_B: list[int] | None = None  # clean rows that the last pass wrote and `advance` may count

    @property
    def batch_size(self) -> int:
        return self.k_LBGSK.shape[1]

    @property
    def capacity(self) -> int:
        return self.k_LBGSK.shape[3]

    @property
    def size_bytes(self) -> int:
        return 2 * self.k_LBGSK.numel() * self.k_LBGSK.element_size()

    @property
    def tokens_device(self) -> torch.device:
        """Where a pass wants its tokens."""
        return self.k_LBGSK.device

    def reserve(self, num_rows: int) -> None:
        """Make room for `num_rows` rows in all, at least doubling when more is needed; contents are kept."""
        if num_rows <= self.capacity:
            return
        num_more = max(2 * self.capacity, num_rows) - self.capacity
        self.k_LBGSK = torch.nn.functional.pad(self.k_LBGSK, (0, 0, 0, num_more))
        self.v_LBGSK = torch.nn.functional.pad(self.v_LBGSK, (0, 0, 0, num_more))

    def advance(self, num_B: int | Sequence[int] | Tensor) -> None:
        """Make the first `num_B` clean rows that the last one_pass wrote count (one number, or one a batch element)."""
        num = _per_element(num_B, self.batch_size)
        pending = self.num_pending_B
        assert pending is not None, "advance() without a pass before it"
        assert all(0 <= n <= p for n, p in zip(num, pending, strict=True)), f"advance {num} of {pending} written rows"
        self.lengths_B += torch.tensor(num)
        self.num_pending_B = None

    def truncate(self, lengths_B: int | Sequence[int] | Tensor) -> None:
        """Drop the end: keep the first `lengths_B` rows (never more than there are)."""
        lengths = _per_element(lengths_B, self.batch_size)
        now = self.lengths_B.tolist()
        assert all(0 <= n <= m for n, m in zip(lengths, now, strict=True)), f"truncate {now} to {lengths}"
        self.lengths_B = torch.tensor(lengths)
        self.num_pending_B = None

    def release(self) -> None:
        """Ends its use: what it took from others goes back to them. Memory of its own goes with it."""

    def fork(self, batch_size: int) -> "KVCache":
        """A new cache whose `batch_size` elements all start with a copy of this cache's only element."""
        assert self.batch_size == 1, "fork() copies a cache of batch 1"
        return KVCache.join([self] * batch_size)

    @staticmethod
    def join(caches: "Sequence[KVCache]") -> "KVCache":
        """One cache with the batch elements of all `caches` in order, rows copied."""
        first = caches[0]
        lengths_B = torch.cat([cache.lengths_B for cache in caches])
        num_rows = int(lengths_B.max())
        joined = KVCache(
            first.config,
            batch_size=len(lengths_B),
            capacity=max(num_rows, first.capacity),
            device=first.k_LBGSK.device,
            dtype=first.k_LBGSK.dtype,
        )
        start = 0
        for cache in caches:
            stop, n = start + cache.batch_size, int(cache.lengths_B.max())
            joined.k_LBGSK[:, start:stop, :, :n] = cache.k_LBGSK[:, :, :, :n]
            joined.v_LBGSK[:, start:stop, :, :n] = cache.v_LBGSK[:, :, :, :n]
            start = stop
        joined.lengths_B = lengths_B
        return joined

    def pick(self, elements: Sequence[int]) -> "KVCache":
        """A new cache with the chosen batch elements, rows copied."""
        index = torch.tensor(list(elements))
        picked = KVCache(
            self.config,
            batch_size=len(index),
            capacity=self.capacity,
            device=self.k_LBGSK.device,
            dtype=self.k_LBGSK.dtype,
        )
        n = int(self.lengths_B.max())
        picked.k_LBGSK[:, :, :, :n] = self.k_LBGSK[:, index.to(self.k_LBGSK.device), :, :n]
        picked.v_LBGSK[:, :, :, :n] = self.v_LBGSK[:, index.to(self.k_LBGSK.device), :, :n]
        picked.lengths_B = self.lengths_B[index]
        return picked

    def read(self, element: int, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Copies of rows start..stop of one batch element: k and v, each (L, G, stop − start, K)."""
        assert 0 <= start <= stop <= int(self.lengths_B[element])
        return self.k_LBGSK[:, element, :, start:stop].clone(), self.v_LBGSK[:, element, :, start:stop].clone()

    def write(self, element: int, k_LGNK: Tensor, v_LGNK: Tensor) -> None:
        """Append N rows that `read` once gave to one batch element; they count at once."""
        start = int(self.lengths_B[element])
        stop = start + k_LGNK.shape[2]
        self.reserve(stop)
        self.k_LBGSK[:, element, :, start:stop] = k_LGNK
        self.v_LBGSK[:, element, :, start:stop] = v_LGNK
        self.lengths_B[element] = stop
        self.num_pending_B = None


def _per_element(num: int | Sequence[int] | Tensor, batch_size: int) -> list[int]:
    if isinstance(num, int):
        return [num] * batch_size
    values = [int(n) for n in num]
    assert len(values) == batch_size, f"{len(values)} numbers for {batch_size} batch elements"
    return values
