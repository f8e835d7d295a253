"""Which cells a notebook has, and in which order: what `notebookDocument/*` tells beside the cells' texts.

Source: LSP 3.17 "Notebook Document Synchronization". The cells' texts are documents like all others (session.py); here
stands only what a document cannot know. Left out: outputs, metadata, execution; guessing an order for cells of clients
that send them as plain documents (their URIs do not tell it).
"""

import msgspec

from lsp_server.uris import document_key


class Cell(msgspec.Struct, frozen=True):
    """One cell. Markdown cells are none of code."""

    uri: str
    is_code: bool


class Splice(msgspec.Struct, frozen=True):
    """`num_deleted` cells at `start` make room for `cells`. A moved cell is deleted and inserted again."""

    start: int
    num_deleted: int
    cells: tuple[Cell, ...] = ()


class Notebooks:
    """The open notebooks of a session."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, ...], tuple[Cell, ...]] = {}

    def open(self, uri: str, cells: tuple[Cell, ...]) -> None:
        """Holds a notebook from now on."""
        self._cells[document_key(uri)] = cells

    def close(self, uri: str) -> tuple[Cell, ...]:
        """Forgets a notebook; returns the cells that it had."""
        return self._cells.pop(document_key(uri), ())

    def splice(self, uri: str, splice: Splice) -> None:
        """Cells came, went or moved."""
        cells = self._cells.get(document_key(uri), ())
        end = splice.start + splice.num_deleted
        self._cells[document_key(uri)] = (*cells[: splice.start], *splice.cells, *cells[end:])

    def update(self, uri: str, changed: tuple[Cell, ...]) -> None:
        """Cells became code or Markdown."""
        new = {document_key(cell.uri): cell for cell in changed}
        cells = self._cells.get(document_key(uri), ())
        self._cells[document_key(uri)] = tuple(new.get(document_key(cell.uri), cell) for cell in cells)

    def code_above(self, uri: str) -> tuple[str, ...]:
        """The URIs of the code cells above the cell `uri`, top down."""
        key = document_key(uri)
        for cells in self._cells.values():
            for index, cell in enumerate(cells):
                if document_key(cell.uri) == key:
                    return tuple(above.uri for above in cells[:index] if above.is_code)
        return ()
