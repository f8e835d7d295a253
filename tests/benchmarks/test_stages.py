"""Passes at equal score: what is chosen, and that the ways really are written."""

import pytest

from benchmarks.stages import ONE_BY_ONE, Judged, Written, chosen, judge, line_forwards, write
from model.checkpoints.load import Checkpoint
from model.evaluation.decode import Place


def written(similarity: list[float], forwards: float) -> Written:
    return Written(tau_mask=0.5, similarity=similarity, forwards=forwards, tokens_per_forward=1.0, parses=1.0)


def test_equal_means_no_more_than_a_point_lost() -> None:
    slow = written([0.5, 0.6, 0.7, 0.8] * 10, 40)
    assert judge(written([0.5, 0.6, 0.7, 0.8] * 10, 10), slow).is_equal
    assert not judge(written([0.4, 0.5, 0.6, 0.7] * 10, 10), slow).is_equal


def test_the_fewest_passes_at_equal_score_else_the_closest() -> None:
    equal = [Judged(written=written([1.0], n), difference=(0.0, -0.005, 0.01)) for n in (30, 20)]
    worse = [Judged(written=written([1.0], 5), difference=(-0.1, low, 0.0)) for low in (-0.2, -0.15)]
    assert chosen([*worse, *equal]) is equal[1]
    assert chosen(worse) is worse[1]


def test_one_token_a_forward_is_the_slowest(checkpoint: Checkpoint, places: list[Place]) -> None:
    some = [Place(p.path, p.before, p.after, "return value") for p in places]
    slow, fast = write(checkpoint, some, ONE_BY_ONE), write(checkpoint, some, 1e-4)
    assert slow.forwards > fast.forwards
    assert slow.tokens_per_forward == pytest.approx(1.0, abs=0.1)
    assert len(slow.similarity) == len(some)
    assert all(0 <= value <= 1 for value in slow.similarity)
    assert line_forwards(checkpoint, places, 0.5) >= 1


def test_speculation_is_a_way_of_its_own(checkpoint: Checkpoint, places: list[Place]) -> None:
    some = [Place(p.path, p.before, p.after, "return value") for p in places]
    speculated = write(checkpoint, some, None)
    assert speculated.way == "speculate"
    assert len(speculated.similarity) == len(some)
    assert speculated.forwards <= write(checkpoint, some, ONE_BY_ONE).forwards
    assert line_forwards(checkpoint, places, None) >= 1
