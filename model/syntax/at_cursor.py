"""What a place in a document stands in: code, a comment, a docstring, text over several lines, or a string.

Source: the grammars' nodes where the code is sound. Behind the first error a parser's recovery makes words of prose and
prose of words (an unfinished docstring becomes identifiers), so there the text is read from left to right by the
lexical grammar instead, from the broken statement on. Left out: what to do about it (the server's quiet rules); text
between JSX tags.
"""

import re
from collections import deque
from functools import lru_cache
from typing import Literal

import msgspec
import tree_sitter

from model.syntax.incremental import Parsed
from model.syntax.languages import Grammar
from model.syntax.trees import grammar

PlaceKind = Literal["code", "comment", "docstring", "text", "string"]

_STRINGS = frozenset(
    ("string", "template_string", "interpreted_string_literal", "raw_string_literal", "string_literal")
)
# What stands in these is code again.
_HOLES = frozenset(("interpolation", "template_substitution", "string_interpolation"))


class Place(msgspec.Struct, frozen=True):
    """`begun` is what of a comment or string stands before the place, its opening mark included; empty in code."""

    kind: PlaceKind
    begun: str = ""


CODE = Place("code")


def place_at(parsed: Parsed, row: int, column: int) -> Place:
    """What stands around character `column` of line `row`."""
    kinds = grammar(parsed.language)
    assert kinds is not None, "whatever was parsed has a grammar"
    at = parsed.byte_of(row, column)
    if parsed.broken_at is not None and parsed.broken_at <= at:
        # From the start of the line, so that what stands before a mark on its line is seen.
        start = parsed.source.rfind(b"\n", 0, parsed.broken_at) + 1
        return _read(_text(parsed.source[start:at]), parsed.language, kinds)
    return _in_tree(parsed, at, kinds)


def _in_tree(parsed: Parsed, at: int, kinds: Grammar) -> Place:
    node = parsed.tree.root_node.descendant_for_byte_range(at - 1, at) if at else None
    while node is not None and node.type not in _HOLES:
        begun = parsed.source[node.start_byte : at]
        if node.type in kinds.comments:
            return Place("comment", _text(begun)) if _is_in_comment(node, begun, at) else CODE
        # A type may be called "string" too: that is a leaf without a name.
        if node.type in _STRINGS and node.is_named:
            return CODE if at >= node.end_byte else Place(_kind_of(node, kinds), _text(begun))
        node = node.parent
    return CODE


def _is_in_comment(node: tree_sitter.Node, begun: bytes, at: int) -> bool:
    if begun.startswith(b"/*"):
        return at < node.end_byte
    return b"\n" not in begun  # some grammars count the line end in


def _kind_of(node: tree_sitter.Node, kinds: Grammar) -> PlaceKind:
    parent = node.parent
    if kinds.body == "indentation" and parent is not None and parent.type == "expression_statement":
        return "docstring"
    return "text" if node.start_point[0] != node.end_point[0] else "string"


def _text(source: bytes) -> str:
    return source.decode("utf-8", "surrogatepass")


# Behind the first error: comments and strings alone, in the order in which they are tried. A group is what closes one:
# what reaches the end of the text and has none is open there.
_LINE_STRINGS = r'"(?:\\[\s\S]|[^"\\\n])*(")?|' + r"'(?:\\[\s\S]|[^'\\\n])*(')?"
_C_COMMENTS = r"//[^\n]*|/\*[\s\S]*?(?:(\*/)|\Z)"
_LONG = r'"""(?:\\[\s\S]|[^\\])*?(?:(""")|\\?\Z)'
_RAW_BACKTICKS = r"`[^`]*(`)?"
_CPP_RAW = r'R"[^ ()\\\n]{0,16}\([\s\S]*?(?:(\)[^ ()\\\n]{0,16}")|\Z)'
_PATTERNS = {
    "python": rf"#[^\n]*|{_LONG}|{_LONG.replace(chr(34), chr(39))}|{_LINE_STRINGS}",
    "go": rf"{_C_COMMENTS}|{_RAW_BACKTICKS}|{_LINE_STRINGS}",
    # The fence of a raw string is not compared: `"#` closes it. A quote alone is a lifetime.
    "rust": rf'{_C_COMMENTS}|r#+"[\s\S]*?(?:("#)|\Z)|"(?:\\[\s\S]|[^"\\])*(")?|' + r"'(?:\\[^\n']+|\\'|[^'\\\n])(')",
    "java": rf"{_C_COMMENTS}|{_LONG}|{_LINE_STRINGS}",
    "c": rf"{_C_COMMENTS}|{_LINE_STRINGS}",
    "cpp": rf"{_C_COMMENTS}|\d[\w.]*(?:'\w+)*()|{_CPP_RAW}|{_LINE_STRINGS}",
}
_SCRIPT = rf"{_C_COMMENTS}|`(?:\\[\s\S]|[^`\\])*(`)?|{_LINE_STRINGS}"


@lru_cache(maxsize=16)
def _pattern(language: str) -> re.Pattern[str]:
    return re.compile(_PATTERNS.get(language, _SCRIPT))


def _read(text: str, language: str, kinds: Grammar) -> Place:
    """What is open at the end of `text`."""
    # Each but the last is thrown away as it comes.
    last = next(iter(deque(_pattern(language).finditer(text), maxlen=1)), None)
    if last is None or last.end() != len(text) or last.lastindex is not None:
        return CODE
    begun = last.group()
    if begun.startswith(("#", "//", "/*")):
        return Place("comment", begun)
    before = text[text.rfind("\n", 0, last.start()) + 1 : last.start()]
    if _is_in_hole(begun, before, kinds):
        return CODE
    if kinds.body == "indentation" and not before.strip() and begun.startswith(('"""', "'''")):
        return Place("docstring", begun)
    return Place("text" if "\n" in begun else "string", begun)


def _is_in_hole(begun: str, before: str, kinds: Grammar) -> bool:
    """Is the place in an expression inside an open string: `f"{…`, `${…`?"""
    if kinds.body == "indentation":
        prefix = re.search(r"[A-Za-z]{0,2}\Z", before)
        return prefix is not None and "f" in prefix.group().lower() and _last_hole(begun.replace("{{", ""), "{")
    return begun.startswith("`") and _last_hole(begun, "${")


def _last_hole(begun: str, mark: str) -> bool:
    return begun.rfind(mark) > begun.rfind("}")
