"""The clocks see every pass, take themselves away again, and change no text."""

import pytest

from benchmarks.lines import Preparer
from benchmarks.shares import time_shares
from benchmarks.writers import OurWriter
from model.checkpoints.load import Checkpoint
from model.diffusion import steps
from model.evaluation.decode import Place


def test_the_shares_sum_to_one_and_nothing_is_left_behind(checkpoint: Checkpoint, places: list[Place]) -> None:
    tasks = [Preparer(checkpoint).place_task(place, "eom") for place in places]
    writer = OurWriter(checkpoint)
    function = steps.many_passes
    for write in (writer.blocks, writer.speculate):
        writer.warm(tasks[0])
        expected = write(tasks[0])
        shares = time_shares(checkpoint.network, write, tasks, writer.warm)
        assert list(shares) == ["prefill", "steps", "head", "python"]
        assert sum(shares.values()) == pytest.approx(1)
        assert all(0 < share < 1 for share in shares.values())
        writer.warm(tasks[0])
        assert write(tasks[0]) == expected
    assert steps.many_passes is function
    assert "logits" not in vars(checkpoint.network)
