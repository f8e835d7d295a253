"""Canvas moves against a loop over Python lists, on many random blocks."""

import random

import pytest
import torch

from kernels.canvas_update.reference import DELETE, INSERT, KEEP, REMASK, SUBSTITUTE, canvas_update

MASK, PAD, MASKED, DRAFT, LOCKED = 3, 0, 1, 2, 3


def by_hand(tokens, states, extra, kinds, payload, capacity, fill):
    """Rows (token, state, extra, source, is_new) of one block, padding left out."""
    room = capacity - sum(kind != DELETE for kind in kinds)
    out = []
    for i, (token, state, value, kind, load) in enumerate(zip(tokens, states, extra, kinds, payload, strict=True)):
        if kind == DELETE:
            continue
        if kind == INSERT:
            for _ in range(min(load, room)):
                out.append((MASK, MASKED, fill, i, True))
                room -= 1
        if kind == SUBSTITUTE:
            token, state = load, DRAFT
        if kind == REMASK:
            token, state = MASK, MASKED
        out.append((token, state, value, i, False))
    return out


def run(blocks, capacity, fill=2):
    """Each block is (tokens, states, extra, kinds, payload); padding holds moves that must not count."""
    width = max(len(block[0]) for block in blocks)
    junk = (999, DRAFT, 77, INSERT, 5)
    columns = [
        torch.tensor([list(block[c]) + [junk[c]] * (width - len(block[c])) for block in blocks]) for c in range(5)
    ]
    tokens, states, extra, kinds, payload = columns
    lengths = torch.tensor([len(block[0]) for block in blocks])
    return canvas_update(
        tokens,
        states,
        lengths,
        kinds,
        payload,
        capacity=capacity,
        mask_id=MASK,
        pad_id=PAD,
        extras={"edits_left": (extra, fill)},
    )


def check(blocks, capacity):
    got = run(blocks, capacity)
    for b, block in enumerate(blocks):
        expected = by_hand(*block, capacity, 2)
        n = len(expected)
        assert int(got.lengths_B[b]) == n
        rows = zip(
            got.tokens_BM[b].tolist(),
            got.states_BM[b].tolist(),
            got.extras["edits_left"][b].tolist(),
            got.source_BM[b].tolist(),
            got.is_new_BM[b].tolist(),
            strict=True,
        )
        assert list(rows) == expected + [(PAD, 0, 2, -1, False)] * (capacity - n)
        assert int(got.num_inserted_B[b]) == sum(row[4] for row in expected)


@pytest.mark.parametrize("seed", range(60))
def test_equals_a_loop(seed):
    rng = random.Random(seed)
    capacity = rng.choice([1, 5, 16, 33])
    blocks = []
    for _ in range(rng.randint(1, 5)):
        n = rng.randint(1, capacity)
        kinds = [rng.choice([KEEP, KEEP, SUBSTITUTE, DELETE, INSERT, REMASK]) for _ in range(n)]
        payload = [rng.choice([1, 2, 4, 8]) if kind == INSERT else rng.randint(10, 99) for kind in kinds]
        blocks.append(
            (
                [rng.randint(10, 99) for _ in range(n)],
                [rng.choice([MASKED, DRAFT, LOCKED]) for _ in range(n)],
                [rng.randint(0, 9) for _ in range(n)],
                kinds,
                payload,
            )
        )
    check(blocks, capacity)


def test_everything_deleted_leaves_an_empty_block():
    check([([10, 11], [DRAFT] * 2, [2, 2], [DELETE] * 2, [0, 0])], 4)


def test_a_full_block_refuses_inserts():
    check([([10, 11, 12], [DRAFT] * 3, [2] * 3, [INSERT] * 3, [4, 4, 4])], 3)


def test_the_rightmost_inserts_are_clipped():
    got = run([([10, 11], [DRAFT] * 2, [1, 1], [INSERT, INSERT], [2, 4])], 5)
    assert got.tokens_BM[0].tolist() == [MASK, MASK, 10, MASK, 11]


def test_works_when_compiled():
    rng = random.Random(7)
    n = 9
    block = (list(range(20, 20 + n)), [DRAFT] * n, [1] * n, [rng.randint(0, 4) for _ in range(n)], [2] * n)
    columns = [torch.tensor([c]) for c in block]
    tokens, states, _, kinds, payload = columns
    args = (tokens, states, torch.tensor([n]), kinds, payload)
    compiled = torch.compile(canvas_update, backend="eager", fullgraph=True)
    for eager, traced in zip(
        canvas_update(*args, capacity=16, mask_id=MASK), compiled(*args, capacity=16, mask_id=MASK), strict=True
    ):
        if isinstance(eager, torch.Tensor):
            assert torch.equal(eager, traced)
