"""Where a parser stumbles: the rows that a repair looks at, and whether a text reads better after one.

Source: tree-sitter's ERROR and MISSING nodes; this project's own rules. Left out: what the repair is (model/mending),
which of them are offered (lsp_server/features/fix.py).
"""

from bisect import bisect_right
from collections.abc import Sequence

import msgspec
import tree_sitter

from model.syntax.boundaries import statement_starts
from model.syntax.python import damaged_quotes, error_row, error_rows
from model.syntax.trees import CharOffsets, parse

MAX_ROWS = 12
"""The engine looks at no more named rows."""


class Rows(msgspec.Struct, frozen=True):
    """Rows `first` to `last` of a text, both inside. by_parser: nobody but the parser named them."""

    first: int
    last: int
    by_parser: bool = False

    def allow(self, errors_before: int, errors_after: int) -> bool:
        """Whether a repair in these rows may be offered: one for a syntax error must have mended something."""
        return errors_after < errors_before if self.by_parser else errors_after <= errors_before


def statement_rows(source: str, language: str, first: int, last: int) -> Rows:
    """The rows of the statements that rows first..last belong to: a compound one's header, never its body.

    At most MAX_ROWS around the first named one, and none beyond the last row that holds text.
    """
    num_rows = source.count("\n") + (not source.endswith("\n"))
    first, last = min(first, max(0, num_rows - 1)), min(last, max(0, num_rows - 1))
    breaks = [offset for offset, character in enumerate(source) if character == "\n"]
    starts = [bisect_right(breaks, offset - 1) for offset in statement_starts(source, language)]
    above = bisect_right(starts, first)
    begin = starts[above - 1] if above else first
    below = bisect_right(starts, last)
    end = starts[below] - 1 if below < len(starts) else num_rows - 1
    begin, end = max(begin, first - MAX_ROWS // 2), max(last, min(end, last + MAX_ROWS // 2))
    return Rows(begin, min(end, begin + MAX_ROWS - 1))


class _Broken:
    """A text that tree-sitter stumbles over, read once. Where the error is, Python's own parser knows better."""

    def __init__(self, source: str, language: str, root: tree_sitter.Node) -> None:
        self.source, self.language = source, language
        self.lines = source.split("\n")
        self.rows = sorted({row for node in error_nodes(root) for row in _rows_of(node)})
        is_python = language == "python"
        self.named = error_rows(source) if is_python else None
        self.quotes = damaged_quotes(source) if is_python else None

    def rows_at(self, first: int, last: int) -> Rows | None:
        """The row above counts too: what is missing at a line's end is noticed on the next one."""
        around = statement_rows(self.source, self.language, first, last)
        near = range(around.first - 1, around.last + 2)
        is_named = self.named is not None and any(row in near for row in self.named)
        if self.quotes is not None and (is_named or self.quotes in near):
            return Rows(self.quotes, self.quotes, by_parser=True)
        if self.named is not None and is_named:
            return _rows_around(self.lines, around, self.named)
        broken = [row for row in self.rows if row in near]
        if not broken:
            return None
        above = _above(self.lines, min(broken))
        begin = min(around.first, above) if around.first - above < MAX_ROWS // 2 else around.first
        return Rows(begin, min(max(around.last, *broken), begin + MAX_ROWS - 1), by_parser=True)


def _broken(source: str, language: str) -> _Broken | None:
    """None for sound text, and without a grammar."""
    tree = parse(source, language)
    return None if tree is None or not tree.root_node.has_error else _Broken(source, language, tree.root_node)


def rows_of_syntax_error(source: str, language: str, first: int, last: int) -> Rows | None:
    """The rows to look at where the parser stumbles in the statements of rows first..last; None where it does not."""
    broken = _broken(source, language)
    return None if broken is None else broken.rows_at(first, last)


def all_syntax_errors(source: str, language: str) -> list[Rows]:
    """Every place of a text where the parser stumbles, each once."""
    broken = _broken(source, language)
    if broken is None:
        return []
    if broken.quotes is not None:  # all others follow from it
        return [Rows(broken.quotes, broken.quotes, by_parser=True)]
    found: list[Rows] = []
    for row in sorted({*broken.rows, *(broken.named or ())}):
        if any(rows.first <= row <= rows.last for rows in found):
            continue
        rows = broken.rows_at(row, row)
        if rows is not None:
            found.append(rows)
    return found


def first_error_row(source: str, language: str) -> int | None:
    """The row at which a diagnostic of the text's first syntax error stands; None in sound text."""
    row = error_row(source) if language == "python" else None
    broken = _broken(source, language) if row is None else None
    return row if broken is None else broken.rows[0]


def _rows_around(lines: Sequence[str], around: Rows, named: tuple[int, int]) -> Rows:
    """Rows `named`, the one above, what is indented below the first of them, and the rest of the statement `around`."""
    first, last = named[0], min(named[1], len(lines) - 1)
    if last - first >= MAX_ROWS - 1:  # two ends of something long: the error was noticed at the second
        first = last
    end = first
    while end + 1 < len(lines) and end + 1 < first + MAX_ROWS and _belongs(lines[end + 1], lines[first]):
        end += 1
    begin = max(min(around.first, _above(lines, first)), first - MAX_ROWS // 2)
    return Rows(begin, min(max(around.last, last, end), begin + MAX_ROWS - 1), by_parser=True)


def _above(lines: Sequence[str], row: int) -> int:
    """The nearest row above that is not blank; itself if there is none."""
    return next((above for above in range(row - 1, -1, -1) if lines[above].strip()), row)


def _belongs(line: str, header: str) -> bool:
    """Whether a line goes on with what begins on a header: it is indented deeper, or begins with a closing bracket."""
    indents = [len(text) - len(text.lstrip()) for text in (line, header)]
    return indents[0] > indents[1] or line.lstrip()[:1] in tuple(")]}")


def named_rows(source: str, language: str, at: tuple[int, int], diagnostic_rows: Sequence[int]) -> Rows | None:
    """The rows to repair: those of the diagnostics' statements, else those of a syntax error at the rows `at`."""
    broken = rows_of_syntax_error(source, language, *at)
    if broken is not None or not diagnostic_rows:
        return broken
    return statement_rows(source, language, min(diagnostic_rows), max(diagnostic_rows))


def error_nodes(root: tree_sitter.Node) -> list[tree_sitter.Node]:
    """The ERROR and MISSING nodes, the outermost ones. Descends only where there are errors."""
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        if node.is_missing or node.is_error:
            found.append(node)
        elif node.has_error:
            waiting.extend(node.children)
    return found


def _rows_of(node: tree_sitter.Node) -> list[int]:
    """A large ERROR node swallows sound code: its ends say where the trouble is."""
    return sorted({node.start_point[0], node.end_point[0]})


def num_errors(source: str, language: str) -> int:
    """How much of a text the parser cannot make sense of: nodes, and the characters that they swallow."""
    tree = parse(source, language)
    if tree is None or not tree.root_node.has_error:
        return 0
    offsets = CharOffsets(source)
    nodes = error_nodes(tree.root_node)
    return sum(1 + offsets.of(node.end_point) - offsets.of(node.start_point) for node in nodes)
