"""Keys and values of prompts in a radix tree over token ids, so that a keystroke re-runs only the tokens that changed.

Source: the radix prefix cache of SGLang (Zheng et al., arXiv 2312.07104). The clean stream is causal, so a row depends
on the tokens up to it alone and may be reused whatever follows; what several prompts share is stored once. Of a network
whose rows see their whole unit only whole units are lent and kept; of one in which every row sees every row nothing.

Attention wants rows side by side in memory, so a request runs in a *working cache*, a KVCache that stays for the next
request: only rows that it lacks are copied in, only rows that the tree lacks are copied out. Typing in one place
therefore copies a handful of rows, however long the prompt is. What is known is known per *salt* (on a box with many
users, whose token it is): nobody learns from a fast answer what somebody else has sent. A working cache in pages
(model/network/paged_cache.py) is filled in the same way. Left out: pages that several sequences read, joining short
edges again.

Shapes: L layers, G key-value heads, N rows of an edge, K features of a head.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from model.network.config import NetworkConfig
from model.network.kv_cache import KVCache

MIN_BYTES = 64 * 2**20
NUM_PROMPTS = 4
MAX_EDGE_TOKENS = 64
"""Splitting an edge copies it, and edges are evicted whole: short enough that neither shows."""

Rows = tuple[Tensor, Tensor]
Key = int | tuple[int, ...]


class PrefixCache:
    """`lend` a working cache that already holds what is known of a prompt. Owned by one thread.

    The tree holds `max_bytes` at most; None is 64 MiB, or four prompts that fill `capacity` where that is more. The
    working cache comes on top. The counters are plain numbers, which any thread may read.
    """

    def __init__(
        self,
        config: NetworkConfig,
        *,
        capacity: int,
        device: torch.device | str,
        dtype: torch.dtype,
        max_bytes: int | None = None,
        new_cache: Callable[[], KVCache] | None = None,
    ) -> None:
        """new_cache: makes an empty working cache for `capacity` rows; None: one with rows of its own."""
        self._new_cache = new_cache or (lambda: KVCache(config, capacity=capacity, device=device, dtype=dtype))
        self._capacity = capacity
        self._unit = config.cache_unit if config.attention != "full" else 0
        row_bytes = self._row_bytes = 2 * config.num_layers * config.num_kv_heads * config.d_head * dtype.itemsize
        if max_bytes is None:
            max_bytes = max(MIN_BYTES, NUM_PROMPTS * capacity * row_bytes)
        self._tree = PrefixTree(max_bytes=max_bytes, row_bytes=row_bytes, unit=max(1, self._unit))
        # The last working cache, with the salt and the ids of its rows.
        self._idle: tuple[str, list[int], KVCache] | None = None
        self.num_prompt_tokens = 0
        self.num_hit_tokens = 0

    @property
    def size_bytes(self) -> int:
        return self._tree.size_bytes

    @property
    def working_bytes(self) -> int:
        """Size of one working cache."""
        return self._capacity * self._row_bytes

    @property
    def num_evicted_tokens(self) -> int:
        return self._tree.num_evicted_tokens

    @contextlib.contextmanager
    def lend(self, prompt_ids: Sequence[int], salt: str = "") -> Iterator[KVCache]:
        """A cache of batch 1 whose rows are those of the longest known prefix of `prompt_ids` (perhaps none).

        salt: only what was lent under the same one is known. At the end the rows of the prompt are kept, as many as
        there are by then; those of a canvas behind it are not.
        """
        ids = list(prompt_ids)
        path = self._tree.path(ids, salt) if self._unit else []
        lease = path[-1][0] if path else None
        cache = self._filled(ids, salt, path)
        self._tree.hold(lease)
        self.num_prompt_tokens += len(ids)
        self.num_hit_tokens += int(cache.lengths_B[0])
        try:
            yield cache
        finally:
            num_rows = self._num_whole(min(len(ids), int(cache.lengths_B[0])))
            cache.truncate(num_rows)
            if self._idle is not None:
                self._idle[2].release()
            self._idle = (salt, ids[:num_rows], cache)
            self._tree.release(lease)
            self._tree.add(ids[:num_rows], lambda start, stop: cache.read(0, start, stop), salt)

    def _filled(self, ids: list[int], salt: str, path: "list[tuple[Edge, int]]") -> KVCache:
        """The idle working cache or a new one, with the rows of `path` or more."""
        held_salt, held_ids, cache = self._idle or (salt, [], self._new_cache())
        self._idle = None  # whoever is lent a cache meanwhile gets another
        num_held = self._num_whole(common_prefix(held_ids, ids)) if held_salt == salt else 0
        cache.truncate(num_held)
        start = 0
        for edge, num_fitting in path:
            first = max(0, num_held - start)
            if first < num_fitting:
                cache.write(0, edge.k_LGNK[:, :, first:num_fitting], edge.v_LGNK[:, :, first:num_fitting])
            start += num_fitting
        return cache

    def _num_whole(self, num_rows: int) -> int:
        return num_rows // self._unit * self._unit if self._unit else 0


class Edge:
    """A run of ids with their rows, below the edge that ends where it begins (None: at a root).

    `siblings` holds it by its first unit. `num_leases` counts the leases on this edge and on everything below it.
    """

    __slots__ = ("children", "ids", "k_LGNK", "num_leases", "parent", "siblings", "v_LGNK")

    def __init__(
        self, ids: list[int], rows: Rows, parent: "Edge | None", siblings: "dict[Key, Edge]", num_leases: int
    ) -> None:
        self.ids = ids
        self.k_LGNK, self.v_LGNK = rows
        self.parent = parent
        self.siblings = siblings
        self.children: dict[Key, Edge] = {}
        self.num_leases = num_leases


class PrefixTree:
    """Rows by salt and path of ids. Never holds more than `max_bytes`; the edge used least recently, if not held, goes
    first. Paths part at multiples of `unit` only: where rows depend on all ids of their unit, two that begin alike
    share nothing.
    """

    def __init__(self, *, max_bytes: int, row_bytes: int, unit: int = 1) -> None:
        self.size_bytes = 0
        self.num_evicted_tokens = 0
        self._max_bytes = max_bytes
        self._row_bytes = row_bytes
        self._unit = unit
        self._roots: dict[str, dict[Key, Edge]] = {}  # by salt; as many as there are tokens
        # Least recently used first. A path is touched from its end to its start, so an edge always stands behind all
        # edges below it, and the first one that is not held is a leaf.
        self._order: OrderedDict[Edge, None] = OrderedDict()

    def path(self, ids: Sequence[int], salt: str = "") -> list[tuple[Edge, int]]:
        """The edges along `ids`, each with how many of its ids fit (at least one; all but for the last edge)."""
        path: list[tuple[Edge, int]] = []
        children, start = self._roots.get(salt, {}), 0
        while start < len(ids) and (edge := children.get(self._key(ids, start))) is not None:
            num_fitting = common_prefix(edge.ids, ids[start : start + len(edge.ids)]) // self._unit * self._unit
            path.append((edge, num_fitting))
            if num_fitting < len(edge.ids):
                break
            children, start = edge.children, start + num_fitting
        return path

    def _key(self, ids: Sequence[int], start: int) -> Key:
        return ids[start] if self._unit == 1 else tuple(ids[start : start + self._unit])

    def hold(self, edge: Edge | None) -> None:
        """Keeps this edge and those above it until `release`. None stands for the root, which always stays."""
        while edge is not None:
            edge.num_leases += 1
            edge = edge.parent

    def release(self, edge: Edge | None) -> None:
        while edge is not None:
            edge.num_leases -= 1
            edge = edge.parent

    def add(self, ids: Sequence[int], read: Callable[[int, int], Rows], salt: str = "") -> None:
        """Keeps the rows of `ids` (copies that `read(start, stop)` gives), as many as fit; the path becomes the newest.

        Called for what is known already it copies nothing. `ids` are whole units.
        """
        assert len(ids) % self._unit == 0, f"{len(ids)} ids are no whole units of {self._unit}"
        path = self.path(ids, salt)
        start = sum(num_fitting for _, num_fitting in path)
        end: Edge | None = None
        if path:
            end, num_fitting = path[-1]
            if num_fitting < len(end.ids) and start < len(ids):
                end = self._split(end, num_fitting)
        self.hold(end)
        try:
            while start < len(ids):
                stop = min(start + MAX_EDGE_TOKENS // self._unit * self._unit, len(ids))
                if not self._make_room((stop - start) * self._row_bytes):
                    return
                siblings = self._roots.setdefault(salt, {}) if end is None else end.children
                # Born with a lease: the one on `end` moves down with it.
                edge = Edge(list(ids[start:stop]), read(start, stop), end, siblings, num_leases=1)
                siblings[self._key(ids, start)] = edge
                self._order[edge] = None
                self.size_bytes += len(edge.ids) * self._row_bytes
                end, start = edge, stop
        finally:
            self.release(end)
            self._touch(end)

    def _touch(self, edge: Edge | None) -> None:
        while edge is not None:
            self._order.move_to_end(edge)
            edge = edge.parent

    def _split(self, edge: Edge, num_first: int) -> Edge:
        """Cuts an edge in two and gives the new upper one. Whoever held the edge now holds both."""
        k_LGNK, v_LGNK = edge.k_LGNK, edge.v_LGNK
        first = (k_LGNK[:, :, :num_first].clone(), v_LGNK[:, :, :num_first].clone())
        # Copies, not views: a view would keep the memory of the half that is evicted.
        edge.k_LGNK, edge.v_LGNK = k_LGNK[:, :, num_first:].clone(), v_LGNK[:, :, num_first:].clone()
        upper = Edge(edge.ids[:num_first], first, edge.parent, edge.siblings, edge.num_leases)
        edge.ids = edge.ids[num_first:]
        upper.siblings[self._key(upper.ids, 0)] = upper
        upper.children[self._key(edge.ids, 0)] = edge
        edge.parent, edge.siblings = upper, upper.children
        self._order[upper] = None
        return upper

    def _make_room(self, num_bytes: int) -> bool:
        """Evicts until so much more fits; False when everything left is held."""
        while self.size_bytes + num_bytes > self._max_bytes:
            oldest = next((edge for edge in self._order if not edge.num_leases), None)
            if oldest is None:
                return False
            assert not oldest.children, "an edge is older than one below it"
            del self._order[oldest]
            del oldest.siblings[self._key(oldest.ids, 0)]
            self.size_bytes -= len(oldest.ids) * self._row_bytes
            self.num_evicted_tokens += len(oldest.ids)
        return True


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """The number of equal ids at the beginning."""
    limit = min(len(a), len(b))
    if a[:limit] == b[:limit]:
        return limit
    return next(i for i in range(limit) if a[i] != b[i])
