"""`initialize`, `initialized`, workspace folders, `$/setTrace`: what frames a session (LSP 3.18 "Lifecycle").

The reply to `initialize` waits for nothing: log, settings and engine come after `initialized`.
"""

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from lsprotocol import types

from lsp_server.handlers import completion, configuration
from lsp_server.log import log_to_file

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer


def register(server: "SeedlingServer") -> None:
    """Adds the handlers of this file."""
    session = server.session

    @server.feature(types.INITIALIZE)
    def initialize(params: Any) -> None:
        if not session.client.inline_completion:
            completion.register(server)

    @server.feature(types.INITIALIZED)
    def initialized(params: Any) -> Any:
        # Read here and not in the background: a project's exclusions hold before the first question to the engine.
        session.read_files()
        configuration.apply(server, None)
        session.engine.start()
        return _settle(server)

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    def did_change_workspace_folders(params: Any) -> None:
        folders = tuple(folder.uri for folder in server.workspace.folders.values())
        session.client = msgspec.structs.replace(session.client, folders=folders)
        configuration.refresh(server)

    @server.feature(types.SET_TRACE)
    def set_trace(params: types.SetTraceParams) -> None:
        server.traces = params.value != types.TraceValue.Off


async def _settle(server: "SeedlingServer") -> None:
    await asyncio.to_thread(log_to_file)
    await configuration.watch(server)
    if server.session.client.configuration:
        await configuration.pull(server)
