"""Which occurrences of a name in Python code mean the same thing.

Source: the Python reference, "Execution model" (naming and binding), over tree-sitter's node types. A name belongs to
the innermost scope around it that binds it: a function, a lambda, a comprehension, a class body, the module; and what
a class body binds is also what `self.` and `cls.` reach in that class. Only the occurrences of the names asked about
are looked at, each by climbing from its leaf, so this costs microseconds in a file of thousands of lines.

Left out: other languages; what stands in broken code; attributes of anything but `self` and `cls`, names in strings,
star imports, inheritance: whatever these are is not known here, and `Occurrence.variable` is None or another one.
"""

import re
from collections.abc import Collection, Iterator
from typing import Literal, NamedTuple

import tree_sitter

from model.syntax.incremental import Parsed
from model.syntax.trees import encode

Role = Literal["name", "attribute", "keyword", "foreign"]
Variable = tuple[Literal["name", "attribute"], int]

LANGUAGE = "python"
_COMPREHENSIONS = frozenset(
    ("list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression")
)
_SCOPES = _COMPREHENSIONS | {"module", "class_definition", "function_definition", "lambda"}
_PATTERNS = frozenset(("pattern_list", "tuple_pattern", "list_pattern", "list_splat_pattern", "as_pattern_target"))
_PARAMETERS = frozenset(("parameters", "lambda_parameters"))
_OUTER_PARTS = _PARAMETERS | {"for_in_clause"}
_SELF = frozenset((b"self", b"cls"))
# Of these nodes, the child in this field is bound in the scope around the node.
_BINDS = {
    "assignment": "left",
    "augmented_assignment": "left",
    "named_expression": "name",
    "for_statement": "left",
    "for_in_clause": "left",
    "as_pattern": "alias",
    "aliased_import": "alias",
    "function_definition": "name",
    "class_definition": "name",
}


class Occurrence(NamedTuple):
    """A name in the text: characters `column` up to `end_column` of line `row`. `variable`: what it refers to, equal
    for what means the same; None where that cannot be known."""

    text: str
    row: int
    column: int
    end_column: int
    role: Role
    is_binding: bool
    variable: Variable | None
    node: tree_sitter.Node


def occurrences(parsed: Parsed, names: Collection[str]) -> list[Occurrence]:
    """The occurrences of `names` in Python code, in the order of the text. All names count as one and the same: so the
    occurrences of a name that is half renamed find together."""
    if parsed.language != LANGUAGE:
        return []
    found = [_Found(node) for node in _leaves(parsed, names)]
    return [_resolved(one, found, parsed) for one in found]


def at(found: Collection[Occurrence], row: int, column: int) -> Occurrence | None:
    """The occurrence that begins at this place."""
    return next((one for one in found if (one.row, one.column) == (row, column)), None)


def _leaves(parsed: Parsed, names: Collection[str]) -> Iterator[tree_sitter.Node]:
    words = b"|".join(re.escape(encode(name)) for name in names)
    for match in re.finditer(rb"(?<![\w\x80-\xff])(?:%s)(?![\w\x80-\xff])" % words, parsed.source):
        node = parsed.tree.root_node.descendant_for_byte_range(*match.span())
        if node is not None and node.type == "identifier":
            yield node


class _Found:
    """An identifier, where it is bound, and the scopes around it, the innermost first."""

    def __init__(self, node: tree_sitter.Node) -> None:
        self.node = node
        self.role: Role = _role(node)
        self.scopes = list(_scopes(node))
        self.binds_in = _binds_in(node, self.scopes) if self.role == "name" else None
        self.declares = _declaration(node)
        self.is_broken = _is_broken(node)


def _role(node: tree_sitter.Node) -> Role:
    parent = node.parent
    if parent is not None and parent.type == "attribute" and parent.child_by_field_name("attribute") == node:
        return "attribute"
    if parent is not None and parent.type == "keyword_argument" and parent.child_by_field_name("name") == node:
        return "keyword"
    return "foreign" if parent is not None and _is_foreign(node, parent) else "name"


def _is_foreign(node: tree_sitter.Node, parent: tree_sitter.Node) -> bool:
    """Whether a name is another module's or class's own: in `from here import there as …`, `import a.here`, `case
    K(here=…)`."""
    if parent.type == "keyword_pattern":
        return parent.children[0] == node
    above = parent.parent
    if parent.type != "dotted_name" or above is None:
        return False
    is_module = above.type == "import_from_statement" and above.child_by_field_name("module_name") == parent
    return parent.children[0] != node or is_module or above.type in ("relative_import", "aliased_import")


def _scopes(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    child, above = node, node.parent
    # A default and an annotation stand inside the parameters, and what a comprehension goes through first inside it;
    # but they belong to what is around.
    is_outside = False
    while above is not None:
        if above.type in ("default_parameter", "typed_default_parameter", "typed_parameter"):
            is_outside |= child in (above.child_by_field_name("value"), above.child_by_field_name("type"))
        elif above.type == "for_in_clause":
            is_first = above.prev_named_sibling is None or above.prev_named_sibling.type != "for_in_clause"
            is_outside |= is_first and child == above.child_by_field_name("right")
        elif above.type in _SCOPES:
            if _is_inside(above, child) and not (is_outside and child.type in _OUTER_PARTS):
                yield above
            is_outside = False
        child, above = above, above.parent


def _is_inside(scope: tree_sitter.Node, child: tree_sitter.Node) -> bool:
    if scope.type == "class_definition":
        return child == scope.child_by_field_name("body")
    if scope.type in ("function_definition", "lambda"):
        return child in (scope.child_by_field_name("body"), scope.child_by_field_name("parameters"))
    return True


def _binds_in(node: tree_sitter.Node, scopes: list[tree_sitter.Node]) -> tree_sitter.Node | None:
    """The scope that this occurrence binds its name in; None where it only uses it."""
    child, above = _pattern(node)
    if above is None or not scopes:
        return None
    if _is_parameter(child, above) or _is_imported(child, above) or _is_captured(child, above):
        return scopes[0]
    field = _BINDS.get(above.type)
    if field is None or above.child_by_field_name(field) != child:
        return None
    if above.type == "named_expression":  # binds beyond the comprehension that it stands in
        return next((scope for scope in scopes if scope.type not in _COMPREHENSIONS), None)
    return scopes[0]


def _pattern(node: tree_sitter.Node) -> tuple[tree_sitter.Node, tree_sitter.Node | None]:
    """The whole pattern that a name stands in, and what it belongs to."""
    child, above = node, node.parent
    # Behind `as` the grammar has values where patterns are meant.
    while above is not None and above.type in ("tuple", "list"):
        child, above = above, above.parent
    if child is not node and (above is None or above.type != "as_pattern_target"):
        return node, node.parent
    while above is not None and above.type in _PATTERNS:
        child, above = above, above.parent
    return child, above


def _is_parameter(child: tree_sitter.Node, above: tree_sitter.Node) -> bool:
    if above.type in _PARAMETERS:
        return True
    if above.type in ("default_parameter", "typed_default_parameter"):
        return above.child_by_field_name("name") == child
    if above.type == "typed_parameter":
        return above.child_by_field_name("type") != child
    return above.type == "dictionary_splat_pattern"


def _is_imported(child: tree_sitter.Node, above: tree_sitter.Node) -> bool:
    statement = above.parent
    if above.type != "dotted_name" or statement is None:
        return False
    if statement.type == "import_statement":
        return above.children[0] == child  # `import a.b` binds `a`
    return statement.type == "import_from_statement" and statement.child_by_field_name("module_name") != above


def _is_captured(child: tree_sitter.Node, above: tree_sitter.Node) -> bool:
    pattern = above.parent
    is_single = above.type == "dotted_name" and above.child_count == 1
    return is_single and pattern is not None and pattern.type == "case_pattern" and child.type == "identifier"


def _declaration(node: tree_sitter.Node) -> str:
    parent = node.parent
    return parent.type if parent is not None and parent.type in ("global_statement", "nonlocal_statement") else ""


def _is_broken(node: tree_sitter.Node) -> bool:
    above: tree_sitter.Node | None = node
    while above is not None and above.type != "ERROR":
        above = above.parent
    return above is not None


def _resolved(one: _Found, found: list[_Found], parsed: Parsed) -> Occurrence:
    node = one.node
    row, column = place_of(parsed, node.start_point)
    return Occurrence(
        text=node.text.decode("utf-8", "surrogatepass") if node.text is not None else "",
        row=row,
        column=column,
        end_column=place_of(parsed, node.end_point)[1],
        role=one.role,
        is_binding=one.binds_in is not None or (one.role == "attribute" and _is_assigned(node)),
        variable=_variable(one, found),
        node=node,
    )


def _is_assigned(node: tree_sitter.Node) -> bool:
    if node.parent is None:
        return False
    child, above = _pattern(node.parent)
    field = _BINDS.get("" if above is None else above.type)
    return above is not None and field is not None and above.child_by_field_name(field) == child


def _variable(one: _Found, found: list[_Found]) -> Variable | None:
    if one.role in ("keyword", "foreign") or one.is_broken:
        return None
    if one.role == "attribute":
        owner = one.node.parent.child_by_field_name("object") if one.node.parent is not None else None
        holder = next((scope for scope in one.scopes if scope.type == "class_definition"), None)
        is_own = owner is not None and owner.type == "identifier" and owner.text in _SELF
        return ("attribute", holder.start_byte) if is_own and holder is not None else None
    declared = {(scopes.declares, scopes.scopes[0].start_byte) for scopes in found if scopes.declares and scopes.scopes}
    for index, scope in enumerate(one.scopes):
        if scope.type == "module" or ("global_statement", scope.start_byte) in declared:
            break
        if index and scope.type == "class_definition":
            continue  # what a class body binds is not seen from the functions in it
        if ("nonlocal_statement", scope.start_byte) in declared:
            continue
        if any(other.binds_in == scope for other in found):
            return ("attribute" if scope.type == "class_definition" else "name", scope.start_byte)
    return ("name", -1)


def place_of(parsed: Parsed, point: tuple[int, int]) -> tuple[int, int]:
    """A node's point, whose column counts bytes, as a row and a column that counts characters."""
    row, column_bytes = point
    line = parsed.lines[row] if row < len(parsed.lines) else ""
    if line.isascii():
        return row, column_bytes
    return row, len(encode(line)[:column_bytes].decode("utf-8", "surrogatepass"))
