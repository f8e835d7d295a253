"""What CPython reads, and the line that it names."""

import pytest

from model.syntax.python import error_row, parses


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
