"""The gate: the probability of the whole text, not of its tokens on average."""

import pytest

from lsp_server.features.gate import MAX_COUNTED_TOKENS, Witness, certainty, witness
from lsp_server.features.similar_line import Similar


@pytest.mark.parametrize(
    ("confidence", "num_tokens", "expected"),
    [(0.9, 1, 0.9), (0.9, 2, 0.81), (0.5, 3, 0.125), (1.0, 40, 1.0), (0.0, 5, 0.0)],
)
def test_it_is_the_product_of_the_tokens_probabilities(confidence, num_tokens, expected):
    assert certainty(confidence, num_tokens) == pytest.approx(expected)


def test_of_two_answers_as_sure_on_average_the_longer_one_is_less_likely_right():
    assert certainty(0.8, 12) < certainty(0.8, 3)


def test_a_block_need_not_be_right_to_its_end():
    assert certainty(0.95, 120) == certainty(0.95, MAX_COUNTED_TOKENS) > 0.4


def test_an_engine_that_counts_no_tokens_is_taken_by_its_mean():
    assert certainty(0.3, 0) == 0.3


def test_a_similar_line_makes_everything_else_less_likely():
    other = Witness(agrees=False, likeness=0.5, agreeing=1.0)
    assert certainty(0.5, 2) == pytest.approx(0.25)
    assert certainty(0.5, 2, other) == pytest.approx(0.0625)
    assert certainty(1.0, 2, other) == 1.0


def test_what_a_similar_line_says_is_as_likely_as_the_places_are_alike():
    def agreed(confidence, likeness, agreeing):
        return certainty(confidence, 2, Witness(agrees=True, likeness=likeness, agreeing=agreeing))

    # Also where the model has only let the line stand.
    assert agreed(0.001, 0.9, 1.0) > agreed(0.001, 0.1, 1.0) > agreed(0.001, 0.1, 0.2) > certainty(0.001, 2)
    assert 1 > agreed(0.99, 0.9, 1.0) > agreed(0.1, 0.9, 1.0)
    assert 0 < agreed(0.0, 0.0, 0.0) < agreed(2.0, 0.0, 0.0) < 1  # an engine that lies


@pytest.mark.parametrize(
    ("text", "rest", "expected"),
    [("sum(a)", "sum(a)\n", True), ("sum(b)", "sum(a)\n", False), ("a\nb", "a\n", True), ("a", "a + b\n", False)],
)
def test_a_witness_compares_the_first_line(text, rest, expected):
    assert witness(text, Similar(rest, 0.25, 0.75)) == Witness(expected, 0.25, 0.75)
    assert witness(text, None) is None
