"""Fixes as pure functions: which rows are named, which repairs may be offered, what their titles say."""

import pytest

from lsp_server.engine_link import EngineState
from lsp_server.features.fix import (
    Rows,
    all_syntax_errors,
    named_rows,
    num_errors,
    rows_of_syntax_error,
    sentence_of,
    statement_rows,
    usable,
    whole_words,
    why_no_engine,
)
from lsp_server.outcome import Reason
from model.engine import api

SOURCE = """\
@cached
def total(
    items,
    tax,
):
    rows = [
        item
        for item in items
    ]
    return sum(rows) * tax

class Cart:
    size = 1
"""


@pytest.mark.parametrize(
    ("row", "first", "last"),
    [
        (5, 5, 8),  # a statement over several lines, whichever of them is named
        (7, 5, 8),
        (9, 9, 10),  # and the blank line below it
        (11, 11, 11),  # the header of a class, not its body
        (12, 12, 12),
        (400, 12, 12),  # another server's diagnostic for a longer version
    ],
)
def test_the_rows_of_a_statement(row, first, last):
    assert statement_rows(SOURCE, "python", row, row) == Rows(first, last)


@pytest.mark.parametrize("row", [1, 2, 4])
def test_a_header_over_several_lines_is_named_whole_and_without_its_body(row):
    rows = statement_rows(SOURCE, "python", row, row)
    assert rows.first <= 1
    assert rows.last == 4


@pytest.mark.parametrize("row", [0, 150, 299])
def test_no_more_rows_than_the_engine_looks_at(row):
    source = "x = [\n" + "    1,\n" * 299 + "]\n"
    rows = statement_rows(source, "python", row, row)
    assert rows.first <= row <= rows.last
    assert rows.last - rows.first < 12


def test_a_language_without_a_grammar_and_an_empty_text():
    assert statement_rows("a\nb\n", "brainfuck", 1, 1) == Rows(1, 1)
    assert statement_rows("", "python", 0, 0) == Rows(0, 0)
    assert rows_of_syntax_error("", "python", 0, 0) is None
    assert rows_of_syntax_error("a (\n", "brainfuck", 0, 0) is None


@pytest.mark.parametrize(
    ("source", "row"),
    [
        ("def f(a)\n    return a\n", 0),
        ("def f(a:\n    return a\n", 0),
        ("x = 1\ny = [1, 2\nz = 3\n", 1),
        ("x = 1\nif x = 2:\n    pass\n", 1),
        ("class A:\n    def f(self):\n        retrun 1\n", 2),
        ("print('a\nx = 1\n", 0),
    ],
)
def test_the_parser_names_the_place_of_its_error(source, row):
    rows = rows_of_syntax_error(source, "python", row, row)
    assert rows is not None
    assert rows.by_parser
    assert rows.first <= row <= rows.last
    assert any(place.first <= row <= place.last for place in all_syntax_errors(source, "python"))


def test_sound_code_far_from_an_error_is_not_named():
    source = "x = 1\n" * 20 + "def f(a\n    return a\n"
    assert rows_of_syntax_error(source, "python", 2, 2) is None
    assert all_syntax_errors("x = 1\n", "python") == []


def test_a_syntax_error_counts_more_than_a_diagnostic():
    source = "def f(a)\n    return a\n"
    rows = named_rows(source, "python", (0, 0), [0])
    assert rows is not None
    assert rows.by_parser
    assert named_rows("x = 1\n", "python", (0, 0), [0]) == Rows(0, 0)
    assert named_rows("x = 1\n", "python", (0, 0), []) is None


def found(source: str, old: str, new: str, confidence: float = 0.5) -> api.Finding:
    start = source.index(old)
    return api.Finding(start=start, end=start + len(old), text=new, confidence=confidence, kind="replaced")


def test_a_repair_of_a_syntax_error_must_mend_it():
    source = "def f(a)\n    return a\n"
    rows = Rows(0, 1, by_parser=True)
    assert usable(source, "python", rows, [found(source, "return a", "return b")]) is Reason.UNSOUND_FIX
    (repair,) = usable(source, "python", rows, [found(source, "(a)", "(a):")])
    assert repair.applied(source) == "def f(a):\n    return a\n"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("x", "x", Reason.UNSOUND_FIX),
        ("x = 1", "x = (1", Reason.UNSOUND_FIX),
        ("y", "z", Reason.UNSOUND_FIX),  # not in the named row
        ("x = 1\ny", "z", Reason.UNSOUND_FIX),  # reaches beyond it
        ("x", "x\u200b", Reason.UNSAFE_TEXT),
        ("x", "\x00", Reason.UNSAFE_TEXT),
    ],
)
def test_what_is_never_offered(old, new, reason):
    source = "x = 1\ny = 2\n"
    assert usable(source, "python", Rows(0, 0), [found(source, old, new)]) is reason


@pytest.mark.parametrize(("start", "end"), [(-1, 0), (3, 2), (0, 99)])
def test_places_outside_the_text_are_dropped(start, end):
    odd = api.Finding(start=start, end=end, text="", confidence=1.0, kind="removed")
    assert usable("x = 1\n", "python", None, [odd]) is Reason.UNSOUND_FIX


def test_the_surest_comes_first_and_there_are_two_at_most():
    source = "x = a\n"
    findings = [found(source, "a", name, confidence) for name, confidence in (("b", 0.2), ("c", 0.9), ("d", 0.5))]
    assert [one.text for one in usable(source, "python", Rows(0, 0), findings)] == ["c", "d"]
    assert len(usable(source, "python", Rows(0, 0), findings, None)) == 3
    assert usable(source, "python", Rows(0, 0), []) is Reason.NOTHING_TO_FIX


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("x = totl", "x = total", "`totl` → `total`"),
        ("if x = 2", "if x == 2", "`=` → `==`"),
        ("f(a)", "f(a):", "add `:`"),
        ("f(a))", "f(a)", "remove `)`"),
        ("a.b", "self.a.b", "add `self.`"),
        ("return", "return None", "add `None`"),
        ("a < b", "a <= b", "`<` → `<=`"),
        ("`a`", "`ab`", "`a` → `ab`"),
        ("x", "x" * 90, "`x` → `" + "x" * 31 + "…`"),
    ],
)
def test_titles_show_whole_words(old, new, sentence):
    from model.mending.edits import smallest

    edit = smallest(old, new)
    (repair,) = usable(
        old, "brainfuck", None, [api.Finding(start=edit.start, end=edit.end, text=edit.text, confidence=1.0, kind="")]
    )
    assert sentence_of(repair) == sentence


def test_whole_words_are_the_same_change():
    for source, start, end, text in [("ab cd", 1, 4, "x"), ("a==b", 1, 2, "!"), ("", 0, 0, "a"), ("éa", 1, 2, "ü")]:
        left, old, new = whole_words(source, start, end, text)
        assert source[:left] + new + source[left + len(old) :] == source[:start] + text + source[end:]
        assert source[left : left + len(old)] == old


def test_errors_are_counted():
    assert num_errors(SOURCE, "python") == 0
    assert num_errors("def f(a)\n    pass\n", "python") > 0
    assert num_errors("(((", "brainfuck") == 0


def test_without_an_engine_there_is_a_reason():
    assert why_no_engine(EngineState(kind="loading"), "python", "fix") is Reason.LOADING
    assert why_no_engine(EngineState(kind="failed"), "python", "mend") is Reason.NO_ENGINE
