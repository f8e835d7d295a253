"""A sequence's keys and values in pages of a pool that all sequences share, with the interface of KVCache.

Source: paged.py. Rows are written by passes over pages (paged_runner.py), which know this cache by its `runner`; here
they are counted, copied in and out for the prefix cache, and their pages taken and given back. Left out: sharing pages
between sequences (what several prompts share is copied, as it is without pages), batches.

Shapes: L layers, P pages, G key-value heads, W rows of a page, K features of a head, N rows.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.network.kv_cache import KVCache
from model.network.paged import PAGE_ROWS, PagePool

if TYPE_CHECKING:
    from model.network.paged_runner import PagedRunner


class PagedCache(KVCache):
    """Batch 1. `pages` hold rows 0, W, 2W, ...; it takes more as it grows, up to `capacity` rows, and gives back what
    `truncate` leaves empty. After `release` it must not be used.
    """

    def __init__(self, runner: "PagedRunner") -> None:
        # Not KVCache's: there is no tensor of this cache alone.
        self.config = runner.network.config
        self.runner = runner
        self.pages: list[int] = []
        self.lengths_B = torch.zeros(1, dtype=torch.int64)
        self.num_pending_B = None

    @property
    def _pool(self) -> PagePool:
        assert self.runner is not None
        return self.runner.pool

    @property
    def batch_size(self) -> int:
        return 1

    @property
    def capacity(self) -> int:
        assert self.runner is not None
        return self.runner.max_rows

    @property
    def size_bytes(self) -> int:
        """Of the pages that it holds now."""
        pool = self._pool
        return 2 * len(self.pages) * pool.k_LPGWK[:, :1].numel() * pool.k_LPGWK.element_size()

    @property
    def tokens_device(self) -> torch.device:
        """The host: all that a pass needs goes to the device in one copy."""
        return torch.device("cpu")

    def reserve(self, num_rows: int) -> None:
        assert num_rows <= self.capacity, f"{num_rows} rows, and a table names pages of {self.capacity}"
        more = self._pool.take(max(0, num_rows - len(self.pages) * PAGE_ROWS))
        assert more is not None, "more sequences run than there are pages for"
        self.pages += more

    def truncate(self, lengths_B: int | Sequence[int] | Tensor) -> None:
        super().truncate(lengths_B)
        num_pages = -(-int(self.lengths_B[0]) // PAGE_ROWS)
        self._pool.give_back(self.pages[num_pages:])
        del self.pages[num_pages:]

    def release(self) -> None:
        self.truncate(0)

    def fork(self, batch_size: int) -> "PagedCache":
        assert batch_size == 1, "in pages each sequence has a cache of its own"
        assert self.runner is not None
        forked, pool, length = PagedCache(self.runner), self._pool, int(self.lengths_B[0])
        forked.reserve(length)
        forked.lengths_B = self.lengths_B.clone()
        theirs = self.pages[: len(forked.pages)]
        for rows_LPGWK in (pool.k_LPGWK, pool.v_LPGWK):
            rows_LPGWK[:, forked.pages] = rows_LPGWK[:, theirs]
        return forked

    def read(self, element: int, start: int, stop: int) -> tuple[Tensor, Tensor]:
        assert element == 0
        assert 0 <= start <= stop <= int(self.lengths_B[0])
        page_N, row_N = self._places(start, stop)
        k_LNGK, v_LNGK = (rows_LPWGK[:, page_N, row_N] for rows_LPWGK in self._rows())
        return k_LNGK.transpose(1, 2).contiguous(), v_LNGK.transpose(1, 2).contiguous()

    def write(self, element: int, k_LGNK: Tensor, v_LGNK: Tensor) -> None:
        assert element == 0
        start = int(self.lengths_B[0])
        stop = start + k_LGNK.shape[2]
        self.reserve(stop)
        page_N, row_N = self._places(start, stop)
        for rows_LPWGK, new_LGNK in zip(self._rows(), (k_LGNK, v_LGNK), strict=True):
            rows_LPWGK[:, page_N, row_N] = new_LGNK.transpose(1, 2)
        self.lengths_B[0] = stop
        self.num_pending_B = None

    def _places(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """The pages of rows start..stop, and their rows in these."""
        index_N = torch.arange(start, stop)
        return torch.tensor(self.pages, dtype=torch.int64)[index_N // PAGE_ROWS], index_N % PAGE_ROWS

    def _rows(self) -> tuple[Tensor, Tensor]:
        """Keys and values of the pool as (L, P, W, G, K)."""
        return self._pool.k_LPGWK.transpose(2, 3), self._pool.v_LPGWK.transpose(2, 3)
