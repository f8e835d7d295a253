"""Documents and snapshots of them, both immutable.

A `Document` is one version of one open text. A `Snapshot` is a document together with the cursor and everything else
that a feature may look at; it is taken synchronously when a request arrives, because pygls only promises the right
document until the first `await` (and over TCP not even that long). Source: LSP 3.18 "Text Document Synchronization".
Left out: who holds the newest version (session.py), what URIs mean (uris.py).
"""

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from lsp_server.edits import Edits
from lsp_server.positions import Encoding, Position, from_client, split_lines, without_end
from model.syntax.incremental import Parsed, Trees, outer_statement_end

Trigger = Literal["invoked", "automatic"]

_INDENT = re.compile(r"([ \t]+)\S")
_BLANK = re.compile(r"[ \t]+")


class Change(msgspec.Struct, frozen=True):
    """One content change; no range means that `text` is the whole new document. Numbers are the client's units."""

    text: str
    start: tuple[int, int] | None = None
    end: tuple[int, int] | None = None


class Document(msgspec.Struct, frozen=True):
    """One version of an open document. `lines` keep their line ends; there is always at least one line.

    edits: what the changes were that led to this version.
    """

    uri: str
    language: str
    version: int
    lines: tuple[str, ...]
    edits: Edits = Edits()

    @property
    def text(self) -> str:
        return "".join(self.lines)

    @property
    def num_chars(self) -> int:
        return sum(map(len, self.lines))

    def changed(self, changes: Iterable[Change], version: int, encoding: Encoding) -> "Document":
        """The document after `changes`, applied in order (each sees the result of the one before)."""
        lines = self.lines
        for change in changes:
            lines = _apply(lines, change, encoding)
        return Document(self.uri, self.language, version, lines, self.edits.after(self.lines, lines))


def open_document(uri: str, language: str, version: int, text: str) -> Document:
    """A document as `textDocument/didOpen` gives it."""
    return Document(uri, language, version, split_lines(text))


def _apply(lines: tuple[str, ...], change: Change, encoding: Encoding) -> tuple[str, ...]:
    if change.start is None or change.end is None:
        return split_lines(change.text)
    start = from_client(lines, *change.start, encoding)
    end = from_client(lines, *change.end, encoding)
    if end < start:  # the protocol forbids it; swapping is what editors' own text models do
        start, end = end, start
    first = start.line
    middle = lines[first][: start.column] + change.text + lines[end.line][end.column :]
    if first > 0 and middle.startswith("\n") and lines[first - 1].endswith("\r"):
        first -= 1  # a lone CR above and the new LF become one line end
        middle = lines[first] + middle
    new = split_lines(middle)
    if end.line + 1 < len(lines):
        new = new[:-1]  # the end line kept its own line end, so the empty rest belongs to the line below
        assert middle.endswith(("\n", "\r")), "only the last line of a document may lack a line end"
    return lines[:first] + new + lines[end.line + 1 :]


class IndentStyle(msgspec.Struct, frozen=True):
    """`unit` is one level of indentation: a tab, or some spaces; `tab_size` the width of a tab in columns."""

    unit: str = "    "
    tab_size: int = 4


class Selected(msgspec.Struct, frozen=True):
    """The item chosen in the completion popup; what we offer must extend it (LSP `selectedCompletionInfo`)."""

    start: Position
    end: Position
    text: str


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a feature may know about a request. `path` is for the prompt: relative, with forward slashes.

    is_ignored: whether the user wants nothing completed in this file (ignored.py).
    above: the lines of a notebook's code cells above this one, for the prompt; every one ends with a line end.
    trees: where the trees of documents are kept; whichever version they hold, the tree of `document` comes out.
    """

    document: Document
    cursor: Position
    path: str
    trigger: Trigger = "automatic"
    indent: IndentStyle = IndentStyle()
    selected: Selected | None = None
    is_ignored: bool = False
    above: tuple[str, ...] = ()
    trees: Trees = msgspec.field(default_factory=Trees)

    @property
    def parsed(self) -> Parsed | None:
        """The syntax tree up to the end of the outermost statement at the cursor, without a selected popup item.

        None without a grammar and for large files.
        """
        lines = self.document.lines
        end = outer_statement_end(lines, self.cursor.line)
        return self.trees.of(self.document.uri, lines[:end], self.document.language)

    @property
    def line_before(self) -> str:
        """The cursor's line up to the cursor, with the selected popup item applied."""
        line = self.document.lines[self.cursor.line]
        if self.selected is not None:
            return line[: self.selected.start.column] + self.selected.text
        return line[: self.cursor.column]

    @property
    def line_after(self) -> str:
        """The rest of the cursor's line, without its line end."""
        line = without_end(self.document.lines[self.cursor.line])
        return line[self.replaced_from_cursor.column :]

    @property
    def replaced_from_cursor(self) -> Position:
        """The end of what is replaced anyway: the cursor, or the end of the selected item's range."""
        return self.selected.end if self.selected is not None else self.cursor


def usable_selection(document: Document, cursor: Position, selected: Selected) -> Selected | None:
    """`selected` if an answer can extend it: one line, around the cursor, and not what already stands there.

    Neovim 0.12 sends the visual selection in this field, in which case its text is already in the document.
    """
    if selected.start.line != cursor.line or selected.end.line != cursor.line or "\n" in selected.text:
        return None
    if not selected.start.column <= cursor.column <= selected.end.column:
        return None
    present = document.lines[cursor.line][selected.start.column : selected.end.column]
    return None if present == selected.text else selected


def detect_indent(lines: tuple[str, ...], *, tab_size: int = 4, near: int = 0, window: int = 200) -> IndentStyle:
    """The indentation that the lines around `near` use, or else the line `near` itself, though it may be blank.

    Four spaces where nothing is indented.
    """
    matches = map(_INDENT.match, lines[max(0, near - window) : near + window])
    found = [match[1] for match in matches if match] or [match[0] for match in [_BLANK.match(lines[near])] if match]
    if any(indent.startswith("\t") for indent in found[:50]):
        return IndentStyle("\t", tab_size)
    widths = [len(indent) for indent in found if not indent.startswith("\t")]
    for width in (4, 2, 8, 3):
        # The smallest indentation decides; deeper levels are its multiples. Continuation lines may be anything.
        if width in widths and min(widths) >= width:
            return IndentStyle(" " * width, tab_size)
    return IndentStyle(" " * 4, tab_size)
