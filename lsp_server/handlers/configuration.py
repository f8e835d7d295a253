"""Settings: from the editor (initializationOptions, `workspace/didChangeConfiguration`, `workspace/configuration`) and
from files, when they change.

Clients either push settings or want to be asked for them; both are served. Not every client watches files for us
(`workspace/didChangeWatchedFiles`), so the stamps of the few settings files are also looked at when a document opens or
gets the focus. What may be set is settings.py's business.
"""

import logging
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from lsp_server import ignored, project_settings
from lsp_server.handlers import diagnostic
from lsp_server.settings import SECTION
from lsp_server.wire import ConfigurationChanged

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

log = logging.getLogger("seedling.settings")


def register(server: "SeedlingServer") -> None:
    """Adds the handlers of this file."""

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    def did_change_configuration(params: ConfigurationChanged) -> Any:
        if server.session.client.configuration:
            return pull(server)
        apply(server, params.settings)
        return None

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def did_change_watched_files(params: Any) -> None:
        refresh(server)


def apply(server: "SeedlingServer", configuration: Any) -> None:
    """Takes new raw settings (None: those that came with `initialize`); says what was ignored, each key once."""
    for sentence in server.session.configure(configuration):
        log.warning("%s", sentence)
        server.window_log_message(types.LogMessageParams(types.MessageType.Warning, sentence))
    server.status.switched()
    diagnostic.switched(server)


def refresh(server: "SeedlingServer", *uris: str) -> None:
    """Reads the settings files that have changed; ignore files are asked about these documents, or about all."""
    if server.session.read_files(uris):
        apply(server, None)


async def pull(server: "SeedlingServer") -> None:
    """Asks the editor for the `seedling` section and applies it; without an answer nothing changes."""
    params = types.ConfigurationParams(items=[types.ConfigurationItem(section=SECTION)])
    try:
        answer = await server.protocol.send_request_async(types.WORKSPACE_CONFIGURATION, params)
    except JsonRpcException:
        return
    if answer and isinstance(answer[0], dict):
        apply(server, {SECTION: answer[0]})


async def watch(server: "SeedlingServer") -> None:
    """Asks the editor to tell about changed settings and project files, where it wants to be asked to."""
    client = server.session.client
    registrations = []
    if client.register_configuration:
        method, options = types.WORKSPACE_DID_CHANGE_CONFIGURATION, {"section": SECTION}
        registrations.append(types.Registration("seedling-configuration", method, options))
    if client.register_watched_files:
        watchers = [{"globPattern": f"**/{name}"} for name in (project_settings.FILE_NAME, ignored.FILE_NAME)]
        method, options = types.WORKSPACE_DID_CHANGE_WATCHED_FILES, {"watchers": watchers}
        registrations.append(types.Registration("seedling-project-files", method, options))
    if not registrations:
        return
    try:
        await server.protocol.send_request_async(
            types.CLIENT_REGISTER_CAPABILITY, types.RegistrationParams(registrations)
        )
    except JsonRpcException:
        return
