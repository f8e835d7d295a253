"""The rules propose the repair of what a hand gets wrong."""

import pytest

from model.mending.rules import LineRules
from model.mending.scope import Scopes

AROUND = "import os\n\nclass C:\n    def f(self, name, count):\n        self.total = count\n        {}\n"


def proposed(line: str, *, is_broken: bool = False, begins_parameters: bool = False) -> set[str]:
    text = AROUND.format(line)
    scopes = Scopes(text)
    pool = sorted({name for _, name in scopes.places})
    start = text.index(line)
    rules = LineRules(line, start, scopes, pool, is_broken=is_broken, begins_parameters=begins_parameters)
    return {edit.applied(line) for edit in rules.edits()}


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ("return nmae", "return name"),
        ("return count + name", "return count - name"),
        ("if name == count:", "if name != count:"),
        ("if name is count:", "if name is not count:"),
        ("name == count", "name = count"),
        ("x = count[1]", "x = count[0]"),
        ("f(count, name)", "f(name, count)"),
        ("f(g(count, 1), name)", "f(name, g(count, 1))"),
        ("return total", "return self.total"),
        ("return self.name", "return name"),
        ("if name:", "if not name:"),
        ("return self.count", "return self.total"),
        ("return name name", "return name"),
        ("os.total.path", "os.path"),
        ("x = True", "x = False"),
    ],
)
def test_slips_are_undone(bad: str, good: str) -> None:
    assert good in proposed(bad)


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ("if name == count", "if name == count:"),
        ("f(name", "f(name)"),
        ("x = [name, count", "x = [name, count]"),
        ("f name)", "f(name)"),
        ("x name", "x = name"),
        ("x = {name count}", "x = {name: count}"),
        ("f(name count)", "f(name, count)"),
        ("os path", "os.path"),
        ("printname)", "print(name)"),
        ("f(name]", "f(name)"),
        ("x try name", "x.name"),
        ("for name self.total:", "for name in self.total:"),
        ("f(self):", "def f(self):"),
        ("self.count is None:", "if self.count is None:"),
        ("count > 1:", "while count > 1:"),
        (":", "else:"),
        ("KeyError as name:", "except KeyError as name:"),
        ("f(key=x: x + 1)", "f(key=lambda x: x + 1)"),
        ("x = name if count else", "x = name if count else None"),
        ("f(name=, count=1)", "f(name=None, count=1)"),
        ('f(""name")', 'f("name")'),
        ('f(name")', 'f("name")'),
        ('""A text."""', '"""A text."""'),
        ('f(name"", count)', 'f(name", count)'),
        ('f(rname", count)', 'f(r"name", count)'),
        ('x = {"name: f("count", [])}', 'x = {"name": f("count", [])}'),
    ],
)
def test_marks_are_tried_where_the_parser_is_lost(bad: str, good: str) -> None:
    wanted = proposed(bad.replace("printname", "totalname"), is_broken=True)
    assert good.replace("print(", "total(") in wanted


def test_a_first_parameter_may_be_missing() -> None:
    assert "self, name," in proposed("name,", begins_parameters=True)
    assert "self, name," not in proposed("name,")
    assert "def f(self):" in proposed("def f():")
    assert "def f(self, a):" in proposed("def f(a):")


def test_there_are_not_too_many() -> None:
    assert len(proposed("return self.total(name, count) == os.path.join(name, 1)")) < 400


def test_nothing_is_proposed_for_a_line_without_words() -> None:
    assert proposed("# only this") == set()
