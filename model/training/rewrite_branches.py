"""Old versions of branches: without a guard, nested in place of an early return, with an else behind a return, and
if/else as a conditional expression or the other way round.

All but the missing guard mean the same by form. Source: this project's design; the kinds are those that pylint names
(no-else-return) and refactoring tools offer. Left out: `elif` chains and `match`.
"""

from collections.abc import Iterator
from itertools import pairwise
from random import Random

import tree_sitter

from model.training.rewrite_code import Code, Edit, Place, shifted, statements

MAX_WORD_CHARS = 50
MAX_LINE_CHARS = 100
GUARDS_AMONG_FIRST = 5
_BODIES = "[(function_definition body: (block) @body) (for_statement body: (block) @body)]"
_IFS = "(if_statement) @if"
_CONDITIONALS = "(conditional_expression) @conditional"
_EXITS = {
    "return_statement": "return",
    "raise_statement": "raise",
    "continue_statement": "continue",
    "break_statement": "break",
}
_OPPOSITE = {
    "==": "!=",
    "!=": "==",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
    "is": "is not",
    "is not": "is",
    "in": "not in",
    "not in": "in",
}


def guard(code: Code, rng: Random) -> Iterator[Place]:
    """The statement behind a guard, without the guard."""
    for block in code.shuffled(_BODIES, "body", rng):
        inner = block.named_children[:GUARDS_AMONG_FIRST]
        pairs = [(a, b) for a, b in pairwise(inner) if _exit(a) is not None and b.type != "comment"]
        if not pairs:
            continue
        found, behind = rng.choice(pairs)
        exit_statement, condition = _exit(found), found.child_by_field_name("condition")
        assert exit_statement is not None
        assert condition is not None
        words = {"action": code.of(exit_statement), "condition": code.of(condition)}
        if not all(_is_short(word) for word in words.values()) or not code.is_alone(found):
            continue
        start = code.start(found)
        yield Place(start, code.end(behind), (Edit(start, code.start(behind), ""),), "guard", words)


def early_return(code: Code, rng: Random) -> Iterator[Place]:
    """A guard and all behind it as one `if` with the opposite condition."""
    for block in code.shuffled(_BODIES, "body", rng):
        inner = block.named_children
        order = list(range(len(inner) - 1))
        rng.shuffle(order)
        for index in order:
            place = _nested(code, inner[index], inner[index + 1], inner[-1], opposite=True)
            if place is not None:
                yield place
                break


def no_else(code: Code, rng: Random) -> Iterator[Place]:
    """What follows an `if` that leaves, to the end of the block, in an `else`."""
    for node in code.shuffled(_IFS, "if", rng):
        block, behind = node.parent, node.next_named_sibling
        if block is not None and block.type == "block" and behind is not None and behind.type != "comment":
            place = _nested(code, node, behind, block.named_children[-1], opposite=False)
            if place is not None:
                yield place


def _nested(
    code: Code, found: tree_sitter.Node, behind: tree_sitter.Node, last: tree_sitter.Node, *, opposite: bool
) -> Place | None:
    """An `if` that leaves and the statements from `behind` to `last`, those one level deeper."""
    condition = found.child_by_field_name("condition")
    exit_statement = _exit(found) if opposite else _last_exit(found)
    if exit_statement is None or condition is None or not code.is_alone(found):
        return None
    start, end = code.start(found), code.end(last)
    if end - start > code.max_chars or not code.is_alone(last):
        return None
    rest = shifted(code.text[code.line_start(code.start(behind)) : end], code.step, deeper=True)
    if rest is None:
        return None
    indent, leaving = code.indent(found), code.of(exit_statement)
    action = _EXITS[exit_statement.type]
    if opposite:
        if "\n" in code.of(condition):
            return None
        old = f"if {_negated(code, condition)}:\n{rest}"
        if leaving not in ("return", "continue"):
            old += f"\n{indent}else:\n{indent}{code.step}{leaving}"
        return Place(start, end, (Edit(start, end, old),), "early-return", {"action": action})
    edit = Edit(code.end(found), end, f"\n{indent}else:\n{rest}")
    return Place(start, end, (edit,), "no-else", {"action": action})


def ternary(code: Code, rng: Random) -> Iterator[Place]:
    """Conditional expressions that are assigned or returned, as if/else."""
    for node in code.shuffled(_CONDITIONALS, "conditional", rng):
        statement = node.parent
        if statement is None or "\n" in code.of(node) or len(node.named_children) != 3:
            continue
        if statement.type == "assignment":
            if statement.child_by_field_name("type") is not None or statement.parent is None:
                continue
            statement = statement.parent
        if statement.type not in ("expression_statement", "return_statement") or not code.is_alone(statement):
            continue
        start, end = code.span(statement)
        head = code.text[start : code.start(node)]
        if code.end(node) != end or "\n" in head:
            continue
        yes, condition, no = (code.of(child) for child in node.named_children)
        indent, step = code.indent(statement), code.step
        old = f"if {condition}:\n{indent}{step}{head}{yes}\n{indent}else:\n{indent}{step}{head}{no}"
        yield Place(start, end, (Edit(start, end, old),), "ternary")


def if_else(code: Code, rng: Random) -> Iterator[Place]:
    """An if/else with the same assignment or a return in both branches, as a conditional expression."""
    for node in code.shuffled(_IFS, "if", rng):
        alternatives = node.children_by_field_name("alternative")
        condition = node.child_by_field_name("condition")
        if len(alternatives) != 1 or alternatives[0].type != "else_clause" or condition is None:
            continue
        yes = _value(code, statements(node.child_by_field_name("consequence")))
        no = _value(code, statements(alternatives[0].child_by_field_name("body")))
        if yes is None or no is None or yes[0] != no[0] or not code.is_alone(node):
            continue
        old = f"{yes[0]}{yes[1]} if {code.of(condition)} else {no[1]}"
        if "\n" in old or len(code.indent(node)) + len(old) > MAX_LINE_CHARS:
            continue
        start, end = code.span(node)
        yield Place(start, end, (Edit(start, end, old),), "if-else")


def _value(code: Code, inner: list[tree_sitter.Node] | None) -> tuple[str, str] | None:
    """(`name = ` or `return `, the value) of a block of one statement."""
    if not inner or len(inner) != 1 or not inner[0].named_children:
        return None
    node = inner[0]
    value = node.named_children[0]
    if node.type == "expression_statement" and node.named_child_count == 1 and value.type == "assignment":
        node = value
        right = node.child_by_field_name("right")
        if right is None or node.child_by_field_name("type") is not None:
            return None
        value = right
    elif node.type != "return_statement":
        return None
    if value.type in ("conditional_expression", "lambda", "assignment", "expression_list", "yield"):
        return None
    return code.text[code.start(node) : code.start(value)], code.of(value)


def _exit(node: tree_sitter.Node) -> tree_sitter.Node | None:
    """The only statement of an `if` without else, if it leaves the block."""
    return _last_exit(node) if _num_statements(node) == 1 else None


def _last_exit(node: tree_sitter.Node) -> tree_sitter.Node | None:
    """The last statement of an `if` without else, if it leaves the block."""
    block = node.child_by_field_name("consequence")
    if node.type != "if_statement" or block is None or node.child_by_field_name("alternative") is not None:
        return None
    last = block.named_children[-1] if block.named_children else None
    return last if last is not None and last.type in _EXITS else None


def _num_statements(node: tree_sitter.Node) -> int:
    block = node.child_by_field_name("consequence")
    return 0 if block is None else block.named_child_count


def _negated(code: Code, condition: tree_sitter.Node) -> str:
    """The opposite of a condition, as a person would write it."""
    text = code.of(condition)
    if condition.type == "not_operator":
        argument = condition.child_by_field_name("argument")
        return text if argument is None else code.of(argument)
    operators = condition.children_by_field_name("operators")
    if condition.type == "comparison_operator" and len(operators) == 1:
        operator = operators[0]
        opposite = _OPPOSITE.get(code.of(operator))
        if opposite is not None:
            start = code.start(condition)
            return text[: code.start(operator) - start] + opposite + text[code.end(operator) - start :]
    simple = ("identifier", "attribute", "call", "subscript", "parenthesized_expression")
    return f"not {text}" if condition.type in simple else f"not ({text})"


def _is_short(text: str) -> bool:
    return len(text) <= MAX_WORD_CHARS and "\n" not in text
