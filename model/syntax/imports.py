"""What a text imports: the modules as it writes them, and the names that it takes from each.

Source: the grammar wheels' node types, as tree-sitter queries; each language's own words for importing (Rust's `mod`
counts, C's `<system>` headers do not). Left out: which file a module is (lsp_server/context/resolve.py), imports inside
strings and build files, Go's packages (a package is its folder).
"""

import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec
import tree_sitter

from model.syntax.trees import language_of, parse

MAX_IMPORTS = 200

_PYTHON = """
(import_statement) @import
(import_from_statement) @import
"""
_SCRIPT = """
(import_statement source: (string (string_fragment) @module)) @import
(export_statement source: (string (string_fragment) @module)) @import
((call_expression function: [(identifier) (import)] @word arguments: (arguments . (string (string_fragment) @module)))
 (#any-of? @word "require" "import")) @import
"""
_RUST = """
(use_declaration) @import
(mod_item !body) @import
"""
_JAVA = "(import_declaration) @import"
_C = "(preproc_include path: (string_literal (string_content) @module)) @import"

QUERIES = {
    "python": _PYTHON,
    "javascript": _SCRIPT,
    "javascriptreact": _SCRIPT,
    "typescript": _SCRIPT,
    "typescriptreact": _SCRIPT,
    "rust": _RUST,
    "java": _JAVA,
    "c": _C,
    "cpp": _C,
}
"""By LSP language id."""

_RUST_NAMES = re.compile(r"(?P<name>\w+)(?:\s+as\s+(?P<local>\w+))?\s*(?=[,}]|$)")


class Imported(msgspec.Struct, frozen=True):
    """A name that an import brings: what it is called where it is defined, and what here."""

    name: str
    local: str


class Import(msgspec.Struct, frozen=True):
    """`module` as the language writes it (`..a.b`, `./x`, `crate::a`, `mod x`, `a.b.C`, `x.h`).

    `names` is empty where the module itself is imported, or all of it.
    """

    module: str
    names: tuple[Imported, ...] = ()


def imports(source: str, language: str) -> list[Import]:
    """The imports of `source` in their order, at most 200."""
    if language not in QUERIES:
        return []
    tree = parse(source, language)
    assert tree is not None
    found: list[tuple[int, Import]] = []
    for _, nodes in tree_sitter.QueryCursor(_query(language)).matches(tree.root_node):
        whole = nodes["import"][0]
        module = nodes.get("module")
        found += [(whole.start_byte, item) for item in _imports_of(whole, module[0] if module else None)]
    found.sort(key=lambda pair: pair[0])
    return [item for _, item in found[:MAX_IMPORTS]]


@lru_cache(maxsize=len(QUERIES))
def _query(language: str) -> tree_sitter.Query:
    return tree_sitter.Query(language_of(language), QUERIES[language])


def _imports_of(node: tree_sitter.Node, module: tree_sitter.Node | None) -> Iterator[Import]:
    if module is not None:
        yield Import(_text(module), tuple(_script_names(node)))
    elif node.type == "import_statement":
        for child in node.children_by_field_name("name"):
            yield Import(_text(child.child_by_field_name("name") or child))
    elif node.type == "import_from_statement":
        yield from _python_from(node)
    elif node.type == "use_declaration":
        yield from _rust_use(_text(node.child_by_field_name("argument")))
    elif node.type == "mod_item":
        yield Import(f"mod {_text(node.child_by_field_name('name'))}")
    elif node.type == "import_declaration":
        yield from _java_import(node)


def _python_from(node: tree_sitter.Node) -> Iterator[Import]:
    names = []
    for child in node.children_by_field_name("name"):
        name = _text(child.child_by_field_name("name") or child)
        names.append(Imported(name, _text(child.child_by_field_name("alias")) or name))
    yield Import(_text(node.child_by_field_name("module_name")), tuple(names))


def _script_names(node: tree_sitter.Node) -> Iterator[Imported]:
    waiting = list(node.named_children) if node.type in ("import_statement", "export_statement") else []
    while waiting:
        child = waiting.pop(0)
        if child.type in ("import_specifier", "export_specifier"):
            name = _text(child.child_by_field_name("name"))
            yield Imported(name, _text(child.child_by_field_name("alias")) or name)
        elif child.type == "identifier":
            # The default export has a name of its own over there, which is mostly the one given here.
            yield Imported(_text(child), _text(child))
        elif child.type in ("import_clause", "named_imports", "export_clause"):
            waiting += child.named_children


def _rust_use(argument: str) -> Iterator[Import]:
    """`a::b::{C, D as E}` and `a::b::C`. Of nested lists only the first level's names are taken."""
    path, brace, listed = argument.partition("{")
    if not brace:
        path, _, listed = argument.rpartition("::")
    names = [Imported(found["name"], found["local"] or found["name"]) for found in _RUST_NAMES.finditer(listed)]
    if path.strip(": \n"):
        yield Import(path.strip(": \n"), tuple(names))


def _java_import(node: tree_sitter.Node) -> Iterator[Import]:
    """The class; of a static import the class that has the name. A whole package is none: it may be anything."""
    if any(child.type == "asterisk" for child in node.children) and not _is_static(node):
        return
    module = _text(next((child for child in node.named_children if child.type == "scoped_identifier"), None))
    if _is_static(node) and not any(child.type == "asterisk" for child in node.children):
        module, _, name = module.rpartition(".")
        yield Import(module, (Imported(name, name),))
    elif module:
        yield Import(module)


def _is_static(node: tree_sitter.Node) -> bool:
    return any(child.type == "static" for child in node.children)


def _text(node: tree_sitter.Node | None) -> str:
    return "" if node is None else (node.text or b"").decode("utf-8", "replace")
