"""What the benchmarks time is what the evaluation scores: the same texts, with a warm cache and with a cold one."""

import msgspec
import pytest

from benchmarks.lines import Preparer, Task
from benchmarks.writers import OurWriter
from model.checkpoints.load import Checkpoint
from model.diffusion import run
from model.evaluation.decode import Decoder, Place


@pytest.fixture(scope="module")
def tasks(checkpoint: Checkpoint, places: list[Place]) -> list[Task]:
    preparer = Preparer(checkpoint)
    return [preparer.place_task(place, "line") for place in places]


def test_a_keystroke_leaves_most_of_the_prompt(tasks: list[Task]) -> None:
    assert all(task.num_warm > 0 for task in tasks)
    # `(` is new, and the space before it had been taken back; of `re` and of `r` before it nothing is left to run.
    assert len(tasks[1].prepared.prompt_ids) - tasks[1].num_warm == 2
    assert len(tasks[2].prepared.prompt_ids) - tasks[2].num_warm == 0


@pytest.mark.parametrize("floor", [0.0, 1.0], ids=["healed", "put back"])
def test_each_way_writes_what_the_evaluation_scores(
    checkpoint: Checkpoint, places: list[Place], tasks: list[Task], floor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("model.diffusion.run", "model.diffusion.speculate", "benchmarks.one_by_one"):
        monkeypatch.setattr(f"{module}.HEALED_FLOOR", floor)
    decoder, writer = Decoder(checkpoint), OurWriter(checkpoint)
    for place, task in zip(places, tasks, strict=True):
        writer.warm(task)
        block, clean = decoder.complete(place, stop="line"), decoder.complete_clean(place, stop="line")
        line = writer.blocks(task)
        assert (line.ids, line.text, line.forwards) == (block.ids, block.text, block.forwards)
        writer.warm(task)
        line = writer.one_by_one(task)
        assert (line.ids, line.text, line.forwards) == (clean.ids, clean.text, clean.forwards)


def test_speculation_writes_the_clean_streams_text_and_a_guess_saves_passes(
    checkpoint: Checkpoint, places: list[Place]
) -> None:
    writer, preparer = OurWriter(checkpoint), Preparer(checkpoint)
    for place in places[:2]:  # at the third the toy gives healing up, and with it the guess
        task = preparer.place_task(place, "eom")
        writer.warm(task)
        clean = writer.one_by_one(task)
        writer.warm(task)
        speculated = writer.speculate(task)
        assert (speculated.text, speculated.ids) == (clean.text, clean.ids)
        writer.warm(task)
        guessed = writer.speculate(msgspec.structs.replace(task, guess_ids=clean.ids))
        assert guessed.text == clean.text
        assert guessed.forwards < speculated.forwards


def test_a_cold_cache_changes_no_text(checkpoint: Checkpoint, tasks: list[Task]) -> None:
    for task in tasks:
        warm, cold = OurWriter(checkpoint), OurWriter(checkpoint)
        warm.warm(task)
        cold_task = msgspec.structs.replace(task, num_warm=0)
        cold.warm(cold_task)
        assert cold.blocks(cold_task, tau_mask=run.DRAFT_DOUBT) == warm.blocks(task, tau_mask=run.DRAFT_DOUBT)
        assert cold.one_by_one(cold_task) == warm.one_by_one(task)


def test_another_prompt_is_not_answered_from_the_last_ones_rows(checkpoint: Checkpoint, tasks: list[Task]) -> None:
    writer = OurWriter(checkpoint)
    expected = []
    for task in tasks:
        lone = OurWriter(checkpoint)
        lone.warm(task)
        expected.append(lone.one_by_one(task))
    found = []
    for task in [*tasks, *tasks[::-1]]:
        writer.warm(task)
        found.append(writer.one_by_one(task))
    assert found == [*expected, *expected[::-1]]
