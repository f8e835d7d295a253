"""Which occurrences of a name are one variable, against Python's own symbol tables."""

import ast
import symtable

import pytest

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


def by_symtable(source: str) -> dict[str, set[frozenset[tuple[int, int]]]]:
    """For each name the sets of places (row, byte column) that are one variable, as Python itself resolves names.

    Only plain names and parameters: ast tells no place for the others.
    """
    tables: dict[tuple[str, int], list[symtable.SymbolTable]] = {}

    def collect(table: symtable.SymbolTable) -> None:
        tables.setdefault((table.get_name(), table.get_lineno()), []).append(table)
        for child in table.get_children():
            collect(child)

    top = symtable.symtable(source, "s", "exec")
    collect(top)
    found: dict[tuple[str, object], set[tuple[int, int]]] = {}
    scopes = {ast.Lambda: "lambda", ast.ListComp: "listcomp", ast.DictComp: "dictcomp", ast.GeneratorExp: "genexpr"}

    def owner(name: str, chain: list[symtable.SymbolTable]) -> object:
        symbol = chain[-1].lookup(name)
        if symbol.is_global() or (len(chain) == 1):
            return "module"
        if symbol.is_local():
            return chain[-1].get_id()
        for table in reversed(chain[:-1]):
            if table.get_type() != "class" and name in table.get_identifiers() and table.lookup(name).is_local():
                return "module" if table is top else table.get_id()
        return "module"

    def note(name: str, node: ast.AST, chain: list[symtable.SymbolTable]) -> None:
        found.setdefault((name, owner(name, chain)), set()).add((node.lineno - 1, node.col_offset))  # type: ignore

    def visit(node: ast.AST, chain: list[symtable.SymbolTable]) -> None:
        if isinstance(node, ast.Name):
            note(node.id, node, chain)
        elif isinstance(node, ast.arg):
            note(node.arg, node, chain)
            return
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            args = node.args
            outside = [*args.defaults, *filter(None, args.kw_defaults)]
            every = [*args.args, *args.kwonlyargs, *filter(None, (args.vararg, args.kwarg))]
            outside += [one.annotation for one in every if one.annotation] + [getattr(node, "returns", None)]
            for one in filter(None, outside):
                visit(one, chain)
            name = "lambda" if isinstance(node, ast.Lambda) else node.name
            inner = [*chain, tables[name, node.lineno].pop(0)]
            for one in [*every, *(node.body if isinstance(node.body, list) else [node.body])]:
                visit(one, inner)
            return
        if isinstance(node, ast.ClassDef):
            for one in node.bases:
                visit(one, chain)
            for one in node.body:
                visit(one, [*chain, tables[node.name, node.lineno][0]])
            return
        if type(node) in scopes:
            visit(node.generators[0].iter, chain)  # type: ignore
            inner = [*chain, tables[scopes[type(node)], node.lineno].pop(0)]
            for part in ast.iter_child_nodes(node):
                for one in ast.iter_child_nodes(part) if isinstance(part, ast.comprehension) else [part]:
                    if one is not node.generators[0].iter:  # type: ignore
                        visit(one, inner)
            return
        for child in ast.iter_child_nodes(node):
            visit(child, chain)

    visit(ast.parse(source), [top])
    groups: dict[str, set[frozenset[tuple[int, int]]]] = {}
    for (name, _), places in found.items():
        groups.setdefault(name, set()).add(frozenset(places))
    return groups


def test_names_are_resolved_as_python_does():
    tree = parsed(SOURCE)
    for name, expected in by_symtable(SOURCE).items():
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


def test_two_names_count_as_one():
    found = variables("def f(new):\n    return old\nold = 1\n", "old", "new")
    assert [one[3] for one in found] == [("name", 0), ("name", 0), ("name", -1)]


def test_keywords_strings_and_comments_are_nobodys():
    assert variables("f(a=1)  # a\n'a'\n", "a") == [(0, 2, False, None)]


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
