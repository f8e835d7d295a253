"""Mend: what the model found in a document that nobody named, as hints and as entries of the menu. Pure.

What was found for one version is kept for the next: findings move with the lines above them, and those in lines that
changed are gone. Source: `Diagnostic.data` as typos-lsp uses it; VS Code's NES shifts diagnostics by content likewise.
Left out: when to look (handlers/diagnostic.py), which findings were sent away for good (dismissed.py).
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from lsp_server.actions import FIX_KIND, Action
from lsp_server.applying import Span, range_of
from lsp_server.client_profile import ClientProfile
from lsp_server.features.fix import Repair, data_of, sentence_of
from lsp_server.features.rewrite import position_of, source_of
from lsp_server.snapshot import Document
from lsp_server.wire_actions import Named
from model.syntax.incremental import num_equal_at_end, num_equal_at_start

SOURCE = "seedling"
IGNORE = "seedling.ignoreFinding"
_HINT = 4


def moved(repairs: Sequence[Repair], old: tuple[str, ...], new: tuple[str, ...]) -> tuple[Repair, ...]:
    """The repairs of a text with the lines `old` as those of one with the lines `new`."""
    if old == new:
        return tuple(repairs)
    num_above = num_equal_at_start(old, new)
    num_below = num_equal_at_end(old[num_above:], new[num_above:])
    source, shift = source_of(old), len(source_of(new)) - len(source_of(old))
    kept: list[Repair] = []
    for repair in repairs:
        first, last = (position_of(source, place).line for place in (repair.start, repair.end))
        if last < num_above:
            kept.append(repair)
        elif first >= len(old) - num_below:
            start, end, left = repair.start + shift, repair.end + shift, repair.left + shift
            kept.append(msgspec.structs.replace(repair, start=start, end=end, left=left))
    return tuple(kept)


def key_of(path: str, source: str, repair: Repair) -> str:
    """Names a finding by its file, its line's text and what it would change: the same wherever the line moves to. A
    hash, because it is kept outside the project, where no code may stand."""
    start = source.rfind("\n", 0, repair.start) + 1
    end = source.find("\n", repair.end)
    line = source[start : len(source) if end < 0 else end].strip()
    parts = (path, line, *repair.shown)
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def diagnostics_of(document: Document, repairs: Sequence[Repair], client: ClientProfile) -> list[dict[str, Any]]:
    """The repairs as LSP diagnostics: hints, which editors draw as quietly as they can."""
    source = source_of(document.lines)
    return [
        {
            "range": range_of(document, _shown_span(source, repair), client),
            "severity": _HINT,
            "source": SOURCE,
            "code": repair.kind,
            "message": f"Perhaps a mistake: {sentence_of(repair)}?",
            "data": data_of("mend", document, source, repair),
        }
        for repair in repairs
    ]


def _shown_span(source: str, repair: Repair) -> Span:
    """The words that would change; where something is only added, the character before it, so that it can be seen."""
    left, right = repair.left, repair.left + len(repair.shown[0])
    if left == right and left and source[left - 1] != "\n":
        left -= 1
    return Span(position_of(source, left), position_of(source, right))


def mend_actions(
    document: Document,
    path: str,
    repairs: Sequence[Repair],
    first_row: int,
    last_row: int,
    diagnostics: Sequence[Named],
) -> tuple[Action, ...]:
    """For each finding in these rows: its fix, and sending it away for good."""
    source = source_of(document.lines)
    actions: list[Action] = []
    for repair in repairs:
        row = position_of(source, repair.left).line
        if not first_row <= row <= last_row:
            continue
        answers = tuple(one.raw for one in diagnostics if one.source == SOURCE and one.start[0] == row)
        fix = Action(
            title=f"Seedling: {sentence_of(repair)}",
            kind=FIX_KIND,
            data=data_of("mend", document, source, repair),
            diagnostics=answers,
        )
        arguments = (document.uri, key_of(path, source, repair))
        ignore = Action(title="Seedling: Ignore here", kind=FIX_KIND, diagnostics=answers, command=(IGNORE, arguments))
        actions += (fix, ignore)
    return tuple(actions)
