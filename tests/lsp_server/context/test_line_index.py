"""Lines of other texts, found by how they begin."""

from lsp_server.context import line_index
from lsp_server.context.line_index import MAX_ALIKE, MAX_LINE_CHARS, LineIndex

ONE = ("import os\n", "\n", "    total = sum(prices)\n", "    total += 1\n")
TWO = ("total = 0\r\n", "totals = []\n", "x" * (MAX_LINE_CHARS + 1))


def test_lines_are_found_by_their_beginning_and_as_a_whole():
    index = LineIndex((ONE, TWO))
    assert len(index) == 5
    assert sorted((lines[row], lines is ONE) for lines, row in index.beginning_with("total =")) == [
        ("    total = sum(prices)\n", True),
        ("total = 0\r\n", False),
    ]
    assert [lines[row] for lines, row in index.equal_to("total = 0")] == ["total = 0\r\n"]
    assert list(index.equal_to("total")) == []
    assert list(index.beginning_with("xx")) == []
    assert len(list(index.beginning_with("total"))) == 4


def test_what_is_all_over_the_place_is_not_listed():
    index = LineIndex((("return\n",) * (MAX_ALIKE + 1), ("return 1\n",) * MAX_ALIKE))
    assert list(index.equal_to("return")) == []
    assert len(list(index.equal_to("return 1"))) == MAX_ALIKE
    assert list(index.beginning_with("retu")) == []


def test_no_texts_no_lines():
    assert list(LineIndex(()).beginning_with("a")) == []


def test_texts_that_are_known_are_not_sorted_again(monkeypatch):
    before = LineIndex((ONE, TWO))
    monkeypatch.setattr(line_index, "_sorted", None)
    again = LineIndex((TWO, ONE), before)
    assert len(again) == len(before)
    assert len(list(again.beginning_with("total"))) == 4
    assert len(LineIndex((ONE,), again)) == 3
