"""Printing: what could drive a terminal is shown, what a person may want to read stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\x00b\rc\x7f", "a\\x00b\\x0dc\\x7f"),
        ("\x9b31m", "\\x9b31m"),
        ("access\u202e = nimda", "access\\u202e = nimda"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("lone \ud800 half", "lone \\ud800 half"),
        ("tag \U000e0041", "tag \\U000e0041"),
        ("line\u2028separator", "line\\u2028separator"),
    ],
)
def test_dangerous_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["", "def f(x):\n\treturn x  # ok\n", "größe = 'тест'", "木 = '🌱'"])
def test_ordinary_text_stays(text: str) -> None:
    assert printable(text) == text


@given(st.text(st.characters()))
def test_the_result_is_printable_and_encodes(text: str) -> None:
    shown = printable(text)
    shown.encode("utf-8")
    assert all(part.isprintable() or part in "\n\t" or part.isspace() for part in shown)
