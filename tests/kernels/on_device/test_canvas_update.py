"""canvas_update in Triton against the reference, on random blocks with junk in the padding."""

import random

import pytest
import torch

from kernels.canvas_update import kernel, reference
from kernels.canvas_update.reference import DELETE, INSERT, KEEP, REMASK, SUBSTITUTE

KINDS = (KEEP, KEEP, SUBSTITUTE, DELETE, INSERT, REMASK)


def same(got: reference.UpdatedCanvas, expected: reference.UpdatedCanvas) -> None:
    for name in expected._fields[:-1]:
        torch.testing.assert_close(getattr(got, name), getattr(expected, name), atol=0, rtol=0, msg=name)
    assert list(got.extras) == list(expected.extras)
    for name, values in expected.extras.items():
        assert torch.equal(got.extras[name], values), name


@pytest.mark.parametrize("seed", range(12))
def test_equals_the_reference(seed: int, device) -> None:
    rng = random.Random(seed)
    capacity = rng.choice([1, 5, 16, 33, 64])
    B, N = rng.randint(1, 4), rng.randint(1, capacity)
    lengths = torch.tensor([rng.randint(0, N) for _ in range(B)])
    kinds = torch.tensor([[rng.choice(KINDS) for _ in range(N)] for _ in range(B)])
    inserts = torch.randint(-1, 9, (B, N))
    payload = torch.where(kinds == INSERT, inserts, torch.randint(10, 99, (B, N)))
    tokens, states = torch.randint(10, 99, (B, N)), torch.randint(1, 4, (B, N))
    budget, banned = torch.randint(0, 9, (B, N)), torch.randint(-1, 99, (B, N))
    arguments = [each.to(device) for each in (tokens, states, lengths, kinds, payload)]
    extras = {"edits_left": (budget.to(device), 2), "banned": (banned.to(device), -1)}
    for given in (extras, {"edits_left": extras["edits_left"]}, None):
        options = {"capacity": capacity, "mask_id": 3, "pad_id": 0, "extras": given}
        same(kernel.canvas_update(*arguments, **options), reference.canvas_update(*arguments, **options))


def test_everything_deleted_leaves_an_empty_block(device) -> None:
    ones = torch.ones(2, 3, dtype=torch.int64, device=device)
    arguments = (ones, ones, torch.tensor([3, 0], device=device), DELETE * ones, ones)
    got = kernel.canvas_update(*arguments, capacity=4, mask_id=3)
    assert got.lengths_B.tolist() == [0, 0]
    same(got, reference.canvas_update(*arguments, capacity=4, mask_id=3))
