"""Passes over pages, in rounded sizes, against `one_pass` over a cache of each sequence's own: fp32."""

import random

import msgspec
import pytest
import torch

from kernels.ops import ops_for
from model.network.config import tiny_test
from model.network.cuda_graphs import Graphs, SequencePart
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.network.paged import PAGE_ROWS, PagedNetwork, PagePool

CPU = torch.device("cpu")
MAX_ROWS = 200


def make_paged(network, num_pages: int = 24) -> PagedNetwork:
    pool = PagePool(network.config, num_pages, dtype=torch.float32)
    for pages in (pool.k_LPGWK, pool.v_LPGWK):
        pages.fill_(torch.nan)  # nothing but what was written may have influence
    return PagedNetwork(network, pool, max_rows=MAX_ROWS, ops=ops_for(CPU, "torch"))


class Sequence:
    """The same rows through `one_pass`, and as parts of paged passes."""

    def __init__(self, network, pool: PagePool, rng: random.Random) -> None:
        self._network, self._rng = network, rng
        self._cache = KVCache(network.config)
        pages = pool.take(MAX_ROWS)
        assert pages is not None
        rng.shuffle(pages)
        self.pages, self.num_cached = pages, 0

    def next(self, num_clean: int, num_noisy: int, num_counting: int) -> tuple[SequencePart, torch.Tensor]:
        """A part, and the rows that it must give; afterwards so many of the clean rows count."""
        clean = [self._rng.randrange(64, 512) for _ in range(num_clean)]
        noisy = [self._rng.randrange(64, 512) for _ in range(num_noisy)]
        states = [self._rng.randrange(1, 4) for _ in noisy]
        streams = one_pass(
            self._network,
            self._cache,
            Rows(torch.tensor([clean])) if clean else None,
            Rows(torch.tensor([noisy]), torch.tensor([states])) if noisy else None,
        )
        part = SequencePart([*clean, *noisy], [0] * num_clean + states, num_clean, self.num_cached, self.pages)
        self._cache.advance(num_counting)
        self.num_cached += num_counting
        return part, torch.cat([rows[0] for rows in streams if rows is not None])


SHAPES = [{}, {"num_kv_heads": 1, "qk_norm": False, "qkv_bias": True}, {"tied_head": False, "state_vectors": False}]


@pytest.mark.parametrize("changes", SHAPES)
def test_gives_the_rows_of_one_pass(make_network, changes: dict) -> None:
    rng = random.Random(3)
    network = make_network(msgspec.structs.replace(tiny_test(), **changes))
    paged = make_paged(network)
    graphs = Graphs(paged, paged.hidden)
    sequences = [Sequence(network, paged.pool, rng) for _ in range(3)]
    # Prefill, a step, commit with the next step, a commit of a part of what was written; sequences out of step.
    plans = [(90, 0, 90), (0, 7, 0), (5, 9, 5), (0, 1, 0), (6, 0, 2), (1, 16, 1)]
    for turn in range(len(plans)):
        together = sequences[: 1 + turn % 3]
        asked = [each.next(*plans[turn] if each is sequences[0] else rng.choice(plans)) for each in together]
        hidden_BTD = graphs.run([part for part, _ in asked])
        for (part, expected), rows in zip(asked, hidden_BTD, strict=False):
            torch.testing.assert_close(rows[: len(part.tokens)], expected, atol=1e-5, rtol=1e-5)


def test_a_block_causal_network_sees_whole_units(make_network) -> None:
    """Clean rows in units of 4 see their unit, as a mask says it to the pass without a cache."""
    config = msgspec.structs.replace(tiny_test(), attention="block-causal", cache_unit=4)
    network = make_network(config)
    paged = make_paged(network)
    tokens = list(range(100, 112))
    pages = paged.pool.take(len(tokens))
    assert pages is not None
    graphs = Graphs(paged, paged.hidden)
    got = torch.cat(
        [
            graphs.run([SequencePart(tokens[start:stop], [0] * (stop - start), stop - start, start, pages)])[0][
                : stop - start
            ]
            for start, stop in ((0, 8), (8, 12))
        ]
    )
    unit_T = torch.arange(12) // 4
    with torch.inference_mode():
        expected = network(
            torch.tensor([tokens]), torch.arange(12)[None], None, (unit_T[None] <= unit_T[:, None])[None]
        )
    torch.testing.assert_close(got, expected[0], atol=1e-5, rtol=1e-5)


def test_pages_are_taken_whole_or_not_at_all() -> None:
    pool = PagePool(tiny_test(), 3, dtype=torch.float32)
    first = pool.take(PAGE_ROWS + 1)
    assert first is not None
    assert len(set(first)) == 2
    assert pool.take(2 * PAGE_ROWS) is None
    assert pool.num_free == 1
    pool.give_back(first)
    assert pool.num_free == 3
    assert sorted(pool.take(3 * PAGE_ROWS) or []) == [0, 1, 2]


def test_one_body_a_size(make_network) -> None:
    """A size is made once, and its inputs stay where they are: what a graph needs."""
    network = make_network(tiny_test())
    paged = make_paged(network)
    seen = []

    def body(inputs):
        seen.append((tuple(inputs.tokens_BT.shape), inputs.tokens_BT.data_ptr(), inputs.cached_B.tolist()))
        return paged.hidden(inputs)

    graphs = Graphs(paged, body)
    for width, batch in ((3, 1), (9, 1), (16, 1), (17, 2), (30, 2)):
        pages = [paged.pool.take(width) for _ in range(batch)]
        graphs.run([SequencePart([7] * width, [1] * width, 0, width, each or []) for each in pages])
    assert [shape for shape, _, _ in seen] == [(1, 16)] * 3 + [(2, 32)] * 2
    assert len({address for _, address, _ in seen}) == 2
    assert [cached for _, _, cached in seen][-1] == [30, 30]
