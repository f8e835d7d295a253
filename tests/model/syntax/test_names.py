"""Which occurrences of a name are one variable, against Python's own symbol tables."""

import pytest

from benchmarks import names_oracle
from model.syntax.incremental import parse_lines
from model.syntax.names import at, occurrences, place_of

SOURCE = '''\
import x, x.y as z
from m import q, r as s

def f(a, b=x, *c: x, d: int = 1, **e) -> x:
    """a"""
    g = [a for a in a if b]
    def h():
        nonlocal g
        global x
        g, (k, *l) = a, x
        x = 1
        return lambda a, i=a: a + g + i
    with open(a) as k, l as (m, n): pass
    for k, l in c: k += l
    try: pass
    except E as k: pass
    if (w := [v for v in e if (t := v)]): return f(a=g), self.g
    match a:
        case j: return j
        case x.y: pass
    del k
    return {a: b for a in g for b in a}

class K(x):
    v = 1
    u: int
    def m(self, v, f=v):
        self.v = v
        cls.u = other.v
        return self.m() + K.v + other.v + m + u
    w = v
    def n(self): return [v for _ in self.v]

x = f(a=K)
'''


def parsed(source: str):
    return parse_lines(tuple(source.splitlines(keepends=True)), "python")


def test_names_are_resolved_as_python_does():
    tree = parsed(SOURCE)
    by_name: dict[str, set[frozenset[tuple[int, int]]]] = {}
    for variable in names_oracle.variables(SOURCE):
        by_name.setdefault(variable.name, set()).add(frozenset(variable.places))
    for name, expected in by_name.items():
        known = {place for group in expected for place in group}
        groups: dict[object, set[tuple[int, int]]] = {}
        for one in occurrences(tree, [name]):
            if (one.row, one.column) in known:
                groups.setdefault(one.variable, set()).add((one.row, one.column))
        assert set(map(frozenset, groups.values())) == expected, name


def variables(source: str, *names: str) -> list[tuple[int, int, bool, object]]:
    return [(one.row, one.column, one.is_binding, one.variable) for one in occurrences(parsed(source), names)]


def test_what_a_class_body_binds_is_reached_through_self():
    found = variables("class K:\n    v = 1\n    def m(self, v):\n        self.v = v\n        return other.v\n", "v")
    assert [one[3] for one in found] == [("attribute", 0), ("name", 23), ("attribute", 0), ("name", 23), None]
    assert [one[2] for one in found] == [True, True, True, False, False]


def test_an_attribute_is_bound_where_it_is_assigned_whatever_else_is():
    source = "class K:\n    def f(self):\n        self.a, b = 1\n        for self.a in b: self.a += self.a.c\n"
    assert [one[2] for one in variables(source, "a")] == [True, True, True, False]


def test_two_names_count_as_one():
    found = variables("def f(new):\n    return old\nold = 1\n", "old", "new")
    assert [one[3] for one in found] == [("name", 0), ("name", 0), ("name", -1)]


def test_keywords_strings_and_comments_are_nobodys():
    assert variables("f(a=1)  # a\n'a'\n", "a") == [(0, 2, False, None)]


def test_names_of_other_modules_and_classes_are_nobodys():
    source = "a = 1\nfrom a import b\nfrom .a import a as c\nimport b.a, a.b\nmatch a:\n    case K(a=d): pass\n"
    found = {(one.row, one.column): one.variable for one in occurrences(parsed(source), ["a"])}
    known = {place for place, variable in found.items() if variable is not None}
    assert len(found) == 8
    assert known == {(0, 0), (3, 12), (4, 6)}


def test_what_stands_in_broken_code_is_not_known():
    found = variables("def f(a):\n    x = a\n    (a\n", "a")
    assert [one[3] for one in found] == [("name", 0), ("name", 0), None]


def test_columns_are_characters():
    tree = parsed("x = '😀é'; y = x\n")
    assert [(one.column, one.end_column) for one in occurrences(tree, ["x"])] == [(0, 1), (14, 15)]
    assert at(occurrences(tree, ["x"]), 0, 14) is not None
    assert at(occurrences(tree, ["x"]), 0, 3) is None
    assert place_of(tree, (0, 18)) == (0, 14)


def test_other_languages_have_none():
    tree = parse_lines(("let x = 1;\n",), "javascript")
    assert tree is not None
    assert occurrences(tree, ["x"]) == []


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_rows_are_the_documents_lines(newline):
    tree = parse_lines((f"x = 1{newline}", f"y = x{newline}"), "python")
    assert tree is not None
    assert [one.row for one in occurrences(tree, ["x"])] == [0, 1]
