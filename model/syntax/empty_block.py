"""Is a line the first of a block that has nothing in it yet?

Source: the grammars' block nodes; in broken code, where a header has no tree of its own, its first or last word. What
is in the block is told by indentation: behind a missing brace a parser puts the rest of the file into the block. A
comment or a docstring alone leaves a block empty. Left out: texts without a grammar.
"""

import re

import tree_sitter

from model.syntax.incremental import Parsed
from model.syntax.languages import Grammar
from model.syntax.trees import grammar
from model.syntax.windows import width

_HEADER = re.compile(r"\s*(?:\)|(?:async|class|def|for|if|match|try|while|with|else|elif|except|finally|case)\b)")
_BEFORE_A_BLOCK = re.compile(r"[\w)>](?<!\breturn)(?<!\byield)(?<!\bdefault)\Z")


def begins_empty_block(parsed: Parsed, row: int) -> bool:
    """Whether the blank line `row` stands in an empty block."""
    kinds = grammar(parsed.language)
    assert kinds is not None, "whatever was parsed has a grammar"
    opener = _opener(parsed, parsed.byte_of(row, 0), kinds)
    if opener is None or not _opens_block(parsed, opener, kinds):
        return False
    below = next((line for line in parsed.lines[row + 1 :] if line.strip()), "")
    return width(below) <= width(parsed.lines[opener.start_point[0]])


def _opener(parsed: Parsed, at: int, kinds: Grammar) -> tree_sitter.Node | None:
    """The colon or brace that stands last before the byte `at`, apart from comments and a docstring."""
    mark = ":" if kinds.body == "indentation" else "{"
    end = len(parsed.source[:at].rstrip())
    while end:
        leaf = parsed.tree.root_node.descendant_for_byte_range(end - 1, end)
        if leaf is None or leaf.type == mark:
            return leaf
        aside = _aside(leaf, kinds)
        if aside is None:
            return None
        end = len(parsed.source[: aside.start_byte].rstrip())
    return None


def _aside(leaf: tree_sitter.Node, kinds: Grammar) -> tree_sitter.Node | None:
    """The comment or docstring that the leaf belongs to."""
    node: tree_sitter.Node | None = leaf
    while node is not None and node.type not in kinds.comments:
        parent = node.parent
        is_alone = parent is not None and parent.type == "expression_statement"
        if is_alone and node.type == "string" and kinds.body == "indentation":
            return node
        node = parent
    return node


def _opens_block(parsed: Parsed, opener: tree_sitter.Node, kinds: Grammar) -> bool:
    parent = opener.parent
    if parent is None or parent.is_error:
        return _reads_like_a_header(parsed, opener, kinds)
    if kinds.body == "indentation":
        return any(child.type in kinds.blocks for child in parent.children)
    # A block that has no end yet is taken for an object: `if (a) {`.
    is_doubtful = bool(parent.children) and parent.children[-1].is_missing
    return parent.type in kinds.blocks or (is_doubtful and _reads_like_a_header(parsed, opener, kinds))


def _reads_like_a_header(parsed: Parsed, opener: tree_sitter.Node, kinds: Grammar) -> bool:
    row, column_bytes = opener.start_point
    line = parsed.source[opener.start_byte - column_bytes : opener.start_byte].decode("utf-8", "replace")
    if kinds.body == "indentation":
        return _HEADER.match(parsed.lines[row]) is not None
    return _BEFORE_A_BLOCK.search(line.rstrip()) is not None
