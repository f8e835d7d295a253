"""Python functions' parameters, and the arguments of their calls: what a changed signature is compared with.

Source: tree-sitter's node types. `self` and `cls` are no parameters here, since no call names them. Left out: other
languages, positional-only marks, which call reaches which function (names.py knows whose name it is).
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import tree_sitter

from model.syntax.incremental import Parsed

ParameterKind = Literal["plain", "keyword_only", "splat"]

_SPLATS = frozenset(("list_splat_pattern", "dictionary_splat_pattern"))
_UNPACKED = frozenset(("list_splat", "dictionary_splat"))


class Parameter(NamedTuple):
    name: str
    kind: ParameterKind
    has_default: bool


class Signature(NamedTuple):
    """A function's header: `name` is its name's node; `holder` the class that it is a method of."""

    name: tree_sitter.Node
    parameters: tuple[Parameter, ...]
    holder: tree_sitter.Node | None


class Argument(NamedTuple):
    """One argument of a call: `keyword` is the name before its `=`, or empty."""

    node: tree_sitter.Node
    keyword: str
    is_unpacked: bool


def signatures(parsed: Parsed, first_row: int, last_row: int) -> list[Signature]:
    """The functions whose headers touch these rows, in the order of the text; broken headers are none."""
    found: list[Signature] = []
    waiting = [parsed.tree.root_node]
    while waiting:
        node = waiting.pop()
        if node.end_point[0] < first_row or node.start_point[0] > last_row:
            continue
        if node.type == "function_definition":
            one = _signature(node)
            if one is not None and _touches(node, first_row, last_row):
                found.append(one)
        waiting.extend(reversed(node.children))
    return found


def arguments(call: tree_sitter.Node) -> list[Argument] | None:
    """The arguments of a call, in order; None where they are a generator or broken."""
    listed = call.child_by_field_name("arguments")
    if listed is None or listed.type != "argument_list" or listed.has_error:
        return None
    return [_argument(node) for node in listed.named_children if node.type != "comment"]


def _touches(function: tree_sitter.Node, first_row: int, last_row: int) -> bool:
    name, parameters = function.child_by_field_name("name"), function.child_by_field_name("parameters")
    if name is None or parameters is None:
        return False
    return name.start_point[0] <= last_row and parameters.end_point[0] >= first_row


def _signature(function: tree_sitter.Node) -> Signature | None:
    name, listed = function.child_by_field_name("name"), function.child_by_field_name("parameters")
    if name is None or listed is None or name.is_missing or listed.has_error:
        return None
    holder = _holder(function)
    parameters = list(_parameters(listed))
    if holder is not None and parameters and parameters[0].kind == "plain" and parameters[0].name in ("self", "cls"):
        del parameters[0]
    return Signature(name, tuple(parameters), holder)


def _holder(function: tree_sitter.Node) -> tree_sitter.Node | None:
    above = function.parent
    if above is not None and above.type == "decorated_definition":
        above = above.parent
    body = above if above is not None and above.type == "block" else None
    return body.parent if body is not None and body.parent and body.parent.type == "class_definition" else None


def _parameters(listed: tree_sitter.Node) -> Iterator[Parameter]:
    is_behind_star = False
    for node in listed.named_children:
        if node.type in ("keyword_separator", "positional_separator"):
            is_behind_star |= node.type == "keyword_separator"
            continue
        target = node if node.type != "typed_parameter" else node.named_children[0]
        if target.type in _SPLATS:
            is_behind_star |= target.type == "list_splat_pattern"
            yield Parameter(_text(target.named_children[0]) if target.named_children else "", "splat", True)
            continue
        name = target.child_by_field_name("name") or target
        if name.type == "identifier":
            kind = "keyword_only" if is_behind_star else "plain"
            yield Parameter(_text(name), kind, node.child_by_field_name("value") is not None)


def _argument(node: tree_sitter.Node) -> Argument:
    name = node.child_by_field_name("name") if node.type == "keyword_argument" else None
    return Argument(node, "" if name is None else _text(name), node.type in _UNPACKED)


def _text(node: tree_sitter.Node) -> str:
    return "" if node.text is None else node.text.decode("utf-8", "surrogatepass")
