import pytest

from model.diffusion.block import asks_of, make_block, make_row, mask_rows
from model.diffusion.reading import Reading
from model.diffusion.states import DRAFT
from model.diffusion.unmasking import frontier_of, rows_to_unmask
from model.tokenizer import DEL, EOM, MASK


def block_of(pattern, *, end_open=True):
    """`_` is a mask, any other character a draft token."""
    rows = [mask_rows(1)[0] if char == "_" else make_row(64 + ord(char), DRAFT) for char in pattern]
    return make_block(rows, prev_locked=True, end_open=end_open)


def reading_of(pairs):
    labels, p = [label for label, _ in pairs], [p for _, p in pairs]
    return Reading(labels, p, [0.0] * len(p), labels, p)


@pytest.mark.parametrize(
    ("pattern", "labels", "frontier"),
    [
        ("____", [100, 101, EOM, 102], 2),
        ("____", [100, DEL, 101, EOM], 1),  # nothing visible to its right: surplus, so the end is at or before it
        ("__a_", [100, DEL, EOM], 3),  # a `<del>` before visible text is a surplus mask, not the end
        ("a___", [EOM, 100, 100], 1),
        ("____", [100, 101, 102, 103], 4),
    ],
)
def test_frontier(pattern, labels, frontier):
    block = block_of(pattern)
    asks = asks_of(block, "none")
    assert frontier_of(block, asks, reading_of([(label, 0.5) for label in labels])) == frontier


def test_a_closed_canvas_has_no_frontier():
    block = block_of("__", end_open=False)
    asks = asks_of(block, "none")
    assert frontier_of(block, asks, reading_of([(100, 0.9), (DEL, 0.9)])) == 2


def test_all_above_the_threshold_and_always_the_leftmost_are_taken():
    block = block_of("____")
    asks = asks_of(block, "none")
    reading = reading_of([(100, 0.2), (101, 0.6), (102, 0.9), (103, 0.4)])
    assert rows_to_unmask(block, asks, reading, 4, 0.5) == [0, 1, 2]
    assert rows_to_unmask(block, asks, reading, 4, 1.1) == [0]
    assert rows_to_unmask(block, asks, reading, 2, 0.55) == [0, 1]
    assert rows_to_unmask(block, asks, reading, 0, 0.0) == []


def test_the_leftmost_mask_may_stand_behind_visible_rows():
    block = block_of("ab__")
    asks = asks_of(block, "none")
    assert [asks[m].index for m in rows_to_unmask(block, asks, reading_of([(100, 0.3)] * len(asks)), 4, 1.1)] == [2]


def test_visible_rows_are_never_unmasked():
    block = block_of("a_b")
    asks = asks_of(block, "substitute")
    assert [ask.token for ask in asks] == [64 + ord("a"), MASK, 64 + ord("b")]
    assert rows_to_unmask(block, asks, reading_of([(100, 0.99)] * 3), 3, 0.5) == [1]


def chosen(order, score=None, num_due=None, tau=2.0):
    block = block_of("a____")
    asks = asks_of(block, "none")
    reading = reading_of([(100, 0.2), (101, 0.6), (102, 0.9), (103, 0.4)])
    reading.score = score
    return rows_to_unmask(block, asks, reading, 5, tau, order=order, num_due=num_due)


def test_orders_of_foreign_networks_say_which_mask_is_always_taken():
    assert chosen("confidence") == [2]
    assert chosen("entropy", [-0.5, -0.1, -0.3, -0.2]) == [1]
    assert chosen("margin", [0.4, 0.1, 0.1, 0.1]) == [0]
    assert chosen("confidence", tau=0.5) == [1, 2]
    assert chosen("entropy", [-0.1, -0.2, -0.3, -0.4], tau=0.5) == [0, 1, 2]  # the threshold is always a probability


def test_a_quota_takes_the_first_in_order_whatever_the_threshold_says():
    assert chosen("confidence", num_due=3, tau=0.0) == [1, 2, 3]
    assert chosen("leftmost", num_due=2, tau=0.0) == [0, 1]
    assert chosen("confidence", [0.5] * 4, num_due=2) == [0, 1]  # of equal scores the leftmost goes first
    assert chosen("confidence", num_due=9) == [0, 1, 2, 3]


def test_what_is_written_counts_with_its_own_probability():
    block = block_of("__")
    reading = reading_of([(100, 0.9), (101, 0.8)])
    reading.sampled, reading.sampled_p = [105, 106], [0.1, 0.2]
    assert rows_to_unmask(block, asks_of(block, "none"), reading, 2, 2.0, order="confidence") == [1]
