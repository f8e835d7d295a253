"""Lines written in the same passes are those that are written alone; fp32."""

from benchmarks.lines import Preparer
from benchmarks.side_by_side import Group, agreement
from benchmarks.writers import OurWriter, SideBySide
from model.checkpoints.load import Checkpoint
from model.evaluation.decode import Place


def test_together_as_alone(checkpoint: Checkpoint, places: list[Place]) -> None:
    preparer = Preparer(checkpoint)
    tasks = [preparer.place_task(place, "eom") for place in places]
    writer, together = OurWriter(checkpoint), SideBySide(checkpoint, 4)
    alone = []
    for task in tasks:
        writer.warm(task)
        alone.append(writer.speculate(task))
    together.warm(tasks)
    assert together.write(tasks) == alone
    together.warm(tasks[:1])
    assert together.write(tasks[:1]) == alone[:1]


def test_what_is_counted() -> None:
    assert agreement(["a", "b", "c", "d"], ["a", "b", "x", "d"]) == 0.75
    assert Group(["a", "b", "c"], [4.0, 2.0]).ms_a_line == 2.0
