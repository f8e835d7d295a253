"""Old versions of idioms: `== None`, `not x in y`, `x = x + 1`, `super(A, self)`, `List[int]`, print for a logger.

Every form is its own rule with its own query; all places of one form in a selection become old. Source: the checks of
pycodestyle (E711, E713, E714, E722), pyupgrade and pylint that need no types. Left out: what only types would allow.
"""

import re
from collections.abc import Callable, Iterator
from random import Random

import tree_sitter

from model.training.rewrite_code import Code, Edit, Place

GENERAL_SHARE = 0.3
_COMPARED = "(comparison_operator) @node"
_TYPE_NAMES = {name: name.capitalize() for name in ("list", "dict", "set", "tuple", "type")}
_TYPE_NAMES["frozenset"] = "FrozenSet"
_LOGGER = re.compile(r"(self\.|cls\.)?_?(log|logger|logging|LOG|LOGGER)")
_LEVELS = ("debug", "info", "warning", "error")
_LOGGED = "(expression_statement (call function: (attribute) @function arguments: (argument_list) @arguments)) @node"

_Found = tuple[str, str, dict[str, str]]
_Rule = Callable[[Code, tree_sitter.Node], _Found | None]
"""(key of the instructions, the node's old text, what stands in the instruction); None if it is not this form."""


def _is_none(code: Code, node: tree_sitter.Node) -> _Found | None:
    operators = node.children_by_field_name("operators")
    if len(operators) != 1 or node.named_children[-1].type != "none":
        return None
    operator = {"is": "==", "is not": "!="}.get(code.of(operators[0]))
    if operator is None:
        return None
    text, start = code.of(node), code.start(node)
    return "is-none", text[: code.start(operators[0]) - start] + operator + text[code.end(operators[0]) - start :], {}


def _not_in(code: Code, node: tree_sitter.Node) -> _Found | None:
    operators = node.children_by_field_name("operators")
    word = code.of(operators[0]) if len(operators) == 1 else ""
    if word not in ("not in", "is not") or node.named_children[-1].type == "none":
        return None
    text, start = code.of(node), code.start(node)
    shown = "in" if word == "not in" else "is"
    old = f"not {text[: code.start(operators[0]) - start]}{shown}{text[code.end(operators[0]) - start :]}"
    parent = node.parent
    loose = parent is not None and parent.type in ("not_operator", "comparison_operator", "binary_operator")
    return None if loose else (word.replace(" ", "-"), old, {})


def _chain(code: Code, node: tree_sitter.Node) -> _Found | None:
    operators = node.children_by_field_name("operators")
    if (
        len(operators) != 2
        or node.named_child_count != 3
        or node.named_children[1].type not in ("identifier", "integer")
    ):
        return None
    if node.parent is not None and node.parent.type in ("not_operator", "comparison_operator", "boolean_operator"):
        return None
    a, b, c = (code.of(child) for child in node.named_children)
    first, second = (code.of(operator) for operator in operators)
    return "chain", f"{a} {first} {b} and {b} {second} {c}", {}


def _augmented(code: Code, node: tree_sitter.Node) -> _Found | None:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    operator = node.child_by_field_name("operator")
    simple = ("identifier", "integer", "float", "string", "call", "attribute", "subscript", "list")
    if left is None or right is None or operator is None or left.type != "identifier" or right.type not in simple:
        return None
    word = code.of(operator)
    return "augmented", f"{code.of(left)} = {code.of(left)} {word[:-1]} {code.of(right)}", {"operator": word}


def _super(code: Code, node: tree_sitter.Node) -> _Found | None:
    if code.of(node) != "super()":
        return None
    parent = node.parent
    while parent is not None and parent.type != "class_definition":
        parent = parent.parent
    name = None if parent is None else parent.child_by_field_name("name")
    return None if name is None else ("super", f"super({code.of(name)}, self)", {})


def _isinstance(code: Code, node: tree_sitter.Node) -> _Found | None:
    function, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
    if function is None or arguments is None or code.of(function) != "isinstance" or arguments.named_child_count != 2:
        return None
    what, types = arguments.named_children
    if types.type != "tuple" or what.type not in ("identifier", "attribute"):
        return None
    if node.parent is not None and node.parent.type in ("not_operator", "boolean_operator", "comparison_operator"):
        return None
    calls = [f"isinstance({code.of(what)}, {code.of(type_)})" for type_ in types.named_children]
    return ("isinstance", " or ".join(calls), {}) if 2 <= len(calls) <= 4 else None


def _literal(code: Code, node: tree_sitter.Node) -> _Found | None:
    text = code.of(node)
    call = {"[]": "list()", "{}": "dict()", "()": "tuple()"}.get(text)
    return None if call is None else ("literal", call, {"literal": text, "call": call})


def _or(code: Code, node: tree_sitter.Node) -> _Found | None:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    operator = node.child_by_field_name("operator")
    if left is None or right is None or operator is None or code.of(operator) != "or":
        return None
    parent = node.parent
    if (
        left.type not in ("identifier", "attribute")
        or parent is None
        or parent.type not in ("assignment", "return_statement")
    ):
        return None
    return "or", f"{code.of(left)} if {code.of(left)} else {code.of(right)}", {}


def _bare_except(code: Code, node: tree_sitter.Node) -> _Found | None:
    caught = node.child_by_field_name("value")
    if caught is None or code.of(caught) != "Exception":
        return None
    text, start = code.of(node), code.start(node)
    return "bare-except", "except" + text[code.end(caught) - start :], {}


def _generic(code: Code, node: tree_sitter.Node) -> _Found | None:
    old = _TYPE_NAMES.get(code.of(node))
    return None if old is None else ("modern-types", old, {})


def _union(code: Code, node: tree_sitter.Node) -> _Found | None:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or right is None or right.type != "none" or code.text[code.end(left) : code.start(right)] != " | ":
        return None
    inner = code.of(left)
    return (
        "optional",
        f"Optional[Union[{', '.join(inner.split(' | '))}]]" if " | " in inner else f"Optional[{inner}]",
        {},
    )


_RULES: dict[str, tuple[str, _Rule]] = {
    "is-none": (_COMPARED, _is_none),
    "not-in": (_COMPARED, _not_in),
    "chain": (_COMPARED, _chain),
    "augmented": ("(augmented_assignment) @node", _augmented),
    "super": ("(call) @node", _super),
    "isinstance": ("(call) @node", _isinstance),
    "literal": ("[(list) (dictionary) (tuple)] @node", _literal),
    "or": ("(boolean_operator) @node", _or),
    "bare-except": ("(except_clause) @node", _bare_except),
}
_TYPE_RULES: dict[str, tuple[str, _Rule]] = {
    "generic": ("(type (generic_type . (identifier) @node))", _generic),
    "union": ("(type (binary_operator) @node)", _union),
}


def idiom(code: Code, rng: Random) -> Iterator[Place]:
    """Places of one rule, the rules in random order."""
    yield from _places(code, _RULES, rng)


def modern_types(code: Code, rng: Random) -> Iterator[Place]:
    """Types as they were written before Python 3.9 and 3.10."""
    yield from _places(code, _TYPE_RULES, rng)


def _places(code: Code, rules: dict[str, tuple[str, _Rule]], rng: Random) -> Iterator[Place]:
    for name in rng.sample(sorted(rules), len(rules)):
        query, rule = rules[name]
        general = rng.random() < GENERAL_SHARE and rules is _RULES
        for node in code.shuffled(query, "node", rng):
            found = rule(code, node)
            if found is not None:
                asks, old, words = found
                span = code.span(node)
                yield Place(*span, (Edit(*span, old),), "idiom" if general else asks, words, form=name)


def logging(code: Code, rng: Random) -> Iterator[Place]:
    """Calls of a logger as print."""
    for node in code.shuffled(_LOGGED, "node", rng):
        call = node.named_children[0]
        function, arguments = call.child_by_field_name("function"), call.child_by_field_name("arguments")
        if function is None or arguments is None or not code.is_alone(node):
            continue
        logger, _, level = code.of(function).rpartition(".")
        children = arguments.named_children
        if level not in _LEVELS or not _LOGGER.fullmatch(logger) or not children or children[0].type != "string":
            continue
        if any(child.type in ("keyword_argument", "list_splat", "comment") for child in children):
            continue
        text, values = code.of(children[0]), [code.of(child) for child in children[1:]]
        shown = f"({', '.join(values)})" if len(values) > 1 else "".join(values)
        old = f"print({text} % {shown})" if values else f"print({text})"
        span = code.span(node)
        yield Place(*span, (Edit(*span, old),), "logging", {"logger": logger, "level": level}, form=f"{logger}.{level}")
