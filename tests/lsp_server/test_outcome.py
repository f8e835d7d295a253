"""Every reason has one sentence and a row; an outcome is items or a reason."""

import pytest

from lsp_server.outcome import Item, Outcome, Reason, nothing, troubleshooting_table
from lsp_server.positions import Position


def test_every_reason_has_its_own_sentence_and_row():
    sentences = [reason.value for reason in Reason]
    assert len(set(sentences)) == len(sentences)
    table = troubleshooting_table()
    for reason in Reason:
        assert reason.value.endswith(".")
        assert table.count(f"| `{reason.slug}` | {reason.value} |\n") == 1


def test_an_outcome_is_items_or_a_reason():
    item = Item("1", "x", Position(0, 0), Position(0, 0))
    assert Outcome(items=(item,)).reason is None
    assert nothing(Reason.STALE).items == ()
    for broken in ({}, {"items": (item,), "reason": Reason.STALE}):
        with pytest.raises(AssertionError):
            Outcome(**broken)


def test_the_sentence_names_the_limit_that_was_met():
    item = Item("1", "x", Position(0, 0), Position(0, 0))
    assert nothing(Reason.STALE).sentence == Reason.STALE.value
    assert nothing(Reason.LOW_CONFIDENCE, "0.12").sentence == f"{Reason.LOW_CONFIDENCE.value} (0.12)"
    assert Outcome(items=(item,)).sentence == ""


def test_the_log_names_where_items_came_from():
    item = Item("1", "x", Position(0, 0), Position(0, 0))
    assert Outcome(items=(item,)).name == "shown"
    assert Outcome(items=(item,), source="typed_along").name == "typed_along"
    assert nothing(Reason.MID_LINE).name == "mid_line"
