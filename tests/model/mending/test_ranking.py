"""The fit finds what tells right from wrong, and is stored as it was."""

import numpy as np
import pytest

from model.checkpoints.load import CheckpointError
from model.mending.ranking import FILE, Calibration, Group, best_of, fit, load_calibration, save_calibration
from model.mending.study import FEATURES, Proposal


def made_up(num: int, weights: np.ndarray, seed: int) -> list[Group]:
    rng = np.random.default_rng(seed)
    groups = []
    for _ in range(num):
        features = rng.normal(size=(5, len(weights)))
        scores = np.append(features @ weights, 0.0)
        p = np.exp(scores - scores.max())
        right = int(rng.choice(6, p=p / p.sum()))
        groups.append(Group(features, right if right < 5 else -1))
    return groups


def test_weights_that_made_the_choices_are_found() -> None:
    weights = np.array([2.0, -1.0, 0.0])
    found = fit(made_up(800, weights, 0), penalty=0.1)
    assert np.abs(found - weights).max() < 0.35


def test_a_penalty_keeps_weights_finite_where_choices_are_clear() -> None:
    groups = [Group(np.array([[1.0], [0.0]]), 0) for _ in range(20)]
    found = fit(groups)
    assert 1.0 < found[0] < 20.0


def proposal(value: float) -> Proposal:
    return Proposal("x", "name", np.array([value]))


def test_the_best_proposal_and_its_probability() -> None:
    best = best_of([proposal(1.0), proposal(3.0)], np.array([1.0]))
    assert best is not None
    assert best.score == 3.0
    assert best.confidence == pytest.approx(np.exp(3) / (np.exp(3) + np.exp(1) + 1))
    assert best_of([], np.array([1.0])) is None
    low = best_of([proposal(-1000.0)], np.array([1.0]))
    assert low is not None
    assert low.confidence == pytest.approx(0.0)


def calibration(**changed) -> Calibration:
    fields = {"weights": dict.fromkeys(FEATURES, 0.5), "fix_threshold": 0.1, "mend_threshold": 2.0}
    return Calibration(**{**fields, "doubt_threshold": 0.7, "fitted_on": {"sound_lines": 9.0}, **changed})


def test_a_calibration_is_stored_beside_the_weights(tmp_path) -> None:
    assert load_calibration(tmp_path) is None
    save_calibration(tmp_path, calibration())
    assert load_calibration(tmp_path) == calibration()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_one_of_other_features_counts_as_none(tmp_path) -> None:
    save_calibration(tmp_path, calibration(weights={"gain": 1.0}))
    assert load_calibration(tmp_path) is None


def test_a_damaged_one_gets_a_sentence(tmp_path) -> None:
    (tmp_path / FILE).write_text("{]")
    with pytest.raises(CheckpointError, match="not a calibration"):
        load_calibration(tmp_path)
