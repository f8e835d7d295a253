"""Text in pieces: together they are the whole text up to the first stop string, however it is cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.engine import api
from model.engine.protocols.written import Written

LETTERS = st.text("ab\n ", max_size=12)


def done(text: str, reason: api.DoneReason = "eom") -> api.Done:
    return api.Done(
        text=text,
        reason=reason,
        confidence=0.5,
        steps=1,
        forwards=1,
        num_tokens=1,
        prompt_tokens=1,
        cached_tokens=0,
        model="m",
        device="cpu",
        engine_ms=1.0,
    )


def cut(text: str, stops: list[str]) -> str:
    places = [text.find(stop) for stop in stops if stop and stop in text]
    return text[: min(places)] if places else text


@given(pieces=st.lists(LETTERS, max_size=6), stops=st.lists(st.text("ab\n ", max_size=3), max_size=3))
def test_pieces_are_the_text_up_to_the_first_stop_string(pieces, stops):
    written = Written(stops)
    given_away = [written.add(piece) for piece in pieces]
    given_away.append(written.finish(done("".join(pieces))))
    whole = "".join(pieces)
    assert "".join(given_away) == written.text == cut(whole, stops)
    assert written.is_cut == (cut(whole, stops) != whole or bool(written.stopped_by))


def test_a_stop_string_may_be_split_between_pieces():
    written = Written(["END"])
    assert [written.add(piece) for piece in ("abE", "N", "Dc")] == ["ab", "", ""]
    assert written.stopped_by == "END"
    assert written.add("d") == ""


def test_blanks_wait_for_the_text_to_go_on():
    written = Written()
    assert [written.add(piece) for piece in ("a\n", "\n", "b\n\n")] == ["a", "", "\n\nb"]
    assert written.finish(done("a\n\nb\n", "stop")) == "\n"


def test_what_was_given_away_is_not_taken_back():
    written = Written()
    written.add("abc")
    assert written.finish(done("ab", "stop")) == ""
    assert written.text == "abc"


@pytest.mark.parametrize(
    ("reason", "finish_reason"), [("eom", "stop"), ("stop", "stop"), ("length", "length"), ("deadline", "length")]
)
def test_why_a_text_ended(reason, finish_reason):
    written = Written()
    written.finish(done("a", reason))
    assert written.finish_reason == finish_reason
    assert written.is_over


def test_a_cut_text_stopped_whatever_the_engine_says():
    written = Written(["b"])
    written.add("ab")
    written.finish(done("abc", "cancelled"))
    assert (written.text, written.finish_reason) == ("a", "stop")


def test_a_text_of_no_tokens_is_over_before_it_begins():
    written = Written.unbegun()
    assert (written.text, written.is_over, written.finish_reason) == ("", True, "length")
