"""Old versions of functions: without type hints, docstring, body, a default, a parameter, a decorator, or async.

A function that is too long is cut after whole lines, behind what was taken out. Source: this project's design; the
kinds of edit after InstructCoder (arXiv 2310.20329). Left out: callers that a new parameter would concern.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random

import tree_sitter

from model.syntax.trees import captures
from model.training.rewrite_code import Code, Edit, Place, is_docstring

MAX_WORD_CHARS = 40
_STUBS = (
    "pass",
    "...",
    "raise NotImplementedError",
    "raise NotImplementedError()",
    "# TODO\n{indent}pass",
    "return None",
)
_FUNCTIONS = "(function_definition) @function"
_DOCUMENTED = "[(function_definition) (class_definition)] @documented"
_DECORATED = "(decorated_definition definition: (function_definition)) @decorated"
_ASYNC = '(function_definition "async") @function'
_AWAITED = '[(await) "async"] @word'


def type_hints(code: Code, rng: Random) -> Iterator[Place]:
    """Functions without the types of their signature."""
    for function in code.shuffled(_FUNCTIONS, "function", rng):
        place = _cut(code, function, _signature_edits(code, function), "type-hints")
        if place is not None:
            yield place


def _signature_edits(code: Code, function: tree_sitter.Node) -> list[Edit]:
    parameters = function.child_by_field_name("parameters")
    if parameters is None:
        return []
    edits = []
    for child in parameters.named_children:
        if child.type == "typed_parameter" and child.named_children:
            edits.append(Edit(code.end(child.named_children[0]), code.end(child), ""))
        elif child.type == "typed_default_parameter":
            name, value = child.child_by_field_name("name"), child.child_by_field_name("value")
            if name is not None and value is not None:
                edits.append(Edit(code.end(name), code.start(value), "="))
    answer = function.child_by_field_name("return_type")
    if answer is not None:
        edits.append(Edit(code.end(parameters), code.end(answer), ""))
    return edits


def docstring(code: Code, rng: Random) -> Iterator[Place]:
    """Functions and classes without their docstring."""
    for node in code.shuffled(_DOCUMENTED, "documented", rng):
        body = node.child_by_field_name("body")
        if body is None or body.named_child_count < 2:
            continue
        first = body.named_children[0]
        if not is_docstring(first) or not code.is_alone(first):
            continue
        start, end = code.lines(first, first)
        end += code.text[end : end + 1] == "\n" and rng.random() < 0.5
        place = _cut(code, node, [Edit(start, end, "")], "docstring")
        if place is not None:
            yield place


def body(code: Code, rng: Random) -> Iterator[Place]:
    """Functions with a stub in place of their statements; the docstring stays."""
    for function in code.shuffled(_FUNCTIONS, "function", rng):
        start, end = code.span(function)
        block = function.child_by_field_name("body")
        if block is None or not block.named_children or end - start > code.max_chars:
            continue
        rest = block.named_children[1:] if is_docstring(block.named_children[0]) else block.named_children
        if not rest or not code.is_alone(rest[0]) or (len(rest) == 1 and rest[0].type == "pass_statement"):
            continue
        stub = rng.choice(_STUBS).format(indent=code.indent(rest[0]))
        edit = Edit(code.start(rest[0]), code.end(rest[-1]), stub)
        yield Place(start, end, (edit,), "body", {"name": _name(code, function)}, widens=False)


def default(code: Code, rng: Random) -> Iterator[Place]:
    """Functions whose first parameter with a default has none."""
    for function in code.shuffled(_FUNCTIONS, "function", rng):
        parameters = function.child_by_field_name("parameters")
        if parameters is None:
            continue
        with_default = [c for c in parameters.named_children if c.type.endswith("default_parameter")]
        if not with_default:
            continue
        name, value = (with_default[0].child_by_field_name(field) for field in ("name", "value"))
        if name is None or value is None or not _is_short(code.of(value)):
            continue
        before = value.prev_sibling
        assert before is not None
        end = code.start(before)
        while code.text[end - 1] == " ":
            end -= 1
        words = {"name": code.of(name), "value": code.of(value)}
        yield from _signature(code, function, Edit(end, code.end(value), ""), "default", words)


def parameter(code: Code, rng: Random) -> Iterator[Place]:
    """Functions without one of their parameters (never the first)."""
    for function in code.shuffled(_FUNCTIONS, "function", rng):
        parameters = function.child_by_field_name("parameters")
        children = [] if parameters is None else parameters.named_children
        plain = [
            (before, child)
            for before, child in pairwise(children)
            if child.type in ("identifier", "typed_parameter", "default_parameter", "typed_default_parameter")
            and before.type not in ("comment", "keyword_separator")
        ]
        if not plain:
            continue
        before, gone = rng.choice(plain)
        shown = code.of(gone)
        name = shown.split(":")[0].split("=")[0].strip()
        if "\n" in code.text[code.end(before) : code.end(gone)] or "*" in name:
            continue
        if _is_short(shown) and rng.random() < 0.6:
            name = shown
        words = {"name": name, "function": _name(code, function)}
        yield from _signature(code, function, Edit(code.end(before), code.end(gone), ""), "parameter", words)


def _signature(code: Code, function: tree_sitter.Node, edit: Edit, asks: str, words: dict[str, str]) -> Iterator[Place]:
    """A place from `def` to the colon."""
    colon = next((child for child in function.children if child.type == ":"), None)
    if colon is not None:
        yield Place(code.start(function), code.end(colon), (edit,), asks, words)


def decorator(code: Code, rng: Random) -> Iterator[Place]:
    """Functions without one of their decorators."""
    for node in code.shuffled(_DECORATED, "decorated", rng):
        function = node.child_by_field_name("definition")
        decorators = [child for child in node.named_children if child.type == "decorator"]
        if function is None or not decorators:
            continue
        gone = rng.choice(decorators)
        shown = code.of(gone).removeprefix("@")
        colon = next((child for child in function.children if child.type == ":"), None)
        if not _is_short(shown) or not code.is_alone(gone) or colon is None:
            continue
        words = {"decorator": shown, "name": _name(code, function)}
        asks = "property" if shown == "property" and rng.random() < 0.7 else "decorator"
        yield Place(code.start(node), code.end(colon), (Edit(*code.lines(gone, gone), ""),), asks, words)


def make_async(code: Code, rng: Random) -> Iterator[Place]:
    """Coroutines without `async` and `await`."""
    for function in code.shuffled(_ASYNC, "function", rng):
        edits = []
        for word in captures(function, _AWAITED).get("word", []):
            start = code.start(word)
            width = len("await ") if word.type == "await" else len("async ")
            if code.text[start : start + width] not in ("await ", "async "):
                break
            edits.append(Edit(start, start + width, ""))
        else:
            place = _cut(code, function, edits, "async")
            if place is not None:
                yield place


def _cut(code: Code, node: tree_sitter.Node, edits: Sequence[Edit], asks: str) -> Place | None:
    """The node, cut after whole lines where it is too long, if all its edits are in what is left."""
    start, end = code.span(node)
    if end - start > code.max_chars:
        end = code.text.rfind("\n", start, start + code.max_chars) + 1
    if not edits or max(edit.end for edit in edits) >= end:
        return None
    return Place(start, end, tuple(edits), asks, widens=False)


def _name(code: Code, function: tree_sitter.Node) -> str:
    name = function.child_by_field_name("name")
    return "it" if name is None else code.of(name)


def _is_short(text: str) -> bool:
    return len(text) <= MAX_WORD_CHARS and "\n" not in text
