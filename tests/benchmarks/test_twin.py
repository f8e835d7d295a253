"""Which threshold counts as the result, and the order in which ways take turns."""

import msgspec
import pytest

from benchmarks.lines import Preparer
from benchmarks.timing import Timed, speedup, total_speedup, turned, write_all
from benchmarks.twin import CLEAN, SPECULATE, Way, chosen, main, result_of
from model.checkpoints.load import Checkpoint
from model.engine.prompting import LineEncoder
from model.evaluation.decode import Place
from model.evaluation.options import EvalError


def way(name: str, tau: float | None, *, speedup: float, low: float, mean: float = 0.0) -> Way:
    return Way(
        name=name,
        tau_mask=tau,
        exact_match=0.1 + mean,
        similarity=0.4,
        exact_difference=(mean, low, 0.02),
        similarity_difference=(0.0, -0.01, 0.01),
        forwards=3.0,
        tokens_per_forward=2.0,
        ms=20.0,
        speedup=speedup,
        speedup_total=speedup,
        same_text=0.5,
    )


def test_the_fastest_threshold_at_equal_score_is_taken() -> None:
    ways = [
        way("a", 0.1, speedup=3.0, low=-0.03),
        way("b", 0.3, speedup=2.0, low=-0.009),
        way("c", 0.9, speedup=1.1, low=0.01),
    ]
    assert [w.is_equal for w in ways] == [False, True, True]
    assert chosen(ways).name == "b"


def test_exactly_one_point_below_is_not_equal() -> None:
    assert not way("a", 0.1, speedup=3.0, low=-0.01).is_equal


def test_long_places_are_judged_by_similarity() -> None:
    line = way("a", 0.1, speedup=3.0, low=-0.05)
    assert not line.is_equal
    long = msgspec.structs.replace(line, by_similarity=True, similarity_difference=(0.0, -0.009, 0.01))
    assert long.is_equal


def test_a_long_place_may_have_as_many_tokens_as_the_true_text(checkpoint: Checkpoint) -> None:
    task = Preparer(checkpoint).block_task(Place("a.py", "def f():\n", "\n", "    return 1\n    # end"))
    assert task.prepared.canvas.max_tokens == len(LineEncoder(checkpoint.tokenizer)("    return 1\n    # end"))
    assert task.num_warm == len(task.prepared.prompt_ids) - 1
    assert task.request.stop == "eom"


def test_without_an_equal_score_the_result_says_so() -> None:
    ways = [
        way(CLEAN, None, speedup=1.0, low=0.0),
        way(SPECULATE, None, speedup=1.2, low=0.0),
        way("a", 0.1, speedup=3.0, low=-0.05),
        way("b", 0.9, speedup=1.5, low=-0.02),
    ]
    result = result_of(ways, 0.9)
    assert (result["equal_score"], result["tau_mask"], result["speedup"]) == (False, 0.9, 1.5)
    assert result["speedup_speculate"] == 1.2
    assert [row["name"] for row in result["rows"]] == [CLEAN, SPECULATE, "a", "b"]


def test_every_way_is_first_equally_often() -> None:
    firsts = [turned(["a", "b", "c"], index)[0] for index in range(6)]
    assert firsts == ["a", "b", "c", "a", "b", "c"]
    assert sorted(turned(["a", "b", "c"], 2)) == ["a", "b", "c"]


def test_each_line_is_written_once_by_each_way_behind_a_warm_cache(checkpoint, places) -> None:
    from benchmarks.lines import Line, Preparer

    calls: list[str] = []

    def writing(name: str):
        def write(task) -> Line:
            calls.append(name)
            return Line((len(task.prepared.prompt_ids),), name, 1)

        return write

    tasks = [Preparer(checkpoint).place_task(place, "line") for place in places]
    done = write_all({"a": writing("a"), "b": writing("b")}, tasks, lambda _: calls.append("warm"))
    counted = calls[4:]  # the first calls are not timed
    assert counted == ["warm", "a", "warm", "b", "warm", "b", "warm", "a", "warm", "a", "warm", "b"]
    lengths = [len(task.prepared.prompt_ids) for task in tasks]
    assert [line.ids[0] for line in done["a"].lines] == lengths == [line.ids[0] for line in done["b"].lines]
    assert len(done["a"].times_ms) == 3


def test_speedups_are_of_medians_and_of_sums() -> None:
    slow, fast = Timed([], [2.0, 4.0, 100.0]), Timed([], [1.0, 2.0, 3.0])
    assert speedup(slow, fast) == 2.0
    assert total_speedup(slow, fast) == pytest.approx(106 / 6)


def test_a_missing_file_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr("sys.argv", ["twin", "--data", str(tmp_path / "none.jsonl"), "--threads", "1"])
    with pytest.raises(EvalError, match="there is no file"):
        main()
