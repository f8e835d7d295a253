"""Which rows a repair looks at: those of a statement, or where the parser stumbles."""

import pytest

from model.syntax.errors import (
    Rows,
    all_syntax_errors,
    first_error_row,
    named_rows,
    num_errors,
    rows_of_syntax_error,
    statement_rows,
)

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


DOCSTRINGS = '''\
def f():
    """Says it isn't one."""
    return 1


def g(a, b):
    """The "other" one."""
    return a
'''


@pytest.mark.parametrize(
    ("good", "bad", "row"),
    [
        ('    """Says', '    ""Says', 1),
        ('one."""\n    return 1', 'one.""\n    return 1', 1),
        ('one."""\n    return 1', 'one.""""\n    return 1', 1),
    ],
)
def test_where_a_docstring_lost_a_quote_the_error_is_named_elsewhere(good, bad, row):
    source = DOCSTRINGS.replace(good, bad)
    named = first_error_row(source, "python")
    assert named is not None
    assert rows_of_syntax_error(source, "python", named, named) == Rows(row, row, by_parser=True)
    assert all_syntax_errors(source, "python") == [Rows(row, row, by_parser=True)]


@pytest.mark.parametrize(
    ("source", "named", "row"),
    [
        (
            "x = f(\n    a,\n    b\n)\ny = g(\n    a,\n    (b,\n    c,\n)\nz = 1\n",
            4,
            6,
        ),
        ("self.f = lambda a: b\n    a, c\n)\n", 1, 0),  # unexpected indent
        ("x = [\n    f(a),\n    f(b)),\n    f(c),\n]\n", 2, 2),
    ],
)
def test_the_rows_reach_from_where_it_is_named_to_where_it_may_be(source, named, row):
    assert first_error_row(source, "python") == named
    rows = rows_of_syntax_error(source, "python", named, named)
    assert rows is not None
    assert rows.first <= row <= rows.last
    assert rows.last - rows.first < 12


def test_sound_texts_and_other_languages_have_their_own_first_error():
    assert first_error_row("x = 1\n", "python") is None
    assert first_error_row("(\n", "brainfuck") is None
    assert first_error_row("let a = 1;\nlet b = (2;\n", "javascript") == 1


def test_a_repair_in_rows_of_the_parser_must_mend():
    assert not Rows(0, 1, by_parser=True).allow(3, 3)
    assert Rows(0, 1, by_parser=True).allow(3, 2)
    assert Rows(0, 1).allow(3, 3)
    assert not Rows(0, 1).allow(3, 4)


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


def test_errors_are_counted():
    assert num_errors(SOURCE, "python") == 0
    assert num_errors("def f(a)\n    pass\n", "python") > 0
    assert num_errors("(((", "brainfuck") == 0
