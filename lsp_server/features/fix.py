"""Fixes: which repairs of what diagnostics or the parser name are offered. Pure.

The named rows (model/syntax/errors.py) go to the engine. A repair is offered where it lies inside them and the whole
text, parsed again, is no more broken than before; one for a syntax error must have mended it. Source: this project's
own rules; LSP 3.18 "Diagnostic". Left out: asking the engine (handlers/fixing.py), finding what nobody named (mend.py).
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lsp_server.actions import FIX_KIND, Action
from lsp_server.applying import Span
from lsp_server.engine_link import EngineState
from lsp_server.features.rewrite import position_of
from lsp_server.outcome import Reason
from lsp_server.printable import printable
from lsp_server.shaping.draft import Draft, Surroundings
from lsp_server.shaping.unsafe_text import refuse_unsafe_text
from lsp_server.snapshot import Document
from model.engine import api
from model.syntax.errors import Rows, num_errors

MAX_ACTIONS = 2
MAX_SHOWN_CHARS = 32

_WORD = re.compile(r"\w")
_OPERATOR = re.compile(r"[=<>!+\-*/%&|^~@:.]")
_NOWHERE = Surroundings(line_before="", line_after="")


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
    if engine.completes_only:
        return Reason.COMPLETES_ONLY
    if not getattr(capabilities, ability):
        return Reason.CANNOT_FIX if ability == "fix" else Reason.CANNOT_MEND
    return None if language in capabilities.languages else Reason.LANGUAGE_NOT_SUPPORTED


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
        # What nobody named stays in its line, whatever an engine says: a hint could not show the rest.
        is_inside = (
            first == last and "\n" not in finding.text if rows is None else rows.first <= first and last <= rows.last
        )
        if not is_inside:
            continue
        after = num_errors(source[: finding.start] + finding.text + source[finding.end :], language)
        if after > before or (rows is not None and not rows.allow(before, after)):
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
    flat = " ".join(printable(text).replace("`", "'").split()) or "↵" * text.count("\n") or "␣" * len(text)
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


def late_action(document: Document, rows: Rows, diagnostics: Sequence[Mapping[str, Any]]) -> Action:
    """The menu's entry for what is still being looked for: choosing it waits for the surest fix and applies that."""
    data = {"kind": "find", "uri": document.uri, "version": document.version, "rows": [rows.first, rows.last]}
    data["by_parser"] = rows.by_parser
    title = "Seedling: apply the surest fix (still looking)"
    return Action(title=title, kind=FIX_KIND, data=data, diagnostics=tuple(diagnostics), is_slow=True)


def rows_in(data: Mapping[str, Any], num_rows: int) -> Rows | None:
    """The rows of a `late_action`'s data; None where they are none of a document with so many."""
    match data.get("rows"), data.get("by_parser"):
        case [[int() as first, int() as last], bool() as by_parser] if 0 <= first <= last < num_rows:
            return Rows(first, last, by_parser)
    return None


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
