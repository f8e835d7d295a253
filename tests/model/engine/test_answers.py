"""What chats say becomes code: the block, prose around it, indentation, ends that are missing."""

import pytest

from model.engine.answers import Answer, AnswerStop
from model.engine.chats import Change

OPEN = "```python\n"


def change(draft: str, *, lead: str = "", above: str = "", below: str = "") -> Change:
    return Change(above=above, lead=lead, draft=draft, below=below, locked=("", ""))


def new_text(written: str, draft: str = "x = 1", opening: str = OPEN, *, is_whole: bool = True, **around) -> str | None:
    return Answer(change(draft, **around), opening).new_text(written, is_whole=is_whole)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("x = 2\n```", "x = 2"),
        ("x = 2\n```\nThis sets x to 2.", "x = 2"),
        ("x = 2\n", "x = 2"),
        ("\nx = 2\n\n```\n", "x = 2"),
        ("```python\nx = 2\n```\n```\n", "x = 2"),
        ("Here is the code:\n\n```python\nx = 2\n```\nIt was `1` before.", "x = 2"),
        ("x = 2\n```\n\nOr:\n\n```python\nx = 3\n```\n", "x = 2"),
    ],
)
def test_the_code_of_a_fence_that_was_opened_already(written, expected):
    assert new_text(written) == expected


@pytest.mark.parametrize(
    "written",
    ["Sure.\n```python\nx = 2\n```\nDone.", "~~~py\nx = 2\n~~~", "````\nx = 2\n````"],
)
def test_the_code_of_an_answer_that_opens_its_fence_itself(written):
    assert new_text(written, opening="") == "x = 2"


def test_what_holds_no_code_has_none():
    assert new_text("I cannot do that.", opening="") is None
    assert new_text("```") is None
    assert new_text("\n  \n```\n") is None


def test_half_an_answer_is_none_unless_its_block_is_closed():
    assert new_text("x = 2\ny = ", is_whole=False) is None
    assert new_text("x = 2\n```\nThis is", is_whole=False) == "x = 2"


def test_the_old_indentation_and_line_end_come_back():
    lead, draft = "    ", "if a:\n        return 1\n"
    for written in ("if b:\n    return 2\n```", "    if b:\n        return 2\n```", "\tif b:\n\t    return 2\n```"):
        assert new_text(written, draft, lead=lead, above="def f():\n") == "if b:\n        return 2\n"


def test_a_blank_line_stays_empty_and_lines_keep_their_own_depth():
    written = "for x in y:\n    a()\n\n    if b:\n        c()\n```"
    text = new_text(written, "a()", lead="  ", above="def f():\n")
    assert text == "for x in y:\n      a()\n\n      if b:\n          c()"


def test_what_stands_inside_its_line_begins_there():
    assert new_text("  g(\n    2)\n```", "f(1)", above="x = ") == "g(\n    2)"


def test_code_that_holds_fences_goes_to_the_last_one():
    draft = 'text = """\n```\nold\n```\n"""'
    written = 'text = """\n```\nnew\n```\n"""\n```\nThat is all.'
    answer = Answer(change(draft), OPEN)
    assert answer.new_text(written, is_whole=True) == 'text = """\n```\nnew\n```\n"""'
    assert not answer.is_closed(written)


def test_the_sampler_stops_when_the_line_of_the_fence_is_whole():
    token_bytes = (b"",) * 64 + tuple(bytes([byte]) for byte in range(256))
    stop = AnswerStop(token_bytes, Answer(change("x"), OPEN))

    def ids(text: str) -> list[int]:
        return [64 + byte for byte in text.encode()]

    assert stop(ids("x = 2\n")) is None
    assert stop(ids("x = 2\n```")) is None
    assert stop(ids("x = 2\n```\n")) == len("x = 2\n```\n")
    assert stop(ids("So:\n```python\nx = 2\n")) is None


def test_only_the_code_is_shown():
    answer = Answer(change("x"), "")
    assert answer.shown("Let me think: ") == ""
    assert answer.shown("Let me think:\n```\nx = ") == "x ="


def test_half_a_fence_is_no_code():
    answer = Answer(change("x"), OPEN)
    assert answer.shown("x = 2\n``") == "x = 2"
    assert answer.shown("x = 2\n```python") == "x = 2"
    assert answer.shown("`") == ""
