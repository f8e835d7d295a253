"""Which rows a new prompt finds, what is copied, and what is evicted, against an oracle of every known prefix."""

import contextlib
import random

import msgspec
import pytest
import torch

from model.engine.prefix_cache import MAX_EDGE_TOKENS, PrefixCache, PrefixTree, common_prefix
from model.network.config import NetworkConfig, tiny_test
from model.network.kv_cache import KVCache

CONFIG = tiny_test()
ROW_BYTES = 2 * CONFIG.num_layers * CONFIG.num_kv_heads * CONFIG.d_head * 4


def make(max_tokens: int = 10_000, config: NetworkConfig = CONFIG) -> PrefixCache:
    return PrefixCache(config, capacity=64, device="cpu", dtype=torch.float32, max_bytes=max_tokens * ROW_BYTES)


@pytest.fixture
def cache() -> PrefixCache:
    return make()


def rows_of(ids: list[int], start: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows that are different for every path of ids: what a causal network would compute."""
    values = [float(hash(tuple(ids[:stop])) % 2**23) for stop in range(start + 1, len(ids) + 1)]
    k = torch.tensor(values).view(1, 1, -1, 1).expand(CONFIG.num_layers, CONFIG.num_kv_heads, -1, CONFIG.d_head)
    return k, -k


def run(cache: PrefixCache, ids: list[int]) -> int:
    """Stands for a request: checks the rows that it finds, writes the missing ones; gives the number found."""
    with cache.lend(ids) as lent:
        return fill(lent, ids)


def fill(lent: KVCache, ids: list[int]) -> int:
    found = int(lent.lengths_B[0])
    for got, wanted in zip(lent.read(0, 0, found), rows_of(ids[:found]), strict=True):
        assert torch.equal(got, wanted)
    lent.write(0, *rows_of(ids, found))
    return found


def tree_of(cache: PrefixCache) -> PrefixTree:
    return cache._tree


def test_a_longer_prompt_finds_all_of_the_shorter_one(cache):
    assert run(cache, [1, 2, 3, 4]) == 0
    assert run(cache, [1, 2, 3, 4, 5]) == 4
    assert run(cache, [1, 2, 3, 4, 5]) == 5
    assert run(cache, [1, 2, 3, 9]) == 3
    assert run(cache, [1, 2, 3, 4, 5, 6]) == 5
    assert run(cache, []) == 0
    assert (cache.num_prompt_tokens, cache.num_hit_tokens) == (4 + 5 + 5 + 4 + 6, 0 + 4 + 5 + 3 + 5)


def test_documents_take_turns_and_share_their_head(cache):
    head = list(range(100))
    documents = [[*head, *range(1000 * i, 1000 * i + 150)] for i in range(1, 5)]
    assert [run(cache, ids) for ids in documents] == [0, 100, 100, 100]
    for _ in range(2):
        assert [run(cache, ids) for ids in documents] == [250] * 4
    assert cache.size_bytes == (100 + 4 * 150) * ROW_BYTES


def test_typing_copies_neither_in_nor_out_what_is_there(cache, monkeypatch):
    prompt = list(range(300))
    run(cache, prompt)
    copied_in, copied_out = [], []
    write, read = KVCache.write, KVCache.read

    def counted_write(self, element, k, v):
        copied_in.append(k.shape[2])
        write(self, element, k, v)

    def counted_read(self, element, start, stop):
        copied_out.append(stop - start)
        return read(self, element, start, stop)

    for typed in range(1, 5):
        ids = [*prompt, *range(900, 900 + typed)]
        with cache.lend(ids) as lent:
            new = rows_of(ids, int(lent.lengths_B[0]))
            lent.write(0, *new)
            monkeypatch.setattr(KVCache, "write", counted_write)
            monkeypatch.setattr(KVCache, "read", counted_read)
        monkeypatch.undo()
    assert (copied_in, copied_out) == ([], [1, 1, 1, 1])
    monkeypatch.setattr(KVCache, "write", counted_write)
    with cache.lend([*prompt[:200], 7]):
        pass
    with cache.lend([*prompt[:250], 7]):
        pass
    assert sum(copied_in) == 50  # the working cache was cut to 200 rows; the tree gives the rest


def test_rows_of_a_canvas_are_not_kept(cache):
    ids = [1, 2]
    with cache.lend(ids) as lent:
        lent.write(0, *rows_of([1, 2, 3, 4, 5]))
    assert cache.size_bytes == 2 * ROW_BYTES
    with cache.lend([1, 2, 3, 4, 5]) as lent:
        assert int(lent.lengths_B[0]) == 2


def test_an_abandoned_request_keeps_what_it_computed(cache):
    with contextlib.suppress(RuntimeError), cache.lend([1, 2, 3]) as lent:
        lent.write(0, *rows_of([1, 2]))
        raise RuntimeError
    assert run(cache, [1, 2, 3]) == 2


def test_two_requests_at_once_have_caches_of_their_own(cache):
    run(cache, [1, 2, 3])
    with cache.lend([1, 2, 3, 4]) as one, cache.lend([1, 2, 5]) as two:
        assert one is not two
        assert fill(one, [1, 2, 3, 4]) == 3
        assert fill(two, [1, 2, 5]) == 2
    assert run(cache, [1, 2, 3, 4]) == 4
    assert run(cache, [1, 2, 5]) == 3


def test_the_least_recently_used_leaf_goes_first():
    cache = make(max_tokens=9)
    run(cache, [10, 11, 12])
    run(cache, [20, 21, 22])
    run(cache, [10, 11, 12, 13])
    run(cache, [30, 31, 32])  # 10 tokens: one too many
    assert cache.num_evicted_tokens == 3
    assert run(cache, [10, 11, 12, 13]) == 4
    assert run(cache, [30, 31, 32]) == 3
    assert run(cache, [20, 21, 22]) == 0


def test_a_shared_head_outlives_its_leaves():
    cache = make(max_tokens=8)
    for last in range(5):
        assert run(cache, [1, 2, 3, 50 + last, 60 + last]) == (3 if last else 0)
    assert cache.size_bytes <= 8 * ROW_BYTES


def test_what_is_in_use_is_never_evicted():
    cache = make(max_tokens=8)
    run(cache, [1, 2, 3, 4, 5])
    with cache.lend([1, 2, 3, 4]):  # half an edge: all of it is held
        run(cache, [7, 8, 9])
        run(cache, [10, 11, 12, 13])  # evicts the one before; of the held path nothing
        run(cache, [1, 2, 6])  # splits the held edge
        assert sum(num for _, num in tree_of(cache).path([1, 2, 3, 4, 5])) == 5
        assert cache.size_bytes <= 8 * ROW_BYTES
    run(cache, [20, 21, 22, 23, 24, 25, 26, 27])
    assert cache.size_bytes == 8 * ROW_BYTES  # nothing stayed held
    assert not tree_of(cache).path([1])


def test_a_prompt_that_does_not_fit_is_kept_in_part():
    cache = make(max_tokens=MAX_EDGE_TOKENS + 10)
    ids = list(range(500, 500 + 2 * MAX_EDGE_TOKENS))
    run(cache, ids)
    assert cache.size_bytes == MAX_EDGE_TOKENS * ROW_BYTES
    assert run(cache, ids) == len(ids)  # the working cache still has it
    run(cache, [1])
    assert run(cache, ids) == MAX_EDGE_TOKENS


def test_evicted_rows_free_their_memory(cache):
    run(cache, list(range(50)))
    run(cache, [*range(20), 99])
    for edge, _ in tree_of(cache).path(list(range(50))):
        for rows in (edge.k_LGNK, edge.v_LGNK):
            assert rows.untyped_storage().nbytes() == rows.numel() * rows.element_size()


def test_four_whole_prompts_fit_by_default():
    for capacity in (64, 5000, 2_000_000):
        tree = tree_of(PrefixCache(CONFIG, capacity=capacity, device="cpu", dtype=torch.float32))
        assert tree._max_bytes >= max(64 * 2**20, 4 * capacity * ROW_BYTES)


def random_ids(generator: random.Random, known: list[list[int]]) -> list[int]:
    """A prompt that goes on from somewhere within a known one, as prompts do; few ids, so that paths meet."""
    start = generator.choice(known)[: generator.randrange(40)] if known else []
    return [*start, *(generator.randrange(3) for _ in range(generator.randrange(1, 12)))]


@pytest.mark.parametrize("seed", range(4))
def test_against_an_oracle_of_all_prefixes(seed):
    """Unbounded: a prompt finds exactly its longest prefix that was ever kept. Rows are checked by `fill`."""
    generator, cache, known = random.Random(seed), make(), []
    prefixes: set[tuple[int, ...]] = {()}
    for _ in range(60):
        ids = random_ids(generator, known)
        expected = next(n for n in range(len(ids), -1, -1) if tuple(ids[:n]) in prefixes)
        assert run(cache, ids) == expected
        prefixes |= {tuple(ids[:n]) for n in range(len(ids) + 1)}
        known.append(ids)
        assert cache.size_bytes == (len(prefixes) - 1) * ROW_BYTES  # each known row once


@pytest.mark.parametrize("seed", range(4))
def test_bounded_with_overlapping_requests(seed, monkeypatch):
    """Bound, leases and order hold at every moment, and what is found is what was written, whatever was evicted."""
    generator, cache, known = random.Random(100 + seed), make(max_tokens=60), []
    monkeypatch.setattr("model.engine.prefix_cache.MAX_EDGE_TOKENS", 8)
    in_use: list[tuple[contextlib.AbstractContextManager[KVCache], KVCache, list[int], int]] = []
    for _ in range(150):
        if in_use and (len(in_use) == 3 or generator.random() < 0.5):
            lease, lent, ids, _ = in_use.pop(generator.randrange(len(in_use)))
            fill(lent, ids)
            lease.__exit__(None, None, None)
        else:
            ids = random_ids(generator, known)
            found = sum(num for _, num in tree_of(cache).path(ids))
            lease = cache.lend(ids)
            in_use.append((lease, lease.__enter__(), ids, found))
            known.append(ids)
        for _, _, ids, found in in_use:
            assert sum(num for _, num in tree_of(cache).path(ids)) >= found
        check_tree(tree_of(cache), len(in_use))
    while in_use:
        in_use.pop()[0].__exit__(None, None, None)
    assert cache.num_evicted_tokens > 100
    assert all(edge.num_leases == 0 for edge in tree_of(cache)._order)


def check_tree(tree: PrefixTree, num_in_use: int) -> None:
    edges = list(tree._order)
    place = {edge: i for i, edge in enumerate(edges)}
    assert tree.size_bytes == sum(len(edge.ids) for edge in edges) * ROW_BYTES <= 60 * ROW_BYTES
    assert sum(edge.num_leases for edge in edges if edge.parent is None) <= num_in_use
    for edge in edges:
        assert edge.siblings[edge.ids[0]] is edge
        assert edge.parent is None or edge.siblings is edge.parent.children
        assert edge.k_LGNK.shape[2] == edge.v_LGNK.shape[2] == len(edge.ids) > 0
        assert edge.num_leases >= sum(child.num_leases for child in edge.children.values())
        assert all(place[child] < place[edge] for child in edge.children.values())


@pytest.mark.parametrize(
    ("a", "b", "common"), [([], [], 0), ([1], [], 0), ([1, 2], [1, 2, 3], 2), ([1, 2, 3], [1, 5, 3], 1), ([2], [1], 0)]
)
def test_common_prefix(a, b, common):
    assert common_prefix(a, b) == common


def salted(cache: PrefixCache, ids: list[int], salt: str) -> int:
    with cache.lend(ids, salt) as lent:
        return fill(lent, ids)


def test_another_salt_finds_nothing_and_the_own_one_everything(cache):
    prompt = list(range(150))
    assert salted(cache, prompt, "ann") == 0
    assert salted(cache, prompt, "ben") == 0, "neither in the tree nor in the working cache"
    assert salted(cache, prompt, "ann") == salted(cache, prompt, "ben") == 150
    assert run(cache, prompt) == 0
    assert cache.size_bytes == 3 * 150 * ROW_BYTES
    assert salted(cache, [*prompt[:70], 999], "ann") == 70  # an edge is cut, in one tree only
    assert salted(cache, prompt, "ben") == 150


def test_all_salts_share_one_bound():
    cache = make(max_tokens=200)
    for number in range(20):
        assert salted(cache, list(range(100)), f"user {number % 5}") == 0, "five users do not fit: the oldest went"
        assert cache.size_bytes <= 200 * ROW_BYTES
    assert salted(cache, list(range(100)), "user 4") == 100


UNITS = msgspec.structs.replace(CONFIG, attention="block-causal", cache_unit=4)


def run_in_units(cache: PrefixCache, ids: list[int]) -> int:
    """A request of a block-causal network: rows of a unit depend on all of it, and there is a canvas behind them."""
    with cache.lend(ids) as lent:
        found = int(lent.lengths_B[0])
        units = [tuple(ids[: start + 4]) for start in range(0, len(ids) // 4 * 4, 4) for _ in range(4)]
        values = torch.tensor([float(hash((unit, i)) % 2**23) for i, unit in enumerate(units)])
        rows = values.view(1, 1, -1, 1).expand(CONFIG.num_layers, CONFIG.num_kv_heads, -1, CONFIG.d_head)
        assert found % 4 == 0
        assert torch.equal(lent.read(0, 0, found)[0], rows[:, :, :found])
        lent.write(0, rows[:, :, found:], -rows[:, :, found:])
        canvas = torch.full((CONFIG.num_layers, CONFIG.num_kv_heads, 8, CONFIG.d_head), -7.0)
        lent.write(0, canvas, canvas)
    return found


def test_only_whole_units_are_lent_and_kept():
    cache = make(config=UNITS)
    assert run_in_units(cache, [*range(10)]) == 0
    assert cache.size_bytes == 8 * ROW_BYTES
    assert run_in_units(cache, [*range(10)]) == 8  # the rest of the prompt stands in the canvas's first unit
    assert run_in_units(cache, [0, 1, 2, 3, 4, 5, 90, 91, 92]) == 4
    assert run_in_units(cache, [0, 1, 2, 99, 4, 5, 6, 7]) == 0
    assert run_in_units(cache, [*range(30)]) == 8


@pytest.mark.parametrize("seed", range(3))
def test_units_against_an_oracle_of_all_prefixes(seed):
    generator, cache, known = random.Random(seed), make(config=UNITS), []
    prefixes: set[tuple[int, ...]] = {()}
    for _ in range(60):
        ids = random_ids(generator, known)
        expected = next(n for n in range(len(ids) // 4 * 4, -1, -4) if tuple(ids[:n]) in prefixes)
        assert run_in_units(cache, ids) == expected
        prefixes |= {tuple(ids[:n]) for n in range(0, len(ids) + 1, 4)}
        known.append(ids)


def test_nothing_is_kept_where_every_row_sees_every_row():
    cache = make(config=msgspec.structs.replace(CONFIG, attention="full"))
    for _ in range(2):
        with cache.lend([*range(9)]) as lent:
            assert int(lent.lengths_B[0]) == 0
            lent.write(0, *rows_of([*range(9)]))
    assert (cache.size_bytes, cache.num_hit_tokens, cache.num_prompt_tokens) == (0, 0, 18)
