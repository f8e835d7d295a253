"""An excerpt says the same of a changed line as the whole text would."""

import pytest

from model.lines import lines_of
from model.mending.soundness import Excerpt, excerpt_rows, num_errors
from model.syntax.python import parses
from tests.model.mending.conftest import TEXT, row_of


@pytest.mark.parametrize(
    ("part", "bad"),
    [
        ("if thing.kind", "if thing.kind == kind"),
        ("def count", "def count(self, kind:"),
        ("total += 1", "total += 1)"),
        ("return os", "return os.path.join(things[0, basket.count(kind))"),
        ("import os", "import"),
        ("class Basket", "class Basket("),
    ],
)
def test_a_damaged_line_reads_worse_and_the_true_one_well(part: str, bad: str) -> None:
    lines = lines_of(TEXT)
    row = row_of(TEXT, part)
    indent = lines[row][: len(lines[row]) - len(lines[row].lstrip())]
    excerpt = Excerpt(lines, row)
    assert excerpt.errors(lines[row]) == (0, True)
    num, reads = excerpt.errors(f"{indent}{bad}\n")
    assert num > 0
    assert not reads


def test_excerpts_are_short_and_whole() -> None:
    lines = lines_of(TEXT)
    first, last, _ = excerpt_rows(lines, row_of(TEXT, "total += 1"))
    assert lines[first].strip() == "def count(self, kind):"
    assert lines[last - 3].strip() == "return total"
    decorated = lines_of("class A:\n    @one\n    @two\n    def f(self):\n        return 1\n\n    x = 2\n")
    assert excerpt_rows(decorated, 1) == (1, 6, False)


def test_a_statement_that_is_too_long_is_said_to_be_cut() -> None:
    table = ["x = {\n", *(f"    {i}: {i},\n" for i in range(300)), "}\n"]
    assert excerpt_rows(table, 5)[2]
    assert excerpt_rows(table, 150)[2]
    assert not excerpt_rows(table[:40] + table[-1:], 20)[2]


def test_the_parsers() -> None:
    assert num_errors("x = 1\n") == 0
    assert num_errors("x = (1\ny = 2\n") > 0
    assert parses("x = '\\d'\n")
    assert not parses("x = = 1\n")
    assert not parses("x = '\0'\n")
    assert not parses("(" * 5000)
