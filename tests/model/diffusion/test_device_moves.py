"""Moves decided on the device against the host's, on random blocks and random readings; then applied by both."""

import random

import pytest
import torch

from kernels.canvas_update.reference import canvas_update
from model.diffusion.block import Block, asks_of, make_block, make_row, mask_rows
from model.diffusion.device_moves import Blocks, decide_on_device, label_sets_of, label_table
from model.diffusion.moves import apply, decide
from model.diffusion.policy import Policy
from model.diffusion.reading import Reading
from model.diffusion.states import DRAFT, LOCKED
from model.tokenizer import DEL, EOM, MASK, NUM_RESERVED

VOCAB = NUM_RESERVED + 6
CAPACITY = 16


def random_block(rng: random.Random) -> Block:
    masked = rng.random()
    rows = []
    for _ in range(rng.randint(1, CAPACITY)):
        if rng.random() < masked:
            rows += mask_rows(1)
        else:
            rows.append(make_row(rng.randrange(NUM_RESERVED, VOCAB), rng.choice([DRAFT, DRAFT, DRAFT, LOCKED])))
    for row in rows:
        row.edits_left = 0 if row.state == LOCKED else rng.choice([0, 1, 2])
    return make_block(rows, prev_locked=True, end_open=rng.random() < 0.7)


def tensors_of(blocks: list[Block]) -> Blocks:
    def column(name: str, junk: int) -> torch.Tensor:
        return torch.tensor(
            [[getattr(row, name) for row in block.rows] + [junk] * (CAPACITY - len(block.rows)) for block in blocks]
        )

    return Blocks(
        column("token", 99999),
        column("state", 1),
        torch.tensor([len(block.rows) for block in blocks]),
        column("edits_left", 2),
        torch.tensor([block.end_open for block in blocks]),
    )


@pytest.mark.parametrize("edits", ["none", "substitute"])
@pytest.mark.parametrize("seed", range(25))
def test_equal_the_hosts(seed: int, edits) -> None:
    rng = random.Random(f"{seed}/{edits}")
    policy = Policy(edits=edits, tau_mask=0.6, tau_edit=0.7, own_max=0.3, tau_remask=0.15)
    blocks = [random_block(rng) for _ in range(20)]
    given = tensors_of(blocks)
    # Few readings apart from each other, so that ends, edits and remasks really happen; each label from its row's set.
    table, sets_BN = label_table(VOCAB, torch.device("cpu")), label_sets_of(given)
    labels_BN = torch.full((20, CAPACITY), NUM_RESERVED)
    for b, block in enumerate(blocks):
        for i, row in enumerate(block.rows):
            possible = table[sets_BN[b, i]].nonzero()[:, 0].tolist() + [EOM, DEL] * 3
            label = rng.choice(possible)
            while not table[sets_BN[b, i], label]:
                label = rng.choice(possible)
            labels_BN[b, i] = row.token if row.state != 1 and rng.random() < 0.3 else label
    p_BN, own_BN = (torch.tensor([[rng.random() for _ in range(CAPACITY)] for _ in blocks]) for _ in range(2))

    moves = decide_on_device(given, labels_BN, p_BN, own_BN, policy)
    extras = {"edits_left": (moves.edits_left_BN, 2)}
    moved = canvas_update(given.tokens_BN, given.states_BN, given.lengths_B, moves.kinds_BN, moves.payload_BN,
                          capacity=CAPACITY, mask_id=MASK, extras=extras)  # fmt: skip
    for b, block in enumerate(blocks):
        asks = asks_of(block, policy.edits)
        columns = [[float(values[b, ask.index]) for ask in asks] for values in (p_BN, own_BN)]
        labels = [int(labels_BN[b, ask.index]) for ask in asks]
        reading = Reading(labels, columns[0], columns[1], labels, columns[0])
        ended = apply(block, decide(block, asks, reading, policy, room=CAPACITY))
        n = len(block.rows)
        assert bool(moves.ended_B[b]) == ended
        assert int(moved.lengths_B[b]) == n
        assert moved.tokens_BM[b, :n].tolist() == [row.token for row in block.rows]
        assert moved.states_BM[b, :n].tolist() == [row.state for row in block.rows]
        assert moved.extras["edits_left"][b, :n].tolist() == [row.edits_left for row in block.rows]


def test_each_row_has_the_labels_that_the_host_asks_for() -> None:
    rng = random.Random(5)
    table = label_table(VOCAB, torch.device("cpu"))
    for _ in range(40):
        block = random_block(rng)
        sets_N = label_sets_of(tensors_of([block]))[0]
        for ask in asks_of(block, "substitute"):
            allowed = table[sets_N[ask.index]]
            assert (bool(allowed[EOM]), bool(allowed[DEL])) == (ask.eom, ask.delete)
            assert bool(allowed[NUM_RESERVED:].all())
            assert int(allowed.sum()) == VOCAB - NUM_RESERVED + ask.eom + ask.delete
