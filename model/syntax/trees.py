"""Parse trees: tree-sitter behind two small functions, and the way from its bytes to our characters.

Source: tree-sitter's Python binding (py-tree-sitter 0.25+) and the grammar wheels. Offsets that leave `model.syntax`
are Python string indices; tree-sitter counts UTF-8 bytes, so every offset goes through `CharOffsets`.
Left out: incremental parsing (the stop rule's windows are small enough to parse anew) and the node types of a language
(languages.py); a language without a grammar has no tree, and its callers fall back to lines, brackets and indentation.
"""

from functools import lru_cache
from importlib import import_module

import tree_sitter

from model.syntax.languages import LANGUAGES, Grammar


@lru_cache(maxsize=len(LANGUAGES))
def _load(module: str, function: str) -> tree_sitter.Language:
    # On first use and by name: nobody waits for the grammars of languages that are not open.
    return tree_sitter.Language(getattr(import_module(module), function)())


def grammar(language: str) -> Grammar | None:
    """What we know of a language by its LSP language id, or None where we have no grammar."""
    return LANGUAGES.get(language)


def language_of(language: str) -> tree_sitter.Language:
    """The loaded grammar of a language that has one."""
    kinds = LANGUAGES[language]
    return _load(kinds.module, kinds.function)


def parse(source: str, language: str) -> tree_sitter.Tree | None:
    """The syntax tree of `source` (with ERROR and MISSING nodes where it is broken), or None without a grammar."""
    kinds = LANGUAGES.get(language)
    if kinds is None:
        return None
    # A parser object is not safe to share between threads and costs microseconds to make.
    return tree_sitter.Parser(_load(kinds.module, kinds.function)).parse(encode(source))


def has_error(root: tree_sitter.Node, start_byte: int, end_byte: int) -> bool:
    """Is there an ERROR or MISSING node that touches these bytes? Descends only where there are errors."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if not node.has_error or node.start_byte > end_byte or node.end_byte < start_byte:
            continue
        if node.is_missing or node.is_error:
            return True
        waiting.extend(node.children)
    return False


def captures(tree: tree_sitter.Tree | tree_sitter.Node, query: str) -> dict[str, list[tree_sitter.Node]]:
    """The nodes that a query captures in a Python tree or under one of its nodes, by capture name, in the order of the
    text (the library gives them in none); the query is compiled once."""
    root = tree.root_node if isinstance(tree, tree_sitter.Tree) else tree
    found = tree_sitter.QueryCursor(_compiled(query)).captures(root)
    return {name: sorted(found[name], key=lambda node: (node.start_byte, -node.end_byte)) for name in sorted(found)}


@lru_cache(maxsize=64)
def _compiled(query: str) -> tree_sitter.Query:
    python = LANGUAGES["python"]
    return tree_sitter.Query(_load(python.module, python.function), query)


def encode(source: str) -> bytes:
    """UTF-8 as the parser sees it. Lone surrogates (a client's half character) must not raise here."""
    return source.encode("utf-8", "surrogatepass")


class CharOffsets:
    """Maps tree-sitter's (row, byte column) points to character offsets of one source text.

    Works line by line, so an ASCII line costs an addition and only lines with other characters are encoded.
    """

    def __init__(self, source: str) -> None:
        self._lines = source.split("\n")  # tree-sitter counts rows by "\n" alone
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._is_ascii = source.isascii()

    def of(self, point: tuple[int, int]) -> int:
        """The character offset of a point; a column inside a character (never produced by a parser) rounds down."""
        row, column_bytes = point
        start = self._starts[row]
        if self._is_ascii or self._lines[row].isascii():
            return start + column_bytes
        head = encode(self._lines[row])[:column_bytes]
        # Characters = bytes that do not continue one; cheaper than decoding and safe with lone surrogates.
        return start + sum(byte & 0xC0 != 0x80 for byte in head)

    def line_start(self, row: int) -> int:
        """The character offset where a row begins."""
        return self._starts[row]
