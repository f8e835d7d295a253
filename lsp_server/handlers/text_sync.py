"""Documents: opened, changed, saved, closed (LSP 3.18 text synchronisation), focused (`didFocus` is Copilot's)."""

from typing import TYPE_CHECKING

from lsprotocol import types

from lsp_server.handlers import configuration, diagnostic
from lsp_server.ignored import FILE_NAME
from lsp_server.uris import uri_path
from lsp_server.wire import Changed, Closed, Focused, Opened, Saved

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer


def register(server: "SeedlingServer") -> None:
    """Adds the handlers of this file."""
    session = server.session

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: Opened) -> None:
        session.open(params)
        configuration.refresh(server, params.uri)
        server.status.refresh()
        diagnostic.schedule(server, params.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: Changed) -> None:
        session.change(params)
        diagnostic.schedule(server, params.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE, types.SaveOptions(include_text=False))
    def did_save(params: Saved) -> None:
        document = session.document(params.uri)
        if document is not None:
            session.context.saved(document.uri)
        may_name_others = uri_path(params.uri).endswith(FILE_NAME)
        configuration.refresh(server, *(() if may_name_others else (params.uri,)))

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: Closed) -> None:
        session.close_document(params.uri)
        diagnostic.closed(server, params.uri)
        server.status.refresh()

    @server.feature("textDocument/didFocus")
    def did_focus(params: Focused) -> None:
        document = None if params.uri is None else session.document(params.uri)
        session.context.focused(None if document is None else document.uri)
        if document is not None:
            configuration.refresh(server, document.uri)
        server.status.focused(params.uri)
