"""The gate: the probability of the whole text, not of its tokens on average."""

import pytest

from lsp_server.features.gate import MAX_COUNTED_TOKENS, agreement, certainty


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


def test_a_similar_line_makes_what_it_says_likelier_and_everything_else_less_likely():
    assert certainty(0.5, 2, agrees=True) == pytest.approx(0.5)
    assert certainty(0.5, 2, agrees=None) == pytest.approx(0.25)
    assert certainty(0.5, 2, agrees=False) == pytest.approx(0.0625)
    assert certainty(1.0, 2, agrees=False) == 1.0


@pytest.mark.parametrize(
    ("text", "similar", "expected"),
    [("sum(a)", "sum(a)\n", True), ("sum(b)", "sum(a)\n", False), ("sum(a)", "", None), ("a\nb", "a\n", True)],
)
def test_agreement(text, similar, expected):
    assert agreement(text, similar) is expected
