"""Lines: cut behind newlines alone, and nothing lost."""

import pytest

from model.lines import lines_of


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n", ["a\n"]),
        ("\n\nb", ["\n", "\n", "b"]),
        ("a\r\nb\rc\x0cd\u2028e\n", ["a\r\n", "b\rc\x0cd\u2028e\n"]),
    ],
)
def test_lines(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines
    assert "".join(lines_of(text)) == text
