import pytest

from model.diffusion.schedules import quota


def quotas(num_masks: int, num_steps: int, schedule: str) -> list[int]:
    step, written = 0, []
    while num_masks:
        num, step = quota(num_masks, step, num_steps, schedule)
        written.append(num)
        num_masks -= num
    return written


@pytest.mark.parametrize(
    ("num_masks", "num_steps", "wanted"),
    [(8, 4, [2, 2, 2, 2]), (10, 4, [3, 3, 2, 2]), (3, 8, [1, 1, 1]), (5, 1, [5]), (1, 1, [1])],
)
def test_equal_quotas_the_larger_ones_first(num_masks, num_steps, wanted):
    assert quotas(num_masks, num_steps, "even") == wanted


def test_by_time_steps_the_last_step_takes_what_is_left():
    assert quotas(10, 4, "time") == [2, 2, 2, 4]
    # As many steps as masks: 0.999 of a mask is none, so the first step would write nothing, and is passed over.
    assert quotas(4, 4, "time") == [1, 1, 2]
    assert quotas(5, 1, "time") == [5]
    assert sum(quotas(37, 64, "time")) == 37


def test_steps_beyond_the_schedule_take_everything():
    assert quota(7, 4, 4, "even") == (7, 4)
