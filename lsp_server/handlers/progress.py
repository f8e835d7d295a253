"""LSP work-done progress while the engine loads.

Source: LSP 3.18 "Work Done Progress". The server makes the token, because VS Code and Zed send none of their own but
for `initialize`; lazily, only for clients that support it, and nothing is sent when the client refuses. Left out:
progress of a completion.
"""

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

if TYPE_CHECKING:
    from lsp_server.engine_link import EngineState
    from lsp_server.server import SeedlingServer

log = logging.getLogger("seedling.status")


class Progress:
    """Shows loading engines. Loop thread only."""

    def __init__(self, server: "SeedlingServer") -> None:
        self._server = server
        self._token: str | None = None  # of the progress that is shown now
        self._creating: asyncio.Task[None] | None = None
        self._wanted: EngineState | None = None

    def show(self, state: "EngineState") -> None:
        """Begins, reports or ends, as the new state asks for."""
        self._wanted = state
        if state.kind == "loading":
            if self._token is not None:
                self._send(types.WorkDoneProgressReport(message=state.sentence, percentage=_percent(state)))
            elif self._creating is None and self._server.session.client.work_done_progress:
                self._creating = asyncio.ensure_future(self._create())
        elif self._token is not None:
            self._send(types.WorkDoneProgressEnd(message=state.sentence))
            self._token = None

    async def _create(self) -> None:
        token = f"seedling-{secrets.token_hex(6)}"
        try:
            await self._server.protocol.send_request_async(
                types.WINDOW_WORK_DONE_PROGRESS_CREATE, types.WorkDoneProgressCreateParams(token)
            )
        except JsonRpcException:
            log.info("the editor shows no progress")
            return  # and is not asked again: _creating stays set
        state = self._wanted
        self._creating = None
        if state is not None and state.kind == "loading":
            self._token = token
            self._send(
                types.WorkDoneProgressBegin(
                    title="Seedling", message=state.sentence, percentage=_percent(state), cancellable=False
                )
            )

    def _send(self, value: Any) -> None:
        assert self._token is not None
        self._server.protocol.notify(types.PROGRESS, types.ProgressParams(self._token, value))


def _percent(state: "EngineState") -> int:
    return round(100 * min(1.0, max(0.0, state.progress)))
