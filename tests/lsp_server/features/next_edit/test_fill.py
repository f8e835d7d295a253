"""A hole is filled by the engine, doubted like ghost text, and never more than one argument."""

import msgspec
import pytest
from desk import done

from lsp_server.features.next_edit.fill import expression, filled, hole_question
from lsp_server.features.next_edit.places import Place
from lsp_server.outcome import Reason
from lsp_server.positions import Position
from lsp_server.settings import Settings
from lsp_server.snapshot import Snapshot, open_document
from model.engine import api

HOLE = Place(Position(3, 3), Position(3, 3), "", ", ", hole=2)
TEXT = "def f(a, b):\n    return a\n\nf(1)\nx = 2\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x", "x"),
        (" x, y)", "x"),
        ("g(a, b)) + 1", "g(a, b)"),
        ("[1, 2]\nmore", "[1, 2]"),
        ('")", 2', '")"'),
        (")", ""),
        ("g(a", ""),
        ("'open", ""),
        ("", ""),
    ],
)
def test_the_first_argument_of_what_is_written(text, wanted):
    assert expression(text) == wanted


def test_the_question_is_about_the_document_as_it_will_be():
    snapshot = Snapshot(document=open_document("file:///w/a.py", "python", 1, TEXT), cursor=Position(0, 9), path="a.py")
    question = hole_question(snapshot, HOLE, 1024, Settings(), "id")
    prompt = question.prompt
    assert (prompt.line, prompt.tail.partition("\n")[0]) == ("f(1, ", ")")
    assert question.canvas == (api.Masked(max_tokens=16),)
    assert (question.id, question.purpose) == ("id", "next_edit")


def answer(text: str, **changes) -> api.Done:
    return msgspec.structs.replace(done(text, 0, 0.99), **changes)


def test_the_place_with_what_was_written():
    place = filled(HOLE, answer("x)"), Settings())
    assert place == Place(HOLE.start, HOLE.end, "", ", x")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (answer(")"), Reason.EMPTY_ANSWER),
        (answer("x\u202e"), Reason.UNSAFE_TEXT),
        (answer("x", confidence=0.4), Reason.LOW_CONFIDENCE),
        (answer("x", confidence=0.9, num_tokens=9), Reason.LOW_CONFIDENCE),
        (answer("x", reason="deadline"), Reason.DEADLINE),
        (answer("x", reason="cancelled"), Reason.CANCELLED),
    ],
)
def test_reasons_to_show_nothing(given, reason):
    assert filled(HOLE, given, Settings()) is reason


def test_a_user_may_ask_for_more_certainty():
    assert filled(HOLE, answer("x", confidence=0.9), Settings(confidence=0.95)) is Reason.LOW_CONFIDENCE
