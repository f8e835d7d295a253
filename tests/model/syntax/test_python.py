"""What CPython reads, and the line that it names."""

import pytest

from model.syntax.python import damaged_quotes, error_row, error_rows, parses


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("x = 1\n", True),
        ("", True),
        ("s = '\\d'\n", True),
        ("x = (\n", False),
        ("\0", False),
        ("  x\n y\n", False),
        ("(" * 500, False),
        ("x = " + "-" * 20_000 + "1\n", False),
    ],
)
def test_what_parses(text: str, whole: bool) -> None:
    assert parses(text) is whole


def test_the_parsers_line() -> None:
    assert error_row("a = 1\nb = = 2\n") == 1
    assert error_row("a = 1\n") is None
    assert error_row("\0") is None


def test_the_line_that_the_sentence_points_to_belongs_to_it() -> None:
    assert error_rows("a = 1\n") is None
    assert error_rows("a = 1\nb = = 2\n") == (1, 1)
    assert error_rows("x = [\n    1,\n    2\n)\n") == (0, 3)
    assert error_rows("if a:\nb\n") == (0, 1)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ('x = 1\ndef f():\n    ""A text.\n    More.\n    """\n', 2),
        ('def f():\n    """A text."\n', None),  # two are lost
        ('def f():\n    """A text.""\n\ndef g():\n    """Isn\'t."""\n', 1),
        ("def f():\n    ''''A text.'''\n\nx = (\n", None),  # parses as it is; another error
        ('x = ""\ny = f("", 1)\nz = (\n', None),
        ('x = """\n\n\ndef f():\n    """A text."""\n    return 1\n', 0),
        ('def f():\n    ""\n    A text.\n    """\n', 1),
        ('def f():\n    """\n    A text.\n    ""\n\n\ndef g():\n    """Another."""\n', 3),
    ],
)
def test_quotes_that_lost_one(text: str, row: int | None) -> None:
    assert damaged_quotes(text) == row


def test_a_text_full_of_doubtful_quotes_costs_little() -> None:
    assert damaged_quotes('""a\n' * 2000) is None
