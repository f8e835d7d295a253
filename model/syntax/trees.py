"""Parse trees: tree-sitter behind two small functions, and the way from its bytes to our characters.

Source: tree-sitter's Python binding (py-tree-sitter 0.25+) and the grammar wheels. Offsets that leave `model.syntax`
are Python string indices; tree-sitter counts UTF-8 bytes, so every offset goes through `CharOffsets`.
Left out: incremental parsing (windows are small enough to parse anew) and grammars other than Python's; a language
without a grammar has no tree, and its callers fall back to lines.
"""

from functools import lru_cache
from typing import Literal

import msgspec
import tree_sitter

SpanKind = Literal["expression", "statement", "block", "arguments"]


class Grammar(msgspec.Struct, frozen=True):
    """What the rest of `model.syntax` needs to know of a language: its node types, sorted into our four kinds."""

    statements: frozenset[str]
    blocks: frozenset[str]
    arguments: frozenset[str]
    expressions: frozenset[str]
    openers: frozenset[str]
    closers: frozenset[str]
    clause_words: tuple[str, ...]

    def kind(self, node_type: str) -> SpanKind | None:
        """Our name for a node type, or None when the node is neither of the four kinds."""
        if node_type in self.expressions:
            return "expression"
        if node_type in self.statements:
            return "statement"
        if node_type in self.blocks:
            return "block"
        if node_type in self.arguments:
            return "arguments"
        return None


_PYTHON_EXPRESSIONS = frozenset(
    (
        "assignment",
        "attribute",
        "augmented_assignment",
        "await",
        "binary_operator",
        "boolean_operator",
        "call",
        "comparison_operator",
        "concatenated_string",
        "conditional_expression",
        "dictionary",
        "dictionary_comprehension",
        "false",
        "float",
        "generator_expression",
        "identifier",
        "integer",
        "lambda",
        "list",
        "list_comprehension",
        "named_expression",
        "none",
        "not_operator",
        "pair",
        "parenthesized_expression",
        "set",
        "set_comprehension",
        "string",
        "subscript",
        "true",
        "tuple",
        "unary_operator",
        "expression_list",
        "pattern_list",
        "yield",
    )
)


@lru_cache(maxsize=1)
def _python_language() -> tree_sitter.Language:
    import tree_sitter_python

    return tree_sitter.Language(tree_sitter_python.language())


@lru_cache(maxsize=1)
def _python_grammar() -> Grammar:
    language = _python_language()
    types = {language.node_kind_for_id(i) for i in range(language.node_kind_count) if language.node_kind_is_named(i)}
    return Grammar(
        statements=frozenset(t for t in types if t and t.endswith(("_statement", "_definition")))
        - {"_simple_statement"},
        blocks=frozenset({"block"}),
        arguments=frozenset({"argument_list", "parameters", "lambda_parameters"}),
        expressions=_PYTHON_EXPRESSIONS,
        openers=frozenset("([{"),
        closers=frozenset(")]}"),
        clause_words=("else", "elif", "except", "finally", "case"),
    )


def grammar(language: str) -> Grammar | None:
    """Node kinds of a language by its LSP language id, or None where no grammar is installed."""
    return _python_grammar() if language == "python" else None


def parse(source: str, language: str) -> tree_sitter.Tree | None:
    """The syntax tree of `source` (with ERROR and MISSING nodes where it is broken), or None without a grammar."""
    if language != "python":
        return None
    # A parser object is not safe to share between threads and costs microseconds to make.
    return tree_sitter.Parser(_python_language()).parse(encode(source))


def captures(tree: tree_sitter.Tree | tree_sitter.Node, query: str) -> dict[str, list[tree_sitter.Node]]:
    """The nodes that a query captures in a Python tree or under one of its nodes, by capture name, in the order of the
    text (the library gives them in none); the query is compiled once."""
    root = tree.root_node if isinstance(tree, tree_sitter.Tree) else tree
    found = tree_sitter.QueryCursor(_compiled(query)).captures(root)
    return {name: sorted(found[name], key=lambda node: (node.start_byte, -node.end_byte)) for name in sorted(found)}


@lru_cache(maxsize=8)
def _compiled(query: str) -> tree_sitter.Query:
    return tree_sitter.Query(_python_language(), query)


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
