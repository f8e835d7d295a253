"""How a rewrite is going, told to the editor: the canvas itself where it draws that, `$/progress` elsewhere.

`seedling/rewriteProgress {token, step, confidence, pieces}` is for clients that opt in by the initialization option
`seedling.preview`; its pieces are the canvas after a step. Others get a work-done progress of the server's own (VS Code
and Zed send no token), begun when the first step is there, which the user may cancel. Left out: what is applied.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from model.engine import api

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

METHOD = "seedling/rewriteProgress"
_OPTION = "preview"

log = logging.getLogger("seedling.rewrite")


def wants_preview(options: Any) -> bool:
    """Whether the initialization options ask for the canvas: `{"preview": true}`, in the section `seedling` or bare."""
    if not isinstance(options, dict):
        return False
    section = options.get("seedling")
    return (section if isinstance(section, dict) else options).get(_OPTION) is True


class RewriteProgress:
    """Of one rewrite. `cancel` is called when the user cancels it in the editor's progress. Loop thread only."""

    def __init__(self, server: "SeedlingServer", token: str | int, cancel: Callable[[], None]) -> None:
        self._server = server
        self._token = token
        self._cancel = cancel
        self._preview = wants_preview(server.session.client.options)
        self._work_token: str | None = None  # of the work-done progress that is shown now
        self._creating: asyncio.Task[None] | None = None
        self._is_over = False

    def show(self, progress: api.Progress) -> None:
        """The canvas after a step."""
        if self._preview:
            self._server.protocol.notify(METHOD, _to_wire(self._token, progress))
        elif self._work_token is not None:
            report = types.WorkDoneProgressReport(message=_message(progress), percentage=_percent(progress))
            self._server.work_done_progress.report(self._work_token, report)
        elif self._creating is None and self._server.session.client.work_done_progress:
            self._creating = asyncio.ensure_future(self._create())

    def end(self) -> None:
        """The rewrite has ended, however that was."""
        self._is_over = True
        if self._work_token is not None:
            self._server.work_done_progress.end(self._work_token, types.WorkDoneProgressEnd())
            self._server.work_done_progress.tokens.pop(self._work_token, None)
            self._work_token = None

    async def _create(self) -> None:
        token = f"seedling-rewrite-{secrets.token_hex(6)}"
        try:
            await self._server.work_done_progress.create_async(token)
        except JsonRpcException:
            log.info("the editor shows no progress")
            return
        if self._is_over:
            self._server.work_done_progress.tokens.pop(token, None)
            return
        self._work_token = token
        self._server.work_done_progress.tokens[token].add_done_callback(lambda _: self._cancel())
        begin = types.WorkDoneProgressBegin(title="Seedling: rewriting", cancellable=True, percentage=0)
        self._server.work_done_progress.begin(token, begin)


def _to_wire(token: str | int, progress: api.Progress) -> dict[str, Any]:
    pieces = [
        {"state": piece.state, "text": piece.text, "numTokens": piece.num_tokens, "confidence": piece.confidence}
        for piece in progress.pieces
    ]
    return {"token": token, "step": progress.step, "confidence": progress.confidence, "pieces": pieces}


def _message(progress: api.Progress) -> str:
    return f"step {progress.step}, confidence {progress.confidence:.0%}"


def _percent(progress: api.Progress) -> int:
    """How much of the canvas is final."""
    num_tokens = sum(piece.num_tokens for piece in progress.pieces if piece.state != "locked")
    num_final = sum(piece.num_tokens for piece in progress.pieces if piece.state == "committed")
    return round(100 * num_final / num_tokens) if num_tokens else 0
