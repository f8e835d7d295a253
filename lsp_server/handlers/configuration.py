"""Settings from the editor: initializationOptions, `workspace/didChangeConfiguration`, `workspace/configuration`.

Clients either push settings or want to be asked for them; both are served. What may be set is settings.py's business.
"""

from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from lsp_server.settings import SECTION
from lsp_server.wire import ConfigurationChanged

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer


def register(server: "SeedlingServer") -> None:
    """Adds the handlers of this file."""

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    def did_change_configuration(params: ConfigurationChanged) -> Any:
        if server.session.client.configuration:
            return pull(server)
        apply(server, params.settings)
        return None


def apply(server: "SeedlingServer", configuration: Any) -> None:
    """Takes new raw settings (None: those that came with `initialize`); says what was ignored, each key once."""
    for sentence in server.session.configure(configuration):
        server.window_log_message(types.LogMessageParams(types.MessageType.Warning, sentence))


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
    """Asks the editor to tell about changed settings, where it wants to be asked to."""
    if not server.session.client.register_configuration:
        return
    registration = types.Registration(
        id="seedling-configuration",
        method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
        register_options={"section": SECTION},
    )
    try:
        await server.protocol.send_request_async(
            types.CLIENT_REGISTER_CAPABILITY, types.RegistrationParams([registration])
        )
    except JsonRpcException:
        return
