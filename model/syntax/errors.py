"""Where a parser stumbles: the rows that a repair looks at, and whether a text reads better after one.

Source: tree-sitter's ERROR and MISSING nodes; this project's own rules. Left out: what the repair is (model/mending),
which of them are offered (lsp_server/features/fix.py).
"""

from bisect import bisect_right
from collections.abc import Sequence

import msgspec
import tree_sitter

from model.syntax.boundaries import statement_starts
from model.syntax.trees import CharOffsets, parse

MAX_ROWS = 12
"""The engine looks at no more named rows."""


class Rows(msgspec.Struct, frozen=True):
    """Rows `first` to `last` of a text, both inside. by_parser: nobody but the parser named them."""

    first: int
    last: int
    by_parser: bool = False


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


def rows_of_syntax_error(source: str, language: str, first: int, last: int) -> Rows | None:
    """The rows to look at where the parser stumbles in the statements of rows first..last; None where it does not.

    The row above counts too: what is missing at a line's end is noticed on the next one.
    """
    tree = parse(source, language)
    if tree is None:
        return None
    around = statement_rows(source, language, first, last)
    broken = [
        row
        for node in error_nodes(tree.root_node)
        for row in _rows_of(node)
        if around.first - 1 <= row <= around.last + 1
    ]
    if not broken:
        return None
    lines = source.split("\n")
    above = next((row for row in range(min(broken) - 1, -1, -1) if lines[row].strip()), min(broken))
    begin = min(around.first, above) if around.first - above < MAX_ROWS // 2 else around.first
    return Rows(begin, min(max(around.last, *broken), begin + MAX_ROWS - 1), by_parser=True)


def named_rows(source: str, language: str, at: tuple[int, int], diagnostic_rows: Sequence[int]) -> Rows | None:
    """The rows to repair: those of the diagnostics' statements, else those of a syntax error at the rows `at`."""
    broken = rows_of_syntax_error(source, language, *at)
    if broken is not None or not diagnostic_rows:
        return broken
    return statement_rows(source, language, min(diagnostic_rows), max(diagnostic_rows))


def all_syntax_errors(source: str, language: str) -> list[Rows]:
    """Every place of a text where the parser stumbles, each once."""
    tree = parse(source, language)
    if tree is None:
        return []
    found: list[Rows] = []
    for row in sorted({row for node in error_nodes(tree.root_node) for row in _rows_of(node)}):
        if found and row <= found[-1].last:
            continue
        rows = rows_of_syntax_error(source, language, row, row)
        if rows is not None:
            found.append(rows)
    return found


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
