"""The calibration of verify at commit, and that ways differ in nothing but the look."""

import pytest

from benchmarks.verify import compare, critical_epsilons, print_shares, quantile, stretches, write
from model.diffusion.verify import doubtful_below
from model.evaluation.decode import Place

TEXT = "".join(f"value_{number} = make(number_{number}, {number})\n" for number in range(60))


def test_the_critical_epsilon_is_where_doubt_begins():
    for p in (0.001, 0.05, 0.4):
        for entropy in (0.0, 1.0, 4.0):
            critical = max(p, (p * 2.718281828**entropy) ** 2)
            if critical < 1:
                assert p < doubtful_below(entropy, critical * 1.01)
            assert not p < doubtful_below(entropy, critical * 0.99)


def test_true_tokens_are_doubted_as_often_as_wanted(checkpoint, capsys):
    critical = critical_epsilons(checkpoint, stretches([("a.py", TEXT), ("b.py", TEXT)], 4))
    assert len(critical) > 100
    assert all(value > 0 for value in critical)
    epsilon = quantile(critical, 0.1)
    shares = dict(print_shares(critical, [epsilon]))
    assert shares[f"{epsilon:.2g}"] <= 0.1
    assert sum(value < epsilon * 1.5 for value in critical) >= 0.1 * len(critical)
    assert "true tokens doubted" in capsys.readouterr().out


def test_an_epsilon_of_nothing_changes_nothing(checkpoint, places):
    some = [Place(p.path, p.before, p.after, "return value and more of it") for p in places]
    for name in ("block", "line"):
        plain, looked = (write(name, checkpoint, some, 1e-4, epsilon) for epsilon in (None, 0.0))
        assert (plain.scores, plain.forwards) == (looked.scores, looked.forwards)
    assert write("block", checkpoint, some, 1e-4, 0.9).forwards != plain.forwards


def test_every_threshold_is_compared_with_itself(checkpoint, places, capsys):
    rows = compare("line", checkpoint, places, [0.5])
    assert [(row["tau_mask"], row["epsilon"]) for row in rows] == [(0.3, None), (0.3, "0.5")]
    assert rows[0]["score_difference"] == pytest.approx((0.0, 0.0, 0.0))
    assert "line: 3 places" in capsys.readouterr().out
