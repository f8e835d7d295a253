"""Old versions of comprehensions and loops: each as the other, where the two are the same by form.

`xs = []; for a in b: xs.append(e)` and `xs = [e for a in b]`, sets and dicts alike, with one condition or none. The
name that is built must not stand in the parts, and the loop's variables nowhere else in the function. Source: this
project's design. Left out: several loops in one, `await`, `yield`, `:=`, and parts of several lines.
"""

import re
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import tree_sitter

from model.syntax.trees import captures
from model.training.rewrite_code import Code, Edit, Place, has_word, statements

MAX_LINE_CHARS = 88
_BUILDERS = "[(list_comprehension) (set_comprehension) (dictionary_comprehension)] @built"
_LOOPS = "(for_statement) @loop"
_SCOPED = "[(list_comprehension) (set_comprehension) (dictionary_comprehension) (generator_expression)] @scoped"
_TYPES = {"list_comprehension": "list", "set_comprehension": "set", "dictionary_comprehension": "dict"}
_EMPTY = {"list": "[]", "set": "set()", "dict": "{}"}
_EMPTY_TYPES = {"[]": "list", "list()": "list", "set()": "set", "{}": "dict", "dict()": "dict"}
_NOT_HERE = re.compile(r"\b(await|yield|async|lambda)\b|:=|\n|#")


class _Built(NamedTuple):
    """What is built: `item` (of a dict `key` and `item`) for each `left` in `right`, perhaps under a condition."""

    type: str
    key: str
    item: str
    left: str
    right: str
    condition: str

    def as_comprehension(self, indent: str, step: str, head: str) -> str:
        item = f"{self.key}: {self.item}" if self.type == "dict" else self.item
        parts = [item, f"for {self.left} in {self.right}"] + ([f"if {self.condition}"] if self.condition else [])
        a, b = "[]" if self.type == "list" else "{}"
        line = f"{head}{a}{' '.join(parts)}{b}"
        if len(indent) + len(line) <= MAX_LINE_CHARS:
            return line
        return f"{head}{a}\n" + "".join(f"{indent}{step}{part}\n" for part in parts) + indent + b

    def as_loop(self, indent: str, step: str, head: str, name: str) -> str:
        add = {
            "list": f"{name}.append({self.item})",
            "set": f"{name}.add({self.item})",
            "dict": f"{name}[{self.key}] = {self.item}",
        }[self.type]
        lines = [f"{head}{_EMPTY[self.type]}", f"{indent}for {self.left} in {self.right}:"]
        depth = indent + step
        if self.condition:
            lines.append(f"{depth}if {self.condition}:")
            depth += step
        return "\n".join([*lines, depth + add])

    def is_same_by_form(self, name: str) -> bool:
        parts = (self.key, self.item, self.left, self.right, self.condition)
        return not any(_NOT_HERE.search(part) for part in parts) and not any(has_word(part, name) for part in parts)


def comprehension(code: Code, rng: Random) -> Iterator[Place]:
    """Comprehensions that are assigned or returned, as loops."""
    for node in code.shuffled(_BUILDERS, "built", rng):
        built = _read_comprehension(code, node)
        statement = node.parent
        if built is None or statement is None:
            continue
        indent_of = statement
        if statement.type == "return_statement":
            name, head, ending = "result", "result = ", "return result"
        elif statement.type == "assignment" and statement.parent is not None:
            target = statement.child_by_field_name("left")
            if target is None or target.type not in ("identifier", "attribute"):
                continue
            indent_of = statement.parent
            name, head, ending = code.of(target), code.text[code.start(statement) : code.start(node)], ""
        else:
            continue
        if indent_of.type not in ("expression_statement", "return_statement") or not code.is_alone(indent_of):
            continue
        scope = _scope(code, indent_of)
        if scope is None or "\n" in head or not built.is_same_by_form(name):
            continue
        outside = _outside(code, scope, ())
        if not _is_local(built, outside) or (ending and has_word(outside, name)):
            continue
        indent = code.indent(indent_of)
        old = built.as_loop(indent, code.step, head, name) + (f"\n{indent}{ending}" if ending else "")
        start, end = code.span(indent_of)
        yield Place(start, end, (Edit(start, end, old),), "comprehension", {"type": built.type})


def loop(code: Code, rng: Random) -> Iterator[Place]:
    """Loops that build a list, set or dict, as comprehensions."""
    for node in code.shuffled(_LOOPS, "loop", rng):
        before = node.prev_named_sibling
        if before is None or before.type != "expression_statement" or before.named_child_count != 1:
            continue
        assigned = before.named_children[0]
        target, value = (assigned.child_by_field_name(field) for field in ("left", "right"))
        if assigned.type != "assignment" or target is None or value is None:
            continue
        name, kind = code.of(target), _EMPTY_TYPES.get(code.of(value))
        built = _read_loop(code, node, name, kind) if kind and target.type in ("identifier", "attribute") else None
        if built is None or not code.is_alone(before) or not code.is_alone(node) or not built.is_same_by_form(name):
            continue
        scope = _scope(code, before)
        if scope is None or not _is_local(built, _outside(code, scope, (node, *_rebinding(code, scope, built.left)))):
            continue
        start, end = code.start(before), code.end(node)
        head = code.text[start : code.start(value)]
        after = node.next_named_sibling
        returned = after is not None and code.of(after) == f"return {name}" and target.type == "identifier"
        if after is not None and returned and rng.random() < 0.5:
            head, end = "return ", code.end(after)
        old = built.as_comprehension(code.indent(before), code.step, head)
        yield Place(start, end, (Edit(start, end, old),), "loop", {"type": built.type})


def _read_comprehension(code: Code, node: tree_sitter.Node) -> _Built | None:
    children = node.named_children
    types = [child.type for child in children[1:]]
    if types not in (["for_in_clause"], ["for_in_clause", "if_clause"]):
        return None
    clause = children[1]
    left, right = clause.child_by_field_name("left"), clause.child_by_field_name("right")
    if left is None or right is None or clause.children[0].type == "async":
        return None
    condition = code.of(children[2].named_children[0]) if len(types) == 2 else ""
    key = item = children[0]
    if key.type == "pair":
        found_key, found_item = key.child_by_field_name("key"), key.child_by_field_name("value")
        if found_key is None or found_item is None:
            return None
        key, item = found_key, found_item
    elif key.type in ("list_splat", "dictionary_splat"):
        return None
    return _Built(_TYPES[node.type], code.of(key), code.of(item), code.of(left), code.of(right), condition)


def _read_loop(code: Code, node: tree_sitter.Node, name: str, kind: str) -> _Built | None:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    inner = statements(node.child_by_field_name("body"))
    if left is None or right is None or not inner or len(inner) != 1 or node.children[0].type == "async":
        return None
    if node.child_by_field_name("alternative") is not None or right.type in (
        "expression_list",
        "conditional_expression",
    ):
        return None
    condition = ""
    if inner[0].type == "if_statement":
        test = inner[0].child_by_field_name("condition")
        if test is None or inner[0].child_by_field_name("alternative") is not None:
            return None
        if test.type == "conditional_expression":
            return None
        condition = code.of(test)
        inner = statements(inner[0].child_by_field_name("consequence"))
        if not inner or len(inner) != 1:
            return None
    added = _added(code, inner[0], name, kind)
    return None if added is None else _Built(kind, added[0], added[1], code.of(left), code.of(right), condition)


def _added(code: Code, statement: tree_sitter.Node, name: str, kind: str) -> tuple[str, str] | None:
    """(key, item) of `name.append(item)`, `name.add(item)` or `name[key] = item`; of no dict the key is the item."""
    if statement.type != "expression_statement" or statement.named_child_count != 1:
        return None
    node = statement.named_children[0]
    if kind == "dict":
        target, value = node.child_by_field_name("left"), node.child_by_field_name("right")
        if node.type != "assignment" or target is None or value is None or target.type != "subscript":
            return None
        of, keys = target.child_by_field_name("value"), target.children_by_field_name("subscript")
        if of is None or code.of(of) != name or len(keys) != 1 or keys[0].type == "slice":
            return None
        return (code.of(keys[0]), code.of(value)) if value.type not in ("expression_list", "assignment") else None
    function, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
    if node.type != "call" or function is None or arguments is None or arguments.named_child_count != 1:
        return None
    argument = arguments.named_children[0]
    if code.of(function) != f"{name}.{'append' if kind == 'list' else 'add'}" or argument.type in (
        "list_splat",
        "keyword_argument",
        "generator_expression",
    ):
        return None
    return code.of(argument), code.of(argument)


def _scope(code: Code, node: tree_sitter.Node) -> tree_sitter.Node | None:
    """The function that the statement is in, or the module; None in a class, where loops leave attributes."""
    parent = node.parent
    while parent is not None and parent.type not in ("function_definition", "module"):
        if parent.type == "class_definition":
            return None
        parent = parent.parent
    return parent or code.root


def _outside(code: Code, scope: tree_sitter.Node, without: tuple[tree_sitter.Node, ...]) -> str:
    """The text of a scope without its comprehensions, which keep their names to themselves, and without some nodes."""
    start, end = code.span(scope)
    text, last = [], start
    gone = [code.span(node) for node in (*captures(scope, _SCOPED).get("scoped", []), *without)]
    for a, b in sorted(gone):
        text.append(code.text[last : max(last, a)])
        last = max(last, b)
    return " ".join([*text, code.text[last:end]])


def _rebinding(code: Code, scope: tree_sitter.Node, left: str) -> list[tree_sitter.Node]:
    """The loops of a scope that bind all the names themselves before they use them."""
    names = re.findall(r"[^\W\d]\w*", left)
    found = []
    for node in captures(scope, _LOOPS).get("loop", []):
        bound, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if bound is None or right is None or any(has_word(code.of(right), name) for name in names):
            continue
        if all(has_word(code.of(bound), name) for name in names):
            found.append(node)
    return found


def _is_local(built: _Built, outside: str) -> bool:
    names = re.findall(r"[^\W\d]\w*", built.left)
    return bool(names) and "." not in built.left and not any(has_word(outside, name) for name in names)
