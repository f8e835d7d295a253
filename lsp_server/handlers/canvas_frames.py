"""How a canvas is being written, told to the editor: the canvas itself where it draws that, `$/progress` elsewhere.

`seedling/canvas {token, step, elapsedMs, confidence, pieces}` is for clients that opt in by the initialization option
`seedling.preview`; its pieces are the canvas after a step, its time counts from the question to the engine. Others get
a work-done progress of the server's own (VS Code and Zed send no token), begun when the first step is there, which the
user may cancel. Left out: what comes of the canvas (rewrite.py, watch.py).
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from lsp_server.printable import printable
from model.engine import api

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

METHOD = "seedling/canvas"
_OPTION = "preview"

log = logging.getLogger("seedling.canvas")


def wants_preview(options: Any) -> bool:
    """Whether the initialization options ask for the canvas: `{"preview": true}`, in the section `seedling` or bare."""
    if not isinstance(options, dict):
        return False
    section = options.get("seedling")
    return (section if isinstance(section, dict) else options).get(_OPTION) is True


class CanvasFrames:
    """Of one canvas. `cancel` is called when the user cancels it in the editor's progress. Loop thread only."""

    def __init__(self, server: "SeedlingServer", token: str | int, title: str, cancel: Callable[[], None]) -> None:
        self._server = server
        self._token = token
        self._title = title
        self._cancel = cancel
        self._preview = wants_preview(server.session.client.options)
        self._asked_s = time.perf_counter()
        self._work_token: str | None = None  # of the work-done progress that is shown now
        self._creating: asyncio.Task[None] | None = None
        self._is_over = False

    @property
    def elapsed_ms(self) -> float:
        """Since the engine was asked."""
        return round((time.perf_counter() - self._asked_s) * 1000, 2)

    def asked(self) -> None:
        """The engine is asked now."""
        self._asked_s = time.perf_counter()

    def show(self, progress: api.Progress) -> None:
        """The canvas after a step."""
        if self._preview:
            self._server.protocol.notify(METHOD, _to_wire(self._token, progress, self.elapsed_ms))
        elif self._work_token is not None:
            report = types.WorkDoneProgressReport(message=_message(progress), percentage=_percent(progress))
            self._server.work_done_progress.report(self._work_token, report)
        elif self._creating is None and self._server.session.client.work_done_progress:
            self._creating = asyncio.ensure_future(self._create())

    def end(self) -> None:
        """The canvas is finished, or given up."""
        self._is_over = True
        if self._work_token is not None:
            self._server.work_done_progress.end(self._work_token, types.WorkDoneProgressEnd())
            self._server.work_done_progress.tokens.pop(self._work_token, None)
            self._work_token = None

    async def _create(self) -> None:
        token = f"seedling-canvas-{secrets.token_hex(6)}"
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
        begin = types.WorkDoneProgressBegin(title=self._title, cancellable=True, percentage=0)
        self._server.work_done_progress.begin(token, begin)


def _to_wire(token: str | int, progress: api.Progress, elapsed_ms: float) -> dict[str, Any]:
    # Unfinished text is drawn, never inserted: what nobody could see in it is shown as an escape.
    pieces = [
        {
            "state": piece.state,
            "text": printable(piece.text),
            "numTokens": piece.num_tokens,
            "confidence": piece.confidence,
        }
        for piece in progress.pieces
    ]
    return {
        "token": token,
        "step": progress.step,
        "elapsedMs": elapsed_ms,
        "confidence": progress.confidence,
        "pieces": pieces,
    }


def _message(progress: api.Progress) -> str:
    return f"step {progress.step}, confidence {progress.confidence:.0%}"


def _percent(progress: api.Progress) -> int:
    """How much of the canvas is final."""
    num_tokens = sum(piece.num_tokens for piece in progress.pieces if piece.state != "locked")
    num_final = sum(piece.num_tokens for piece in progress.pieces if piece.state == "committed")
    return round(100 * num_final / num_tokens) if num_tokens else 0
