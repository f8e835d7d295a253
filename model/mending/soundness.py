"""Whether a changed line reads better or worse to the parser, from no more text than the statement needs.

An excerpt stands for the file: the function around the line, or the statement of the module or class; both
tree-sitter (how many errors) and CPython (none or some) read it without its common indentation. Left out: what is wrong
elsewhere in the file, and versions of Python other than the one that runs this.
"""

import re
from collections.abc import Sequence

from model.syntax.python import parses
from model.syntax.scan import tokens
from model.syntax.trees import grammar, parse

MAX_LINES = 80
"""Of an excerpt, above and below the line each."""

_HEADER = re.compile(r"[ \t]*(?:async[ \t]+def|def|class)\b")
_CLOSING = re.compile(r"[ \t]*(?:[)\]}]|(?:else|elif|except|finally)\b)")


class Excerpt:
    """The lines around row `row`; asked about any line put in its place."""

    def __init__(self, lines: Sequence[str], row: int) -> None:
        first, last, self.is_cut = excerpt_rows(lines, row)
        indent = min((_indent(line) for line in lines[first:last] if line.strip()), default=0)
        cut = [line[min(indent, _indent(line)) :] for line in lines[first:last]]
        self._before, self._after = "".join(cut[: row - first]), "".join(cut[row - first + 1 :])
        self._indent = min(indent, _indent(lines[row]))
        self._line = lines[row]

    @property
    def excess(self) -> int:
        """How many more brackets open than close; right where all quotes are."""
        kinds = grammar("python")
        assert kinds is not None
        found = [token.kind for token in tokens(self._with(self._line), kinds)]
        return found.count("open") - found.count("close")

    def errors(self, line: str) -> tuple[int, bool]:
        """(errors that tree-sitter finds, whether CPython reads it) with `line` as the row's text."""
        return num_errors(self._with(line)), self.is_read(line)

    def is_read(self, line: str) -> bool:
        """Whether CPython reads the excerpt with `line` as the row's text."""
        return parses(self._with(line))

    def _with(self, line: str) -> str:
        return self._before + line[self._indent :] + self._after


def excerpt_rows(lines: Sequence[str], row: int) -> tuple[int, int, bool]:
    """First row, the row behind the last one, and whether the statement is too long for an excerpt."""
    first, lowest = row, _indent(lines[row]) + bool(_CLOSING.match(lines[row]))
    is_cut = False
    if not _HEADER.match(lines[row]) and lowest > 0:
        for above in range(row - 1, max(-1, row - MAX_LINES), -1):
            line = lines[above]
            if not line.strip() or _indent(line) >= lowest or _CLOSING.match(line):
                continue
            if line.lstrip().startswith("class ") and line.rstrip().endswith(":"):
                break  # a statement of its body stands alone
            first, lowest = above, _indent(line)
            if _HEADER.match(line) or lowest == 0:
                break
        else:
            is_cut = True
    base = _indent(lines[first])
    last = row + 1
    if lines[first].lstrip().startswith("@"):  # what is decorated belongs to it
        while last < len(lines) and not _HEADER.match(lines[last]) and last < row + MAX_LINES:
            last += 1
        last += 1
    cut, shallowest = last, 1 << 30
    while last < len(lines):
        line = lines[last]
        is_code = bool(line.strip()) and not _CLOSING.match(line)
        if is_code and _indent(line) <= base:
            return first, last, is_cut
        if last >= row + MAX_LINES:
            return first, cut, True
        if is_code and _indent(line) <= shallowest:
            cut, shallowest = last, _indent(line)
        last += 1
    return first, min(last, len(lines)), is_cut


def num_errors(text: str) -> int:
    """ERROR and MISSING nodes of Python text."""
    tree = parse(text, "python")
    assert tree is not None
    num, waiting = 0, [tree.root_node]
    while waiting:
        node = waiting.pop()
        if node.has_error:
            num += node.is_error or node.is_missing
            waiting.extend(node.children)
    return num


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))
