"""The filters together, and on any input. What each of them does stands in goldens/ (test_goldens.py reads them)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lsp_server.outcome import Reason
from lsp_server.shaping.draft import Draft, Surroundings
from lsp_server.shaping.pipeline import FILTERS, shape
from lsp_server.shaping.unsafe_text import refuse_unsafe_text
from lsp_server.snapshot import IndentStyle

CONTROLS = ["a\x00", "\x1b[31m", "a\x08", "\x85", "\x0c", "a\u2028b"]
INVISIBLE = ["a\u202eb", "\u2066x", "a\u200bb", "\ufeffa", "a\u00adb", "\U000e0041", "a\u200db", "\u200d", "x\ufe0fy"]
BROKEN = ["x\ud800", "x\udc00", "caf\ufffd"]

PIECES = [*"ab ()[]{}\"'`:,;=#\\\t\n\r", "😀", "é", "    ", "else:", "return x", "x = 1\n", "\r\n", "\u202e", "\ud83d"]
TEXT = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
LINE = TEXT.map(lambda text: text.replace("\r", "").replace("\n", "").replace("\u202e", "").replace("\ud83d", ""))


@pytest.mark.parametrize("text", [*CONTROLS, *INVISIBLE, *BROKEN])
def test_unsafe_text_is_refused(text):
    assert refuse_unsafe_text(Draft(text), Surroundings()) is Reason.UNSAFE_TEXT


def test_every_filter_is_in_the_pipeline_once_and_has_its_own_file():
    assert len({filter.__module__ for filter in FILTERS}) == len({*FILTERS}) == len(FILTERS)


@given(TEXT, LINE, LINE, st.lists(LINE, max_size=3), st.booleans(), st.sampled_from(["    ", "  ", "\t"]))
@example("x){", "if (", ") {", [], True, "    ")
@example("a);}\n}", "{ f(", ")  } }", [], False, "\t")
def test_whatever_is_shown_can_be_shown(text, before, after, below, single_line, unit):
    around = Surroundings(
        line_before=before,
        line_after=after,
        lines_below=tuple(below),
        indent=IndentStyle(unit),
        single_line=single_line,
    )
    shaped = shape(text, around)
    if isinstance(shaped, tuple):
        assert shaped[1] in {filter.__name__ for filter in FILTERS}
        return
    assert shaped.text.strip()
    assert not {"\r", "\u202e", "\ud83d"} & set(shaped.text)
    assert not (single_line and "\n" in shaped.text)
    assert 0 <= shaped.num_replaced <= len(after)
    characters = iter(shaped.text)
    assert all(character in characters for character in after[: shaped.num_replaced])


@given(TEXT, LINE, LINE)
def test_the_answers_own_characters_are_kept_in_their_order(text, before, after):
    """Filters cut, and change white space; they invent nothing."""
    shaped = shape(text, Surroundings(line_before=before, line_after=after))
    if isinstance(shaped, Draft):
        characters = iter(text)
        assert all(character in characters for character in shaped.text if not character.isspace())
