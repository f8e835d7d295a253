"""Rounded sizes and masks: few of them, never too small, and nothing added is seen."""

import pytest
import torch

from model.network.few_sizes import NEVER, pad_mask, pad_rows, round_keys, round_rows


def test_rows_are_rounded_up_a_little() -> None:
    for num_rows in range(1, 1100):
        rounded = round_rows(num_rows)
        assert num_rows <= rounded <= max(8, num_rows + 7, 1.13 * num_rows)
        assert round_rows(rounded) == rounded
    assert len({round_rows(num_rows) for num_rows in range(1, 65)}) == 10
    assert len({round_rows(num_rows) for num_rows in range(1, 1025)}) < 50


def test_keys_stay_inside_the_cache() -> None:
    assert [round_keys(num_keys, 1000) for num_keys in (1, 64, 65, 961, 1000, 1010)] == [32, 64, 96, 992, 1000, 1010]


@pytest.mark.parametrize("is_masked", [False, True])
def test_nobody_sees_what_was_added(is_masked: bool) -> None:
    x_1TD = torch.ones(1, 3, 2)
    mask_1TS = torch.zeros(1, 3, 5)
    mask_1TS[0, 0, 4] = NEVER
    padded = pad_mask(mask_1TS if is_masked else None, x_1TD, 5, (4, 8))
    assert torch.equal(padded[:, :3, :5], mask_1TS if is_masked else torch.zeros(1, 3, 5))
    assert (padded[:, :3, 5:] == NEVER).all()
    assert (padded[:, 3:] == 0).all()
    x_rows, positions = pad_rows(x_1TD, torch.tensor([[7, 8, 9]]), 4)
    assert x_rows.tolist() == [[[1, 1], [1, 1], [1, 1], [0, 0]]]
    assert positions.tolist() == [[7, 8, 9, 0]]
