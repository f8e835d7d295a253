"""The gate: the probability of the whole text, not of its tokens on average."""

import pytest

from lsp_server.features.gate import MAX_COUNTED_TOKENS, certainty


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
