"""Old versions of blocks: `with` as open and close or acquire and release, and `try` without its handler.

Source: this project's design. Left out: several managers in one `with`, several handlers, `else` and `finally`.
"""

import re
from collections.abc import Iterator
from random import Random

import tree_sitter

from model.training.rewrite_code import Code, Edit, Place, shifted

MAX_WORD_CHARS = 40
_WITHS = "(with_statement) @with"
_TRIES = "(try_statement) @try"
_LOCK = re.compile(r"lock|mutex|semaphore|condition", re.IGNORECASE)
_OPEN = re.compile(r"open|socket|connect|File|urlopen|cursor|Pool|Executor|Client|Session")
_LEAVES = re.compile(r"\b(return|break|continue|raise|yield)\b")


def with_statement(code: Code, rng: Random) -> Iterator[Place]:
    """A `with` over something that is closed, or over a lock, as it is without."""
    for node in code.shuffled(_WITHS, "with", rng):
        clause = node.named_children[0]
        if clause.type != "with_clause" or clause.named_child_count != 1 or node.children[0].type == "async":
            continue
        item = clause.named_children[0].child_by_field_name("value")
        block = node.child_by_field_name("body")
        if item is None or block is None or "\n" in code.of(clause) or not code.is_alone(node):
            continue
        if not block.named_children or not code.is_alone(block.named_children[0]):
            continue
        old = _without_with(code, node, item, block, rng)
        if old is not None:
            start, end = code.span(node)
            asks, words, text = old
            yield Place(start, end, (Edit(start, end, text),), asks, words)


def _without_with(
    code: Code, node: tree_sitter.Node, item: tree_sitter.Node, block: tree_sitter.Node, rng: Random
) -> tuple[str, dict[str, str], str] | None:
    indent, step = code.indent(node), code.step
    body = code.text[code.line_start(code.start(block)) : code.end(node)]
    if item.type == "as_pattern" and item.named_child_count == 2:
        value, name = (code.of(child) for child in item.named_children)
        if item.named_children[0].type != "call" or not _OPEN.search(value) or not name.isidentifier():
            return None
        asks, head, foot = "with", f"{name} = {value}", f"{name}.close()"
    elif item.type in ("identifier", "attribute") and _LOCK.search(code.of(item)):
        asks, head, foot = "with-lock", f"{code.of(item)}.acquire()", f"{code.of(item)}.release()"
    else:
        return None
    if not _LEAVES.search(body) and rng.random() < 0.6:
        plain = shifted(body, step, deeper=False)
        return None if plain is None else (asks, {"close": foot}, f"{head}\n{plain}\n{indent}{foot}")
    text = f"{head}\n{indent}try:\n{body}\n{indent}finally:\n{indent}{step}{foot}"
    return asks, {"close": foot}, text


def try_statement(code: Code, rng: Random) -> Iterator[Place]:
    """What is tried, without the handler."""
    for node in code.shuffled(_TRIES, "try", rng):
        parts = [child for child in node.named_children if child.type != "comment"]
        if [part.type for part in parts] != ["block", "except_clause"]:
            continue
        block, handler = parts
        caught, inner = handler.child_by_field_name("value"), handler.named_children[-1]
        if caught is None or inner.type != "block" or inner.named_child_count != 1 or not code.is_alone(node):
            continue
        exception, action = code.of(caught).split(" as ")[0], code.of(inner.named_children[0])
        if max(len(exception), len(action)) > MAX_WORD_CHARS or "\n" in exception + action:
            continue
        body = shifted(code.text[code.line_start(code.start(block)) : code.end(block)], code.step, deeper=False)
        if body is None or not block.named_children or not code.is_alone(block.named_children[0]):
            continue
        start, end = code.span(node)
        asks = "try-pass" if action == "pass" else "try"
        words = {"exception": exception, "action": action}
        yield Place(start, end, (Edit(start, end, body.lstrip(" \t")),), asks, words)
