"""Which names a place in a Python text may use: what is bound around it, and the language's own.

Source: Python's scoping rules, from one tree-sitter query over the text. Names of a class body are not seen in its
methods. Left out: the order of binding and use, `del`, what a star import brings (then every name is known), and code
in other languages.
"""

import builtins
from bisect import bisect_right

import tree_sitter

from model.syntax.trees import CharOffsets, captures, parse

_QUERY = """
(function_definition) @function
(lambda) @function
[(list_comprehension) (dictionary_comprehension) (set_comprehension) (generator_expression)] @function
(class_definition) @class
(wildcard_import) @star
(function_definition name: (identifier) @outer)
(class_definition name: (identifier) @outer)
[
  (assignment left: (_) @target)
  (augmented_assignment left: (_) @target)
  (named_expression name: (_) @target)
  (for_statement left: (_) @target)
  (for_in_clause left: (_) @target)
  (as_pattern_target (_) @target)
  (parameters (_) @parameter)
  (lambda_parameters (_) @parameter)
  (aliased_import alias: (identifier) @target)
  (import_statement name: (dotted_name . (identifier) @target))
  (import_from_statement name: (dotted_name . (identifier) @target))
  (global_statement (identifier) @target)
  (nonlocal_statement (identifier) @target)
  (case_clause (case_pattern) @pattern)
  (type_parameter (_) @pattern)
  (type_alias_statement left: (_) @pattern)
]
(identifier) @name
(attribute attribute: (identifier) @attribute)
(keyword_argument name: (identifier) @keyword)
(aliased_import name: (dotted_name (identifier) @keyword))
(import_from_statement (dotted_name (identifier) @keyword))
(import_statement (dotted_name (identifier) @keyword))
(future_import_statement (dotted_name (identifier) @keyword))
(import_from_statement (relative_import (dotted_name (identifier) @keyword)))
"""

ALWAYS_KNOWN = frozenset(dir(builtins)) | {
    *("__file__", "__name__", "__doc__", "__path__", "__class__", "__annotations__", "__builtins__", "__spec__", "_"),
    *("__module__", "__qualname__", "__package__", "__loader__", "reveal_type", "WindowsError"),
}


class Scopes:
    """The scopes of one text."""

    def __init__(self, text: str) -> None:
        tree = parse(text, "python")
        assert tree is not None
        nodes = captures(tree, _QUERY)
        offset = CharOffsets(text).of
        spans = [(offset(n.start_point), offset(n.end_point), "class") for n in nodes.get("class", [])]
        spans += [(offset(n.start_point), offset(n.end_point), "function") for n in nodes.get("function", [])]
        # Outer before inner.
        self._spans = [(0, len(text) + 1, "module"), *sorted(spans, key=lambda span: (span[0], -span[1]))]
        self._starts = [span[0] for span in self._spans]
        self._bound: list[set[str]] = [set() for _ in self._spans]
        self.knows_all = bool(nodes.get("star"))
        for node in nodes.get("outer", []):
            # The name of a function belongs to the scope around it.
            self._bind(node, offset(node.parent.start_point) - 1 if node.parent is not None else 0)
        for capture in ("target", "parameter", "pattern"):
            for node in nodes.get(capture, []):
                for name in _names_below(node, capture):
                    self._bind(name, offset(name.start_point))
        skipped = {n.id for capture in ("attribute", "keyword", "outer") for n in nodes.get(capture, [])}
        self.uses: list[tuple[int, int, str]] = [
            (offset(n.start_point), offset(n.end_point), _text(n)) for n in nodes.get("name", []) if n.id not in skipped
        ]
        self.places = [(offset(n.start_point), _text(n)) for n in nodes.get("name", [])]
        self.attributes = frozenset(_text(n) for n in nodes.get("attribute", []))

    def names_at(self, offset: int) -> set[str]:
        """The names bound in the scopes around a character, innermost or not."""
        inside = self._around(offset)
        names = set(self._bound[0])
        for depth, index in enumerate(inside):
            if self._spans[index][2] != "class" or depth == len(inside) - 1:
                names |= self._bound[index]
        return names

    def is_known(self, name: str, offset: int) -> bool:
        return self.knows_all or name in ALWAYS_KNOWN or name in self.names_at(offset)

    def unknown(self, start: int, end: int) -> list[tuple[int, int, str]]:
        """The uses of names between two characters that nothing around them binds."""
        return [use for use in self.uses if start <= use[0] and use[1] <= end and not self.is_known(use[2], use[0])]

    def _around(self, offset: int) -> list[int]:
        last = bisect_right(self._starts, offset)
        return [i for i in range(1, last) if self._spans[i][0] <= offset < self._spans[i][1]]

    def _bind(self, node: tree_sitter.Node, offset: int) -> None:
        inside = self._around(offset) if offset >= 0 else []
        self._bound[inside[-1] if inside else 0].add(_text(node))


def _names_below(node: tree_sitter.Node, capture: str) -> list[tree_sitter.Node]:
    """The names that a target, a parameter or a pattern binds."""
    if node.type == "identifier":
        return [node]
    if capture == "parameter":
        named = node.child_by_field_name("name") or (node.named_children[0] if node.named_children else None)
        return [] if named is None else _names_below(named, "target")
    if node.type in ("attribute", "subscript", "call") and capture == "target":
        return []
    return [name for child in node.named_children for name in _names_below(child, capture)]


def _text(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")
