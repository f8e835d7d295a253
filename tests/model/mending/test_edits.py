"""What a change is about, and the smallest edit that makes it."""

import pytest

from model.mending.edits import change_of, is_near, is_of_quotes, smallest
from model.mending.words import words_of


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("a = b", "a = c", "name"),
        ("retrun(x)", "return(x)", "spelling"),
        ("x = count", "x = coutn", "spelling"),
        ("f(things)", "self.f(things)", "self"),
        ("def f(a):", "def f(self, a):", "self"),
        ("a < b", "a <= b", "operator"),
        ("a is b", "a is not b", "operator"),
        ("if a:", "if not a:", "operator"),
        ("x == 1", "x = 1", "equals"),
        ("x = True", "x = False", "keyword"),
        ("x[0]", "x[1]", "number"),
        ("f(a, b)", "f(b, a)", "arguments"),
        ("f(a", "f(a)", "bracket"),
        ("f(a]", "f(a)", "bracket"),
        ("if a", "if a:", "colon"),
        ("f(a b)", "f(a, b)", "punctuation"),
        ("from x import", "from x import y", "added"),
        ("return return x", "return x", "removed"),
        ("x = 3", "x = y", "replaced"),
        ("x = a + b", "x = f(c)", "rewritten"),
    ],
)
def test_the_kind_of_a_change(old: str, new: str, kind: str) -> None:
    change = change_of(words_of(old), words_of(new))
    assert change is not None
    assert change.kind == kind


@pytest.mark.parametrize(
    ("old", "new"), [("a  = b", "a = b"), ("x = 'a'", "x = 'b'"), ("x = 1  # a", "x = 1  # b"), ("x", "x")]
)
def test_strings_comments_and_blanks_are_no_change(old: str, new: str) -> None:
    assert change_of(words_of(old), words_of(new)) is None


@pytest.mark.parametrize(
    ("old", "new"), [("a = b", "a == b"), ("f(aa)", "f(a)"), ("ab", "abab"), ("x", ""), ("é", "ö")]
)
def test_the_smallest_edit_makes_the_change(old: str, new: str) -> None:
    edit = smallest(old, new)
    assert edit.applied(old) == new
    assert edit.end - edit.start + len(edit.text) <= max(1, abs(len(new) - len(old))) + 1


@pytest.mark.parametrize(
    ("old", "new", "is_so"),
    [
        ("f('a)", "f('a')", True),
        ('x = a b"', 'x = "a b"', True),
        ('f("a"", b)', 'f("a", b)', True),
        ('x = f"{a} b', 'x = f"{a} b"', True),
        ("f(a", "f(a)", False),
        ('x = "a', 'x = "a")', False),
    ],
)
def test_a_change_of_quotes_alone(old: str, new: str, is_so: bool) -> None:
    assert is_of_quotes(old, new) is is_so


def test_near_words_are_one_slip_apart() -> None:
    for a, b in (("count", "coutn"), ("count", "cont"), ("count", "counnt"), ("count", "coint")):
        assert is_near(a, b), (a, b)
        assert is_near(b, a), (a, b)
    for a, b in (("count", "total"), ("ab", "ac"), ("count", "cou"), ("count", "ocutn")):
        assert not is_near(a, b), (a, b)
