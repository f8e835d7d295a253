"""Which names of a Python text are one variable, as Python itself resolves them: `symtable` and `ast`.

An oracle that shares nothing with model/syntax/names.py. Left out: what `ast` has no place for (the names of functions,
classes, imports, exceptions and patterns); attributes; annotations that a `__future__` import hides.
"""

import ast
import symtable
from collections.abc import Iterator
from typing import NamedTuple

_COMPREHENSIONS = {
    ast.ListComp: "listcomp",
    ast.SetComp: "setcomp",
    ast.DictComp: "dictcomp",
    ast.GeneratorExp: "genexpr",
}
_Functions = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Place = tuple[int, int]
MODULE = -1


class Variable(NamedTuple):
    """`places`: (row, byte column), ascending. `scope`: the id of what binds it, MODULE for globals and builtins."""

    name: str
    scope: int
    places: tuple[Place, ...]


def variables(source: str) -> list[Variable]:
    """Every variable with the places of its names. Raises what `compile` raises for broken code."""
    resolver = _Resolver(source)
    resolver.visit(ast.parse(source), [resolver.top])
    return [Variable(name, scope, tuple(sorted(places))) for (name, scope), places in resolver.found.items()]


class _Resolver:
    def __init__(self, source: str) -> None:
        self.top = symtable.symtable(source, "source", "exec")
        self.found: dict[tuple[str, int], set[Place]] = {}
        self._tables: dict[tuple[str, int], list[symtable.SymbolTable]] = {}
        self._collect(self.top)

    def _collect(self, table: symtable.SymbolTable) -> None:
        self._tables.setdefault((table.get_name(), table.get_lineno()), []).append(table)
        for child in table.get_children():
            self._collect(child)

    def _owner(self, name: str, chain: list[symtable.SymbolTable]) -> int:
        symbol = chain[-1].lookup(name)
        if len(chain) == 1 or symbol.is_global():
            return MODULE
        if symbol.is_local():
            return chain[-1].get_id()
        for table in reversed(chain[1:-1]):
            if table.get_type() != "class" and name in table.get_identifiers() and table.lookup(name).is_local():
                return table.get_id()
        return MODULE

    def visit(self, node: ast.AST, chain: list[symtable.SymbolTable]) -> None:
        if isinstance(node, ast.Name | ast.arg):
            name = node.id if isinstance(node, ast.Name) else node.arg
            if name.startswith("__") and not name.endswith("__"):
                return  # a class gives these another name
            place = node.lineno - 1, node.col_offset
            self.found.setdefault((name, self._owner(name, chain)), set()).add(place)
        elif isinstance(node, _Functions):
            self._visit_function(node, chain)
        elif isinstance(node, ast.ClassDef):
            self._visit_all([*node.decorator_list, *node.bases, *(one.value for one in node.keywords)], chain)
            self._visit_all(node.body, [*chain, self._tables[node.name, node.lineno][0]])
        elif type(node) in _COMPREHENSIONS:
            self._visit_comprehension(node, chain)
        else:
            self._visit_all(ast.iter_child_nodes(node), chain)

    def _visit_all(self, nodes, chain: list[symtable.SymbolTable]) -> None:
        for node in nodes:
            self.visit(node, chain)

    def _visit_function(self, node: _Functions, chain: list[symtable.SymbolTable]) -> None:
        arguments = node.args
        extra = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
        parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra]
        outside: list[ast.AST | None] = [*arguments.defaults, *arguments.kw_defaults]
        outside += [one.annotation for one in parameters]
        outside += [] if isinstance(node, ast.Lambda) else [*node.decorator_list, node.returns]
        self._visit_all([one for one in outside if one is not None], chain)
        name = "lambda" if isinstance(node, ast.Lambda) else node.name
        inner = [*chain, self._tables[name, node.lineno].pop(0)]
        self._visit_all(parameters, inner)
        self._visit_all([node.body] if isinstance(node, ast.Lambda) else node.body, inner)

    def _visit_comprehension(self, node: ast.AST, chain: list[symtable.SymbolTable]) -> None:
        first = node.generators[0].iter  # type: ignore[attr-defined]
        self.visit(first, chain)
        inner = [*chain, self._tables[_COMPREHENSIONS[type(node)], node.lineno].pop(0)]  # type: ignore[attr-defined]
        for part in self._parts(node):
            if part is not first:
                self.visit(part, inner)

    def _parts(self, node: ast.AST) -> Iterator[ast.AST]:
        for part in ast.iter_child_nodes(node):
            yield from ast.iter_child_nodes(part) if isinstance(part, ast.comprehension) else [part]
