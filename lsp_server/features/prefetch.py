"""Where the user will ask next: the line below an accepted item, indented as editors indent it.

Source: llama.vscode's cacheFutureSuggestion, Copilot's speculative request: after an acceptance the next place is known
before the user gets there. Left out: asking (handlers/answering.py); other places than the next line.
"""

import re

import msgspec

from lsp_server.offers import Offer
from lsp_server.positions import Position
from lsp_server.snapshot import Change, Document, IndentStyle, Snapshot

_OPENS = re.compile(r"[:({\[]$")
# Editors go one level back behind these (Neovim's python indent, VS Code's Python rules).
_LEAVES = re.compile(r"\s*(?:return|pass|break|continue|raise)\b")


def line_after(offer: Offer, document: Document) -> Snapshot | None:
    """The snapshot of the line below, in `document`, which is the offer's own with the item accepted; else None.

    None as well where code follows the item on its line: then Enter is not what comes next.
    """
    item, made_for = offer.item, offer.snapshot.document
    newline = "\r\n" if made_for.lines[0].endswith("\r\n") else "\n"
    change = Change(item.text.replace("\n", newline), item.start, item.end)
    if made_for.changed([change], document.version, "utf-32").lines != document.lines:
        return None
    row = item.start.line + item.text.count("\n")
    end = len(item.text.rpartition("\n")[2]) + (item.start.column if row == item.start.line else 0)
    line = document.lines[row].rstrip("\r\n")
    if len(line) != end:
        return None
    indent = indent_below(line, offer.snapshot.indent)
    below = Change(newline + indent, (row, end), (row, end))
    return msgspec.structs.replace(
        offer.snapshot,
        document=document.changed([below], document.version, "utf-32"),
        cursor=Position(row + 1, len(indent)),
        trigger="automatic",
        selected=None,
    )


def indent_below(line: str, style: IndentStyle) -> str:
    """The indentation that an editor gives the line below `line`."""
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    if _OPENS.search(line.rstrip()):
        return indent + style.unit
    return indent.removesuffix(style.unit) if _LEAVES.match(line) else indent
