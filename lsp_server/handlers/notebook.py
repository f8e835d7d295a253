"""Notebooks: opened, changed, closed (LSP 3.17 "Notebook Document Synchronization").

Every cell is a document of the session, so ghost text in a cell can only ever change that cell; what notebooks add is
the code above it (Snapshot.above). Clients without this kind of synchronisation send cells as plain documents.
"""

from typing import TYPE_CHECKING

from lsprotocol import types

from lsp_server.handlers import configuration
from lsp_server.wire_notebook import NotebookChanged, NotebookClosed, NotebookOpened

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

# All cells, whatever their language: a cell may change it, and which ones the model knows is known later.
SYNC = types.NotebookDocumentSyncOptions(
    notebook_selector=[types.NotebookDocumentFilterWithNotebook(notebook="*")], save=False
)


def register(server: "SeedlingServer") -> None:
    """Adds the handlers of this file."""
    session = server.session

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    def did_open(params: NotebookOpened) -> None:
        session.notebooks.open(params.uri, params.cells)
        for document in params.documents:
            session.open(document)
        configuration.refresh(server, *(document.uri for document in params.documents))
        server.status.refresh()

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def did_change(params: NotebookChanged) -> None:
        # In the order of the specification: a changed language closes and opens a document within one splice.
        for uri in params.closed:
            session.close_document(uri)
        for document in params.opened:
            session.open(document)
        if params.splice is not None:
            session.notebooks.splice(params.uri, params.splice)
        if params.updated:
            session.notebooks.update(params.uri, params.updated)
        for change in params.changes:
            session.change(change)
        if params.opened:
            configuration.refresh(server, *(document.uri for document in params.opened))
        if params.opened or params.closed:
            server.status.refresh()

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def did_close(params: NotebookClosed) -> None:
        for uri in (*params.closed, *(cell.uri for cell in session.notebooks.close(params.uri))):
            session.close_document(uri)
        server.status.refresh()
