"""Metrics against values worked out by hand or by counting."""

import pytest

from model.evaluation.metrics import Gate, edit_similarity, gate, gate_text, line_exact, paired_bootstrap


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("    return a", True),
        ("return a", True),
        ("\n    return a", True),
        ("return a\n    return b", True),
        ("", False),
        ("\n\nreturn a", False),
        ("return  a", False),
        ("return a  # so", False),
    ],
)
def test_a_line_is_right_up_to_the_blanks_around_it(answer: str, right: bool) -> None:
    assert line_exact(answer, "    return a\n") is right


def test_edit_similarity_counts_insertions_and_deletions() -> None:
    assert edit_similarity("abc", "abc") == 1
    assert edit_similarity("", "abc") == 0
    assert edit_similarity("abcd", "abxd") == pytest.approx(1 - 2 / 8)  # one of eight characters gone on each side


def test_the_bootstrap_is_paired_and_repeatable() -> None:
    b = [i / 7 % 1 for i in range(200)]
    a = [x + 0.1 for x in b]
    assert paired_bootstrap(a, b) == pytest.approx((0.1, 0.1, 0.1))  # unpaired it would be wide
    a = [float(i % 2) for i in range(400)]
    b = [0.25] * 400
    mean, low, high = paired_bootstrap(a, b)
    assert mean == pytest.approx(0.25)
    assert mean - low == pytest.approx(1.96 * 0.5 / 20, rel=0.15)  # standard error of 400 coin flips
    assert high - mean == pytest.approx(1.96 * 0.5 / 20, rel=0.15)
    assert paired_bootstrap(a, b) == (mean, low, high)
    uneven = [x * i / 400 for i, x in enumerate(a)]
    assert paired_bootstrap(uneven, b, seed=1) != paired_bootstrap(uneven, b, seed=0)


def test_the_gate_shows_what_is_as_confident() -> None:
    rows = gate([(0.95, True), (0.5, False), (0.45, True), (0.1, False)])
    assert rows[0] == Gate(0.0, 1.0, 0.5)
    assert Gate(0.4, 0.75, 2 / 3) in rows
    assert Gate(0.5, 0.5, 0.5) in rows  # "at least"
    assert rows[-1] == Gate(0.9, 0.25, 1.0)
    assert gate_text(rows[-1:]) == ">= 0.9: 25% shown, 100% right"
    assert all((row.shown, row.right) == (0, 0) for row in gate([]))
