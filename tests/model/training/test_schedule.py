"""Stages and rates at their shares of the time."""

import itertools

import pytest

from model.training.schedule import EDIT_EVERY, Schedule, data_stage, rate_at, stage_at

SCHEDULE = Schedule()


@pytest.mark.parametrize(
    ("spent", "stage"),
    [(0.0, "warm-up"), (0.499, "warm-up"), (0.5, "mask"), (0.899, "mask"), (0.9001, "edit"), (1.0, "edit")],
)
def test_stage(spent, stage):
    assert stage_at(SCHEDULE, spent) == stage


def test_the_mask_stage_shows_some_edits_and_the_others_are_pure():
    for stage in ("warm-up", "edit"):
        assert {data_stage(stage, number) for number in range(100)} == {stage}
    assert [data_stage("mask", number) for number in range(2 * EDIT_EVERY)] == 2 * [
        *["mask"] * (EDIT_EVERY - 1),
        "edit",
    ]


def test_rate_rises_holds_declines_and_ends_at_zero():
    rates = [rate_at(SCHEDULE, spent / 100, 10_000) for spent in range(101)]
    assert rates[0] == rates[49] == 1.0
    assert all(a >= b for a, b in itertools.pairwise(rates))
    assert rates[90] == pytest.approx(SCHEDULE.edit_start_rate)
    assert rates[100] == 0.0
    assert rate_at(SCHEDULE, 0.0, 0) == pytest.approx(1 / SCHEDULE.num_rise_steps)
