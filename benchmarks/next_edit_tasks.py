"""Tasks for the benchmark `next_edit`: changes that a script makes in held-out files, and what they ask for.

What is right is told by Python's own symbol tables and syntax trees (names_oracle.py, `ast`), never by the rules that
are measured. Files are taken as `ast.unparse` writes them, so that every statement has its own line and a signature can
be put in by its line. Left out: other languages; changes in several files.
"""

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from random import Random
from typing import NamedTuple, TypeGuard, TypeVar

from benchmarks.names_oracle import MODULE, Variable, variables
from lsp_server.features.next_edit.token_diff import tokens

T = TypeVar("T")
PER_FILE = 3
NEW_NAME = "renamed"
MIN_USES = 4


class Task(NamedTuple):
    """The texts of a document, one after the other, and what it becomes; None where nothing should follow."""

    kind: str
    texts: tuple[str, ...]
    wanted: str | None


def distance(one: str, other: str) -> int:
    """How many tokens differ between two texts, line by line; a number of its own where their lines are not as many."""
    lines, others = one.splitlines(), other.splitlines()
    if len(lines) != len(others):
        return abs(len(lines) - len(others)) * 1_000
    return sum(_difference(*pair) for pair in zip(lines, others, strict=True) if pair[0] != pair[1])


def _difference(one: str, other: str) -> int:
    counts, others = (Counter(token.text for token in tokens(line)) for line in (one, other))
    return (counts - others).total() + (others - counts).total()


def tasks_of(text: str, rng: Random) -> list[Task]:
    """The tasks that one file gives; none for a file that Python does not read."""
    try:
        source = ast.unparse(_without_future(ast.parse(text))) + "\n"
        tree, names = ast.parse(source), variables(source)
    except (SyntaxError, ValueError, RecursionError):
        return []
    found: list[Task] = []
    rng.shuffle(names)
    for make in MAKERS:
        found += islice(make(source, tree, names, rng), PER_FILE)
    return found


def _without_future(tree: ast.Module) -> ast.Module:
    """The file without `from __future__ import annotations`, behind which Python does not resolve annotations."""
    tree.body = [node for node in tree.body if not (isinstance(node, ast.ImportFrom) and node.module == "__future__")]
    return tree


def _shuffled(items: Iterable[T], rng: Random) -> list[T]:
    found = list(items)
    return rng.sample(found, len(found))


# Renames


def _renamed_variables(source: str, tree: ast.Module, names: list[Variable], rng: Random) -> Iterator[Task]:
    bound = {(node.lineno - 1, node.col_offset) for node in ast.walk(tree) if _binds(node)}
    others = _names_without_place(tree)
    for variable in names:
        if variable.scope == MODULE or len(variable.places) < 3 or variable.name in (*others, "self", "cls"):
            continue
        if variable.places[0] not in bound:
            continue
        keywords = _keywords_of(variable, tree)
        changed = _replaced(source, variable.places[:1], variable.name)
        yield Task(
            "rename, variable", (source, changed), _replaced(source, (*variable.places, *keywords), variable.name)
        )


def _binds(node: ast.AST) -> TypeGuard[ast.arg | ast.Name]:
    return isinstance(node, ast.arg) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))


def _names_without_place(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler):
            found.add(node.name or "")
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.Global | ast.Nonlocal):
            found.update(node.names)
        elif isinstance(node, ast.MatchAs | ast.MatchStar):
            found.add(node.name or "")
    return found


def _keywords_of(variable: Variable, tree: ast.Module) -> list[tuple[int, int]]:
    """Where calls in this file name the parameter that `variable` is."""
    for function in _functions(tree):
        if variable.places[0] in {(one.lineno - 1, one.col_offset) for one in _parameters(function)}:
            calls = _calls_of(function, tree)
            return [
                (one.lineno - 1, one.col_offset) for call in calls for one in call.keywords if one.arg == variable.name
            ]
    return []


def _renamed_attributes(source: str, tree: ast.Module, names: list[Variable], rng: Random) -> Iterator[Task]:
    for holder in _shuffled((node for node in tree.body if isinstance(node, ast.ClassDef)), rng):
        inside = list(ast.walk(holder))
        if any(isinstance(node, ast.ClassDef) for node in inside if node is not holder):
            continue
        body = {name for node in holder.body for name in _bound_by(node)}
        places: dict[str, list[tuple[int, int, bool]]] = {}
        for node in inside:
            if _is_own(node):
                place = (node.end_lineno or 1) - 1, (node.end_col_offset or 0) - len(node.attr.encode())
                places.setdefault(node.attr, []).append((*place, isinstance(node.ctx, ast.Store)))
        for name, found in places.items():
            found.sort()
            if name in body or len(found) < 3 or not found[0][2]:
                continue
            every = tuple((row, column) for row, column, _ in found)
            yield Task(
                "rename, attribute", (source, _replaced(source, every[:1], name)), _replaced(source, every, name)
            )


def _bound_by(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _is_own(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _replaced(source: str, places: tuple[tuple[int, int], ...], name: str, new: str = NEW_NAME) -> str:
    lines = source.encode().split(b"\n")
    for row, column in sorted(set(places), reverse=True):
        end = column + len(name.encode())
        assert lines[row][column:end] == name.encode(), "the oracle names places of this name"
        lines[row] = lines[row][:column] + new.encode() + lines[row][end:]
    return b"\n".join(lines).decode()


# Signatures


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Functions whose calls this file tells by their name: defined once, at the top or in a class; constructors too."""
    defined = Counter(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )
    stored = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)}
    for holder in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))):
        for node in (node for node in holder.body if isinstance(node, ast.FunctionDef)):
            in_class = isinstance(holder, ast.ClassDef)
            name = holder.name if in_class and node.name == "__init__" else node.name
            if defined[name] == 1 and name not in stored:
                yield node


def _calls_of(function: ast.FunctionDef, tree: ast.Module) -> list[ast.Call]:
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    holder = next((node for node in classes if function in node.body), None)
    is_constructor = holder is not None and function.name == "__init__"
    name = function.name if holder is None else holder.name if is_constructor else None
    found = []
    for node in ast.walk(tree if holder is None or is_constructor else holder):
        if isinstance(node, ast.Call):
            is_name = isinstance(node.func, ast.Name) and node.func.id == name
            if is_name or (name is None and _is_own(node.func) and node.func.attr == function.name):
                found.append(node)
    return found


def _parameters(function: ast.FunctionDef) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def _without_parameter(tree: ast.Module, rng: Random) -> Iterator[tuple[ast.Module, ast.Module]]:
    """For each parameter that calls give: the file without it in its function's header, and without it in the calls."""
    for function in _shuffled(_functions(tree), rng):
        calls = _calls_of(function, tree)
        plain = [*function.args.posonlyargs, *function.args.args]
        if not calls or any(_is_unpacked(call) for call in calls):
            continue
        offset = 1 if function not in tree.body and plain and plain[0].arg in ("self", "cls") else 0
        for index in _shuffled(range(offset, len(plain)), rng)[:1]:
            header, done = copy.deepcopy(tree), copy.deepcopy(tree)
            for one in (header, done):
                _drop_parameter(_same(function, one), index)
            changed = _same(function, done)
            num = sum(_drop_argument(call, index - offset, plain[index].arg) for call in _calls_of(changed, done))
            if num:
                yield header, done


def _same(function: ast.FunctionDef, tree: ast.Module) -> ast.FunctionDef:
    return next(one for one in _functions(tree) if (one.name, one.lineno) == (function.name, function.lineno))


def _is_unpacked(call: ast.Call) -> bool:
    return any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords)


def _drop_parameter(function: ast.FunctionDef, index: int) -> None:
    arguments = function.args
    num_plain = len(arguments.posonlyargs) + len(arguments.args)
    at_default = index - (num_plain - len(arguments.defaults))
    if at_default >= 0:
        del arguments.defaults[at_default]
    if index < len(arguments.posonlyargs):
        del arguments.posonlyargs[index]
    else:
        del arguments.args[index - len(arguments.posonlyargs)]


def _drop_argument(call: ast.Call, index: int, name: str) -> bool:
    if index < len(call.args):
        del call.args[index]
        return True
    kept = [one for one in call.keywords if one.arg != name]
    is_gone = len(kept) < len(call.keywords)
    call.keywords = kept
    return is_gone


def _removed_parameters(source: str, tree: ast.Module, names: list[Variable], rng: Random) -> Iterator[Task]:
    for header, done in _without_parameter(tree, rng):
        yield Task("parameter removed", (source, ast.unparse(header) + "\n"), ast.unparse(done) + "\n")


def _added_parameters(source: str, tree: ast.Module, names: list[Variable], rng: Random) -> Iterator[Task]:
    """A removal backwards: the calls of the original are what is wanted."""
    for header, done in _without_parameter(tree, rng):
        before = ast.unparse(done) + "\n"
        full, less = source.split("\n"), (ast.unparse(header) + "\n").split("\n")
        rows = [row for row, pair in enumerate(zip(full, less, strict=False)) if pair[0] != pair[1]]
        if len(full) != len(less) or len(rows) != 1 or len(before.split("\n")) != len(full):
            continue
        lines = before.split("\n")
        lines[rows[0]] = full[rows[0]]
        yield Task("parameter added", (before, "\n".join(lines)), source)


# Repetitions


def _repeated_attributes(source: str, tree: ast.Module, names: list[Variable], rng: Random) -> Iterator[Task]:
    places: dict[str, list[tuple[int, int]]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not _is_own(node):
            row, column = (node.end_lineno or 1) - 1, (node.end_col_offset or 0) - len(node.attr.encode())
            places.setdefault(node.attr, []).append((row, column))
    for name, found in _shuffled(places.items(), rng):
        by_row = {row: (row, column) for row, column in sorted(found)}
        rows = list(by_row.values())
        if len(rows) < MIN_USES or len(rows) != len(found):
            continue
        steps = [source, *(_replaced(source, tuple(rows[:num]), name) for num in (1, 2))]
        yield Task("repetition, attribute", tuple(steps), _replaced(source, tuple(rows), name))


def _repeated_arguments(source: str, tree: ast.Module, names: list[Variable], rng: Random) -> Iterator[Task]:
    """The same keyword added to calls of one function, which are statements or assigned."""
    groups: dict[str, list[ast.Call]] = {}
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Expr | ast.Assign | ast.Return) else None
        if isinstance(value, ast.Call) and value.lineno == value.end_lineno and (value.args or value.keywords):
            groups.setdefault(ast.dump(value.func), []).append(value)
    for calls in _shuffled(groups.values(), rng):
        calls.sort(key=lambda call: call.lineno)
        if len(calls) < MIN_USES:
            continue
        ends = tuple((call.lineno - 1, (call.end_col_offset or 1) - 1) for call in calls)
        steps = [source, *(_inserted(source, ends[:num]) for num in (1, 2))]
        yield Task("repetition, argument", tuple(steps), _inserted(source, ends))


def _inserted(source: str, places: tuple[tuple[int, int], ...]) -> str:
    lines = source.encode().split(b"\n")
    for row, column in sorted(places, reverse=True):
        lines[row] = lines[row][:column] + b", strict=True" + lines[row][column:]
    return b"\n".join(lines).decode()


# What nothing follows from


def _other_variable(source: str, tree: ast.Module, names: list[Variable], rng: Random) -> Iterator[Task]:
    by_scope: dict[int, list[Variable]] = {}
    for variable in names:
        if variable.scope != MODULE:
            by_scope.setdefault(variable.scope, []).append(variable)
    for one, other, *_ in (found for found in by_scope.values() if len(found) > 1):
        place = one.places[-1]
        if len(one.places) > 2 and place[0] != one.places[0][0]:
            yield Task("nothing: another variable", (source, _replaced(source, (place,), one.name, other.name)), None)


def _other_constant(source: str, tree: ast.Module, names: list[Variable], rng: Random) -> Iterator[Task]:
    for node in _shuffled(ast.walk(tree), rng):
        if isinstance(node, ast.Constant) and type(node.value) is int and node.lineno == node.end_lineno:
            lines = source.encode().split(b"\n")
            row = node.lineno - 1
            lines[row] = lines[row][: node.col_offset] + b"4711" + lines[row][node.end_col_offset :]
            yield Task("nothing: a number", (source, b"\n".join(lines).decode()), None)


def _deleted_statement(source: str, tree: ast.Module, names: list[Variable], rng: Random) -> Iterator[Task]:
    for node in _shuffled(ast.walk(tree), rng):
        if isinstance(node, ast.Expr | ast.Assign) and node.lineno == node.end_lineno:
            lines = source.split("\n")
            yield Task(
                "nothing: a line deleted", (source, "\n".join((*lines[: node.lineno - 1], *lines[node.lineno :]))), None
            )


def _new_line(source: str, tree: ast.Module, names: list[Variable], rng: Random) -> Iterator[Task]:
    lines = source.split("\n")
    for row in _shuffled(range(1, len(lines) - 1), rng):
        if lines[row].strip():
            indent = lines[row][: len(lines[row]) - len(lines[row].lstrip())]
            added = (*lines[:row], f"{indent}result = compute(value)", *lines[row:])
            yield Task("nothing: a new line", (source, "\n".join(added)), None)


Maker = Callable[[str, ast.Module, list[Variable], Random], Iterator[Task]]
MAKERS: tuple[Maker, ...] = (
    _renamed_variables,
    _renamed_attributes,
    _removed_parameters,
    _added_parameters,
    _repeated_attributes,
    _repeated_arguments,
    _other_variable,
    _other_constant,
    _deleted_statement,
    _new_line,
)
