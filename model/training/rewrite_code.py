"""What finders of old versions share: a parsed text, places in it, edits, and stretches as a user selects them.

A finder yields places in random order; a place is a stretch of true code with the edits that make old code of it.
Source: this project's design. Left out: the kinds themselves (rewrite_*.py) and what is asked for in which words
(rewrite_instructions.py).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from random import Random
from typing import NamedTuple

import tree_sitter

from model.syntax.trees import CharOffsets, captures, parse

MIN_SELECTED_CHARS = 8
_BLOCKS = "(block) @block"
_FUNCTIONS = "(function_definition) @function"


class Edit(NamedTuple):
    """Characters start..end of the true text become `replacement` in the old code."""

    start: int
    end: int
    replacement: str


class Place(NamedTuple):
    """True code start..end that becomes old code by `edits`.

    `asks` = the key of its instructions, `words` = what stands in them. `form`: places of one form in a selection are
    all made old (empty: this one alone). `widens`: a selection may take more lines, or the function around it.
    """

    start: int
    end: int
    edits: tuple[Edit, ...]
    asks: str
    words: Mapping[str, str] = {}
    form: str = ""
    widens: bool = True


class Code:
    """A text and its tree. `max_chars` = how long a place may be."""

    def __init__(self, text: str, max_chars: int) -> None:
        tree = parse(text, "python")
        assert tree is not None
        self.text, self.max_chars = text, max_chars
        self.root = tree.root_node
        self._offset = CharOffsets(text).of
        self._step: str | None = None

    def nodes(self, query: str, capture: str) -> list[tree_sitter.Node]:
        """Nodes without syntax errors inside, in the order of the text."""
        return [node for node in captures(self.root, query).get(capture, []) if not node.has_error]

    def shuffled(self, query: str, capture: str, rng: Random) -> list[tree_sitter.Node]:
        nodes = self.nodes(query, capture)
        rng.shuffle(nodes)
        return nodes

    def span(self, node: tree_sitter.Node) -> tuple[int, int]:
        return self._offset(node.start_point), self._offset(node.end_point)

    def start(self, node: tree_sitter.Node) -> int:
        return self._offset(node.start_point)

    def end(self, node: tree_sitter.Node) -> int:
        return self._offset(node.end_point)

    def of(self, node: tree_sitter.Node) -> str:
        return self.text[self.start(node) : self.end(node)]

    def line_start(self, offset: int) -> int:
        return self.text.rfind("\n", 0, offset) + 1

    def indent(self, node: tree_sitter.Node) -> str:
        """The white space before a statement that begins its line."""
        start = self.start(node)
        return self.text[self.line_start(start) : start]

    def is_alone(self, *nodes: tree_sitter.Node) -> bool:
        """Whether the nodes, first to last, fill their lines: blanks before, a line's end behind."""
        end = self.end(nodes[-1])
        return not self.indent(nodes[0]).strip() and self.text[end : end + 1] in ("\n", "")

    def lines(self, first: tree_sitter.Node, last: tree_sitter.Node) -> tuple[int, int]:
        """The whole lines from one statement to another, the last newline included."""
        end = self.end(last)
        return self.line_start(self.start(first)), end + (self.text[end : end + 1] == "\n")

    @property
    def step(self) -> str:
        """What one level of indentation is here."""
        if self._step is None:
            self._step = "    "
            for block in captures(self.root, _BLOCKS).get("block", []):
                if block.parent is not None and block.named_child_count and self.is_alone(block.named_children[0]):
                    inner = self.indent(block.named_children[0])
                    row = self.text[self.line_start(self.start(block.parent)) :]
                    outer = row[: len(row) - len(row.lstrip(" \t"))]
                    if inner.startswith(outer) and inner != outer:
                        self._step = inner[len(outer) :]
                        break
        return self._step

    def function_around(self, start: int, end: int) -> tuple[int, int] | None:
        """The smallest function that holds the stretch and is not too long."""
        spans = [self.span(node) for node in captures(self.root, _FUNCTIONS).get("function", [])]
        holding = [(a, b) for a, b in spans if a <= start and end <= b and b - a <= self.max_chars]
        return min(holding, key=lambda span: span[1] - span[0], default=None)


def statements(block: tree_sitter.Node | None) -> list[tree_sitter.Node] | None:
    """The statements of a block; None if a comment stands among them."""
    if block is None or any(child.type == "comment" for child in block.named_children):
        return None
    return block.named_children


def is_docstring(statement: tree_sitter.Node) -> bool:
    return statement.type == "expression_statement" and [c.type for c in statement.named_children] == ["string"]


def shifted(text: str, step: str, *, deeper: bool) -> str | None:
    """Whole lines one level deeper or higher; None where a string of several lines or too little indentation forbids
    it."""
    if '"""' in text or "'''" in text or "\\\n" in text:
        return None
    lines = text.split("\n")
    if deeper:
        return "\n".join(step + line if line.strip() else line for line in lines)
    if any(line.strip() and not line.startswith(step) for line in lines):
        return None
    return "\n".join(line[len(step) :] if line.strip() else line for line in lines)


def has_word(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None


def selection(text: str, start: int, end: int, rng: Random) -> tuple[int, int]:
    """The stretch as whole lines with the last newline, or from its first to its last visible character."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    line_start = text.rfind("\n", 0, start) + 1
    if rng.random() < 0.5 and text[end : end + 1] == "\n" and not text[line_start:start].strip():
        return line_start, end + 1
    return start, end


def whole_lines(text: str, start: int, end: int) -> tuple[int, int]:
    """The lines that the stretch touches, the last newline included."""
    last = text.find("\n", max(start, end - 1))
    return text.rfind("\n", 0, start) + 1, len(text) if last < 0 else last + 1


def widened(code: Code, start: int, end: int, rng: Random) -> tuple[int, int]:
    """What a user would select for a place: it alone, its lines and some around, or the function around it."""
    u = rng.random()
    if u < 0.4:
        inside_line = end - start < MIN_SELECTED_CHARS or code.text[code.line_start(start) : start].strip()
        return whole_lines(code.text, start, end) if inside_line and rng.random() < 0.7 else (start, end)
    around = code.function_around(start, end) if u < 0.7 else None
    if around is not None:
        return around
    start, end = whole_lines(code.text, start, end)
    for _ in range(rng.randint(0, 3)):
        above = code.text.rfind("\n", 0, max(0, start - 1)) + 1
        start = above if end - above <= code.max_chars else start
    for _ in range(rng.randint(0, 3)):
        below = code.text.find("\n", end) + 1
        end = below if below and below - start <= code.max_chars else end
    return start, end


def with_edits(text: str, start: int, end: int, edits: Iterable[Edit]) -> str:
    """text[start:end] with the edits made."""
    for edit in sorted(edits, key=lambda edit: (-edit.start, -edit.end)):
        text = text[: edit.start] + edit.replacement + text[edit.end :]
        end += len(edit.replacement) - (edit.end - edit.start)
    return text[start:end]


def apart(edits: Iterable[Edit]) -> Iterator[Edit]:
    """The edits that do not touch one taken before them."""
    taken: list[Edit] = []
    for edit in edits:
        if all(edit.end < other.start or other.end < edit.start for other in taken):
            taken.append(edit)
            yield edit
