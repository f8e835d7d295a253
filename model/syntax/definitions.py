"""Where names are defined in a text: functions, methods, classes, types, macros, and values at the top level.

Source: the grammar wheels' node types, as tree-sitter queries (13 ms for 2,000 lines, most of it parsing). Code that is
broken may lose a header to an ERROR node; such headers are found by their keyword. Left out: scopes and types (who asks
knows the names that stand near a cursor, and compares them), and names bound inside functions.
"""

import re
from functools import lru_cache

import msgspec
import tree_sitter

from model.syntax.languages import LANGUAGES
from model.syntax.trees import language_of, parse

MAX_BROKEN_HEADERS = 200

_PYTHON = """
(function_definition name: (identifier) @name) @definition
(class_definition name: (identifier) @name) @definition
(module (expression_statement (assignment left: (identifier) @name)) @definition)
(type_alias_statement left: (type (identifier) @name)) @definition
"""

_SCRIPT = """
(function_declaration name: (identifier) @name) @definition
(generator_function_declaration name: (identifier) @name) @definition
(class_declaration name: (_) @name) @definition
(method_definition name: (property_identifier) @name) @definition
(program (lexical_declaration (variable_declarator name: (identifier) @name)) @definition)
(program (variable_declaration (variable_declarator name: (identifier) @name)) @definition)
(program (export_statement (lexical_declaration (variable_declarator name: (identifier) @name))) @definition)
"""

_TYPESCRIPT = f"""{_SCRIPT}
(abstract_class_declaration name: (type_identifier) @name) @definition
(abstract_method_signature name: (property_identifier) @name) @definition
(method_signature name: (property_identifier) @name) @definition
(function_signature name: (identifier) @name) @definition
(interface_declaration name: (type_identifier) @name) @definition
(type_alias_declaration name: (type_identifier) @name) @definition
(enum_declaration name: (identifier) @name) @definition
"""

_GO = """
(function_declaration name: (identifier) @name) @definition
(method_declaration name: (field_identifier) @name) @definition
(type_declaration (type_spec name: (type_identifier) @name)) @definition
(type_declaration (type_alias name: (type_identifier) @name)) @definition
(source_file (const_declaration (const_spec name: (identifier) @name)) @definition)
(source_file (var_declaration (var_spec name: (identifier) @name)) @definition)
"""

_RUST = """
(function_item name: (identifier) @name) @definition
(function_signature_item name: (identifier) @name) @definition
(struct_item name: (type_identifier) @name) @definition
(enum_item name: (type_identifier) @name) @definition
(union_item name: (type_identifier) @name) @definition
(trait_item name: (type_identifier) @name) @definition
(type_item name: (type_identifier) @name) @definition
(macro_definition name: (identifier) @name) @definition
(const_item name: (identifier) @name) @definition
(static_item name: (identifier) @name) @definition
"""

_JAVA = """
(class_declaration name: (identifier) @name) @definition
(interface_declaration name: (identifier) @name) @definition
(enum_declaration name: (identifier) @name) @definition
(record_declaration name: (identifier) @name) @definition
(annotation_type_declaration name: (identifier) @name) @definition
(method_declaration name: (identifier) @name) @definition
(constructor_declaration name: (identifier) @name) @definition
(field_declaration declarator: (variable_declarator name: (identifier) @name)) @definition
"""

# Of a declarator only the name is near; what it belongs to stands some pointers further up (`_WHOLE`).
_C = """
(function_declarator declarator: (identifier) @name) @definition
(struct_specifier name: (type_identifier) @name body: (_)) @definition
(union_specifier name: (type_identifier) @name body: (_)) @definition
(enum_specifier name: (type_identifier) @name body: (_)) @definition
(type_definition declarator: (type_identifier) @name) @definition
(preproc_def name: (identifier) @name) @definition
(preproc_function_def name: (identifier) @name) @definition
"""

_CPP = f"""{_C}
(function_declarator declarator: (field_identifier) @name) @definition
(function_declarator declarator: (qualified_identifier name: (identifier) @name)) @definition
(class_specifier name: (type_identifier) @name body: (_)) @definition
(alias_declaration name: (type_identifier) @name) @definition
(concept_definition name: (identifier) @name) @definition
"""

QUERIES = {
    "python": _PYTHON,
    "javascript": _SCRIPT,
    "javascriptreact": _SCRIPT,
    "typescript": _TYPESCRIPT,
    "typescriptreact": _TYPESCRIPT,
    "go": _GO,
    "rust": _RUST,
    "java": _JAVA,
    "c": _C,
    "cpp": _CPP,
}
"""By LSP language id, for every language with a grammar."""

_WHOLE = frozenset({"function_definition", "declaration", "field_declaration"})
_HEADER = re.compile(
    r"[ \t]*(?:[\w*&:<>\[\]]+[ \t]+){0,5}?"
    r"(?:def|class|func|function|fn|struct|enum|union|trait|interface|record|type)\b"
    r"[ \t*&]*(?:\([^()\n]{0,80}\)[ \t]*)?"
    r"(?P<name>[^\W\d]\w*)"
)


class Definition(msgspec.Struct, frozen=True):
    """`name` is defined in the rows from `row` up to but excluding `end_row`, counted by `\\n` alone."""

    name: str
    row: int
    end_row: int


def definitions(source: str, language: str) -> list[Definition]:
    """The definitions of `source` in their order; none in a language without a grammar."""
    tree = parse(source, language)
    if tree is None:
        return []
    found: dict[tuple[str, int], Definition] = {}
    for _, nodes in tree_sitter.QueryCursor(_query(language)).matches(tree.root_node):
        name, whole = nodes["name"][0], _whole(nodes["definition"][0])
        text = (name.text or b"").decode("utf-8", "replace")
        # A node that ends with its newline ends in column 0 of the next row.
        end_row = whole.end_point[0] + (whole.end_point[1] > 0)
        found.setdefault((text, whole.start_point[0]), Definition(text, whole.start_point[0], end_row))
    if tree.root_node.has_error:
        for lost in _lost_headers(source, {row for _, row in found}):
            found.setdefault((lost.name, lost.row), lost)
    return sorted(found.values(), key=lambda definition: (definition.row, -definition.end_row))


@lru_cache(maxsize=len(LANGUAGES))
def _query(language: str) -> tree_sitter.Query:
    return tree_sitter.Query(language_of(language), QUERIES[language])


def _whole(node: tree_sitter.Node) -> tree_sitter.Node:
    """The definition that a declarator belongs to; any other node is one already."""
    if node.type != "function_declarator":
        return node
    above = node.parent
    while above is not None and above.type.endswith("_declarator"):
        above = above.parent
    return above if above is not None and above.type in _WHOLE else node


def _lost_headers(source: str, rows: set[int]) -> list[Definition]:
    """Lines that begin a definition by their keyword, in rows where the tree has none, with what is indented below."""
    lines = source.split("\n")
    found: list[Definition] = []
    for row, line in enumerate(lines):
        header = None if row in rows else _HEADER.match(line[:400])
        if header is None:
            continue
        indent = len(line) - len(line.lstrip())
        end_row = row + 1
        while end_row < len(lines) and (
            not lines[end_row].strip() or len(lines[end_row]) - len(lines[end_row].lstrip()) > indent
        ):
            end_row += 1
        while not lines[end_row - 1].strip():
            end_row -= 1
        found.append(Definition(header["name"], row, end_row))
        if len(found) == MAX_BROKEN_HEADERS:
            break
    return found
