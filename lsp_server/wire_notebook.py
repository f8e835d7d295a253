"""The messages of notebook synchronisation: plain JSON in, frozen structs out.

Source: LSP 3.17 "Notebook Document Synchronization"; wire.py says why lsprotocol's classes are not used. Left out:
metadata, execution summaries, saving.
"""

from typing import Any

import msgspec

from lsp_server.notebooks import Cell, Splice
from lsp_server.wire import Changed, Opened, UnreadableParams, read_changed, read_closed, read_opened

_CODE = 2


class NotebookOpened(msgspec.Struct, frozen=True):
    uri: str
    cells: tuple[Cell, ...]
    documents: tuple[Opened, ...]


class NotebookChanged(msgspec.Struct, frozen=True, kw_only=True):
    """`updated` are cells whose kind may be another one now; `changes` are those of cells' texts."""

    uri: str
    splice: Splice | None = None
    opened: tuple[Opened, ...] = ()
    closed: tuple[str, ...] = ()
    updated: tuple[Cell, ...] = ()
    changes: tuple[Changed, ...] = ()


class NotebookClosed(msgspec.Struct, frozen=True):
    uri: str
    closed: tuple[str, ...]


def read_notebook_opened(params: Any) -> NotebookOpened:
    notebook = _object(params, "notebookDocument")
    return NotebookOpened(_uri(notebook), _cells(notebook), _documents(params, "cellTextDocuments"))


def read_notebook_changed(params: Any) -> NotebookChanged:
    uri = _uri(_object(params, "notebookDocument"))
    cells = _object(_object(params, "change"), "cells", needed=False)
    structure = _object(cells, "structure", needed=False)
    return NotebookChanged(
        uri=uri,
        splice=_splice(_object(structure, "array", needed=False)),
        opened=_documents(structure, "didOpen"),
        closed=_closed(structure, "didClose"),
        updated=tuple(_cell(cell) for cell in _list(cells, "data")),
        changes=tuple(_change(entry) for entry in _list(cells, "textContent")),
    )


def read_notebook_closed(params: Any) -> NotebookClosed:
    return NotebookClosed(_uri(_object(params, "notebookDocument")), _closed(params, "cellTextDocuments"))


NOTEBOOK_READERS = {
    "notebookDocument/didOpen": read_notebook_opened,
    "notebookDocument/didChange": read_notebook_changed,
    "notebookDocument/didClose": read_notebook_closed,
}


def _splice(array: dict[str, Any]) -> Splice | None:
    if not array:
        return None
    start, num_deleted = array.get("start"), array.get("deleteCount")
    if not isinstance(start, int) or not isinstance(num_deleted, int) or start < 0 or num_deleted < 0:
        raise UnreadableParams("structure.array must have the numbers start and deleteCount")
    return Splice(start, num_deleted, _cells(array))


def _cells(holder: dict[str, Any]) -> tuple[Cell, ...]:
    return tuple(_cell(cell) for cell in _list(holder, "cells"))


def _cell(value: Any) -> Cell:
    uri = value.get("document") if isinstance(value, dict) else None
    if not isinstance(uri, str):
        raise UnreadableParams("cells[].document must be a string")
    return Cell(uri, value.get("kind") == _CODE)


def _documents(holder: Any, name: str) -> tuple[Opened, ...]:
    return tuple(read_opened({"textDocument": document}) for document in _list(holder, name))


def _closed(holder: Any, name: str) -> tuple[str, ...]:
    return tuple(read_closed({"textDocument": document}).uri for document in _list(holder, name))


def _change(entry: Any) -> Changed:
    if not isinstance(entry, dict):
        raise UnreadableParams("textContent[] must be an object")
    return read_changed({"textDocument": entry.get("document"), "contentChanges": entry.get("changes")})


def _uri(value: dict[str, Any]) -> str:
    if not isinstance(value.get("uri"), str):
        raise UnreadableParams("notebookDocument.uri must be a string")
    return value["uri"]


def _object(holder: Any, name: str, *, needed: bool = True) -> dict[str, Any]:
    value = holder.get(name) if isinstance(holder, dict) else None
    if needed and not isinstance(value, dict):
        raise UnreadableParams(f"{name} must be an object")
    return value if isinstance(value, dict) else {}


def _list(holder: Any, name: str) -> list[Any]:
    value = holder.get(name) if isinstance(holder, dict) else None
    if value is not None and not isinstance(value, list):
        raise UnreadableParams(f"{name} must be a list")
    return value or []
