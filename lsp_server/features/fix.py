"""Fixes: what of a document is named by diagnostics or by the parser, and which repairs of it are offered. Pure.

A place that somebody named (another server's diagnostic, a node that the parser could not make sense of) is widened to
the rows of its statement; the engine repairs each row by itself. A repair is offered where it lies inside those rows
and the whole text, parsed again, is no more broken than before; one for a syntax error must have mended it. Source:
this project's own rules; LSP 3.18 "Diagnostic". Left out: asking the engine (handlers/fixing.py), finding what nobody
named (mend.py).
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import tree_sitter

from lsp_server.actions import FIX_KIND, Action
from lsp_server.applying import Span
from lsp_server.engine_link import EngineState
from lsp_server.features.rewrite import position_of
from lsp_server.outcome import Reason
from lsp_server.shaping.draft import Draft, Surroundings
from lsp_server.shaping.unsafe_text import refuse_unsafe_text
from lsp_server.snapshot import Document
from model.engine import api
from model.syntax.boundaries import statement_starts
from model.syntax.trees import CharOffsets, parse

MAX_ROWS = 12
"""The engine looks at no more named rows."""
MAX_ACTIONS = 2
MAX_SHOWN_CHARS = 32

_WORD = re.compile(r"\w")
_OPERATOR = re.compile(r"[=<>!+\-*/%&|^~@:.]")
_NOWHERE = Surroundings(line_before="", line_after="")


class Rows(msgspec.Struct, frozen=True):
    """Rows `first` to `last` of a text, both inside. by_parser: nobody but the parser named them."""

    first: int
    last: int
    by_parser: bool = False


class Repair(msgspec.Struct, frozen=True):
    """Characters start..end of a text become `text`. shown: what goes and what comes, as whole words from `left` on."""

    start: int
    end: int
    text: str
    confidence: float
    kind: str
    left: int
    shown: tuple[str, str]

    def applied(self, source: str) -> str:
        return source[: self.start] + self.text + source[self.end :]


def why_no_engine(engine: EngineState, language: str, ability: str) -> Reason | None:
    """Why this engine is not asked to `fix` or to `mend` a document in this language."""
    capabilities = engine.capabilities
    if capabilities is None:
        return Reason.LOADING if engine.kind == "loading" else Reason.NO_ENGINE
    if not getattr(capabilities, ability):
        return Reason.CANNOT_FIX if ability == "fix" else Reason.CANNOT_MEND
    return None if language in capabilities.languages else Reason.LANGUAGE_NOT_SUPPORTED


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


def usable(
    source: str, language: str, rows: Rows | None, found: Sequence[api.Finding], limit: int | None = MAX_ACTIONS
) -> tuple[Repair, ...] | Reason:
    """The findings that may be offered, the surest first, or why there are none.

    rows: those that were named; None where all of the text was looked through.
    """
    if not found:
        return Reason.NOTHING_TO_FIX
    before = num_errors(source, language)
    offsets = [0, *(offset + 1 for offset, character in enumerate(source) if character == "\n")]
    kept: list[Repair] = []
    reason = Reason.UNSOUND_FIX
    for finding in sorted(found, key=lambda finding: -finding.confidence):
        if not 0 <= finding.start <= finding.end <= len(source) or source[finding.start : finding.end] == finding.text:
            continue
        if isinstance(refuse_unsafe_text(Draft(finding.text), _NOWHERE), Reason):
            reason = Reason.UNSAFE_TEXT
            continue
        first, last = (bisect_right(offsets, place) - 1 for place in (finding.start, finding.end))
        if rows is not None and not (rows.first <= first and last <= rows.last):
            continue
        after = num_errors(source[: finding.start] + finding.text + source[finding.end :], language)
        if after > before or (rows is not None and rows.by_parser and after == before):
            continue
        kept.append(_repair(source, finding))
    if not kept:
        return reason
    return tuple(kept if limit is None else kept[:limit])


def _repair(source: str, finding: api.Finding) -> Repair:
    start, end, text = finding.start, finding.end, finding.text
    left, old, new = whole_words(source, start, end, text)
    return Repair(start, end, text, finding.confidence, finding.kind, left, (old, new))


def whole_words(source: str, start: int, end: int, text: str) -> tuple[int, str, str]:
    """Where a change begins, what goes and what comes, grown until no word or operator is cut: `total` → `totals`, not
    an added `s`."""
    left, right = start, end
    for pattern in (_WORD, _OPERATOR):
        removed, added = source[start:end], text
        if _touches(pattern, removed[:1] or added[:1], added[:1] or removed[:1]):
            while left and pattern.match(source[left - 1]):
                left -= 1
        if _touches(pattern, removed[-1:] or added[-1:], added[-1:] or removed[-1:]):
            while right < len(source) and pattern.match(source[right]):
                right += 1
    return left, source[left:right], source[left:start] + text + source[end:right]


def _touches(pattern: re.Pattern[str], *edges: str) -> bool:
    return any(pattern.match(edge) for edge in edges if edge)


def sentence_of(repair: Repair) -> str:
    """The change in one short line: `=` → `==`, add `:`, remove `)`."""
    old, new = (_shortened(text) for text in repair.shown)
    if not old:
        return f"add `{new}`"
    return f"`{old}` → `{new}`" if new else f"remove `{old}`"


def _shortened(text: str) -> str:
    flat = " ".join(text.replace("`", "'").split()) or "↵" * text.count("\n") or "␣" * len(text)
    return flat if len(flat) <= MAX_SHOWN_CHARS else f"{flat[: MAX_SHOWN_CHARS - 1]}…"


def span_of(source: str, repair: Repair) -> Span:
    """Where a repair is, as lines and columns."""
    return Span(position_of(source, repair.start), position_of(source, repair.end))


def fix_actions(
    document: Document,
    source: str,
    repairs: Sequence[Repair],
    diagnostics: Sequence[Mapping[str, Any]],
    cursor_row: int,
) -> tuple[Action, ...]:
    """The menu's entries for repairs of this version of a document."""
    return tuple(
        Action(
            title=f"Seedling: {sentence_of(repair)}{_where(source, repair, cursor_row)}",
            kind=FIX_KIND,
            data=data_of("fix", document, source, repair),
            diagnostics=tuple(diagnostics),
        )
        for repair in repairs
    )


def data_of(kind: str, document: Document, source: str, repair: Repair) -> dict:
    """What is needed to make the edit later, as plain JSON. Lines and columns are ours, not the client's."""
    span = span_of(source, repair)
    return {
        "kind": kind,
        "uri": document.uri,
        "version": document.version,
        "span": [list(span.start), list(span.end)],
        "old": source[repair.start : repair.end],
        "text": repair.text,
    }


def _where(source: str, repair: Repair, cursor_row: int) -> str:
    row = source.count("\n", 0, repair.start)
    return "" if row == cursor_row else f" (line {row + 1})"
