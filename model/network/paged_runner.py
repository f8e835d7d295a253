"""Passes of several sequences over pages: what many_passes.py gives, from static sizes that a GPU replays as graphs.

Source: paged.py and cuda_graphs.py, which this ties to the caches of requests (paged_cache.py). Sequences with few new
rows run together in one pass, as wide as the widest of them; one with many (a prompt's) runs alone, where launches take
no time that counts. It serves networks of plain layers whose rows do not see what stands behind them; all others keep
caches side by side: in full attention nothing is cached exactly, experts and matrices in 8 bits have not been captured
in a graph yet. Left out: choosing what runs together (model/engine/scheduler.py); the head and the moves, which stay
the host's, so an engine's step waits for the device once (device_blocks.py has steps that do not).

Shapes: B sequences, T new rows of each, D model width.
"""

from collections.abc import Sequence

import torch
from torch import nn

from kernels.ops import Ops, ops_for
from model.network.cuda_graphs import BATCHES, WIDTHS, Graphs, SequencePart
from model.network.many_passes import Hidden, Pass
from model.network.one_pass import Rows
from model.network.paged import PAGE_ROWS, PagedNetwork, PagePool
from model.network.paged_cache import PagedCache
from model.network.transformer import DenseLayer, Transformer

MIN_FEATURES = 16
"""Of a head that the kernels serve; they serve powers of two."""


def can_page(network: Transformer) -> bool:
    """Whether a network's passes can run over pages at all."""
    is_plain = all(isinstance(layer, DenseLayer) and type(layer.qkv.weight) is nn.Parameter for layer in network.layers)
    return is_plain and network.config.attention != "full"


def paged_ops(network: Transformer) -> Ops | None:
    """The operations of passes over pages where these are worth it, on CUDA with Triton; None: they are not."""
    ops, d_head = ops_for(network.embed.weight.device), network.config.d_head
    is_served = d_head >= MIN_FEATURES and d_head & (d_head - 1) == 0
    return ops if ops.kind == "triton" and is_served and can_page(network) else None


def whole_pages(num_rows: int) -> int:
    """The rows of the pages that so many rows take."""
    return -(-num_rows // PAGE_ROWS) * PAGE_ROWS


class PagedRunner:
    """A pool for `num_caches` caches of `max_rows` rows (rounded up to whole pages), and the passes over it."""

    def __init__(self, network: Transformer, ops: Ops, *, max_rows: int, num_caches: int) -> None:
        assert can_page(network)
        weight = network.embed.weight
        self.network, self.max_rows = network, whole_pages(max_rows)
        # Written in inference mode and outside of it: what is made in there could be written nowhere else.
        with torch.inference_mode(False):
            num_pages = num_caches * self.max_rows // PAGE_ROWS
            self.pool = PagePool(network.config, num_pages, device=weight.device, dtype=weight.dtype)
        paged = PagedNetwork(network, self.pool, max_rows=self.max_rows, ops=ops)
        self._graphs = Graphs(paged, paged.hidden)

    def new_cache(self) -> PagedCache:
        return PagedCache(self)

    def warm_up(self) -> None:
        """Captures what one canvas alone replays; the other sizes are captured when they are first asked for."""
        for width in WIDTHS:
            self._graphs.prepare(width, 1)

    @torch.inference_mode()
    def run(self, passes: Sequence[Pass]) -> list[Hidden]:
        """As many_passes, which comes here, of passes whose caches are this runner's."""
        parts = [self._part(each) for each in passes]
        narrow = [i for i, part in enumerate(parts) if len(part.tokens) <= WIDTHS[-1]]
        groups = [narrow[i : i + BATCHES[-1]] for i in range(0, len(narrow), BATCHES[-1])]
        groups += [[i] for i, part in enumerate(parts) if len(part.tokens) > WIDTHS[-1]]
        hidden: list[Hidden] = [(None, None)] * len(passes)
        for group in groups:
            hidden_BTD = self._graphs.run([parts[i] for i in group])
            for b, i in enumerate(group):
                hidden[i] = _streams(passes[i], parts[i], hidden_BTD[b])
        return hidden

    def _part(self, asked: Pass) -> SequencePart:
        cache, clean, noisy = asked.cache, asked.clean, asked.noisy
        assert isinstance(cache, PagedCache)
        assert cache.runner is self
        clean_ids, noisy_ids = _ids(clean), _ids(noisy)
        num_cached, num_clean, num_noisy = int(cache.lengths_B[0]), len(clean_ids), len(noisy_ids)
        assert num_clean + num_noisy, "a pass needs clean or noisy rows"
        states = [0] * num_noisy if noisy is None or noisy.states_BT is None else noisy.states_BT[0].tolist()
        cache.reserve(num_cached + num_clean + num_noisy)
        cache.num_pending_B = [num_clean]
        return SequencePart(
            [*clean_ids, *noisy_ids], [0] * num_clean + states, num_clean, num_cached, tuple(cache.pages)
        )


def _ids(rows: Rows | None) -> list[int]:
    if rows is None:
        return []
    assert rows.positions_BT is None, "over pages rows follow what is cached"
    return rows.tokens_BT[0].tolist()


def _streams(asked: Pass, part: SequencePart, hidden_TD: torch.Tensor) -> Hidden:
    """Copies: the next pass writes where these stand."""
    num_wanted = part.num_clean if asked.want_clean is None else min(part.num_clean, asked.want_clean)
    rows_1TD = hidden_TD[part.num_clean - num_wanted : len(part.tokens)].clone().unsqueeze(0)
    clean_1CD, noisy_1ND = rows_1TD.tensor_split([num_wanted], dim=1)
    return clean_1CD if num_wanted else None, noisy_1ND if noisy_1ND.shape[1] else None
