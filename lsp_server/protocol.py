"""JSON-RPC as we promise it, on top of pygls.

Source: LSP 3.18 "Base Protocol" and "Lifecycle". What pygls 2.1 leaves open and this class closes:

- every request is answered exactly once: also when its parameters cannot be read (pygls shows a toast and forgets the
  id), before `initialize` (-32002), after `shutdown` (-32600, pygls only logs), and when the body is not JSON;
- a plain handler may return a coroutine. What it does before returning happens while the message is being dispatched,
  so it sees exactly the document of its request (a pygls `async` handler may see a later one over TCP); the coroutine
  then runs as a task that `$/cancelRequest` really cancels (-32800);
- documents live in our session, not in pygls' workspace (positions.py says why);
- failures are logged with a stack but without values, and answered without either: parameters hold the user's code.

Left out: bytes and framing (transport.py), what the messages mean (handlers/).
"""

import asyncio
import inspect
import json
import logging
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.protocol import JsonRPCNotification, JsonRPCRequestMessage, LanguageServerProtocol, lsp_method

from lsp_server import wire
from lsp_server.client_profile import read_profile
from lsp_server.wire_actions import ACTION_READERS
from lsp_server.wire_notebook import NOTEBOOK_READERS

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

log = logging.getLogger("seedling.protocol")

SERVER_NOT_INITIALIZED = -32002
INVALID_REQUEST = -32600
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
PARSE_ERROR = -32700
SETTLE_TIMEOUT_S = 1.0

_READERS = {**wire.READERS, **NOTEBOOK_READERS, **ACTION_READERS}


class SeedlingProtocol(LanguageServerProtocol):
    """One LSP conversation. `receive` takes one message body; all else is called from there on the loop thread."""

    def __init__(self, server: Any, converter: Any) -> None:
        super().__init__(server, converter)
        self._tasks: set[asyncio.Task] = set()

    @property
    def shut_down(self) -> bool:
        """Whether the client has sent `shutdown`."""
        return self._shutdown

    def receive(self, body: bytes) -> None:
        """Handles one message. Never raises, except SystemExit on `exit`."""
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            self._refuse(None, PARSE_ERROR, "The message is not JSON.")
            return
        if not isinstance(data, dict) or data.get("jsonrpc") != self.VERSION:
            # Batches too: LSP has none.
            self._refuse(None, INVALID_REQUEST, "The message is not a JSON-RPC 2.0 object.")
            return
        is_request = "method" in data and "id" in data
        if is_request and not isinstance(data["id"], str | int | float):
            self._refuse(None, INVALID_REQUEST, "The id of a request must be a number or a string.")
            return
        sentence = self._wrong_time(data)
        if sentence is not None:
            if is_request:
                code = INVALID_REQUEST if self._workspace is not None else SERVER_NOT_INITIALIZED
                self._refuse(data["id"], code, sentence)
            return
        try:
            message = self.structure_message(data)
        except (wire.UnreadableParams, JsonRpcException) as error:
            detail = (
                str(error) if isinstance(error, wire.UnreadableParams) else "its parameters do not fit the protocol"
            )
            log.warning("cannot read %s: %s", data.get("method"), detail)
            if is_request:
                self._refuse(data["id"], INVALID_PARAMS, f"The request {data['method']} cannot be read: {detail}.")
            return
        try:
            self.handle_message(message)
        except Exception as error:
            self._server.report_server_error(error, JsonRpcException)

    def _wrong_time(self, data: dict[str, Any]) -> str | None:
        method = data.get("method")
        if method == types.EXIT or method is None:
            return None
        if self._shutdown:
            return "The server has been shut down."
        if method == types.INITIALIZE:
            return None if self._workspace is None else "The server is initialized already."
        return None if self._workspace is not None else "The server is not initialized yet."

    def _refuse(self, msg_id: Any, code: int, sentence: str) -> None:
        self._send_data(
            {"jsonrpc": self.VERSION, "id": msg_id, "error": {"code": code, "message": sentence}},
        )

    def structure_message(self, data: dict[str, Any]) -> Any:
        """The message of `data`. Raises UnreadableParams, or pygls' errors for those that it reads itself."""
        method = data.get("method")
        reader = _READERS.get(method) if isinstance(method, str) else None
        if reader is not None:
            params = reader(data.get("params"))
            if "id" in data:
                return JsonRPCRequestMessage(data["id"], cast(str, method), self.VERSION, params)
            return JsonRPCNotification(cast(str, method), self.VERSION, params)
        if method == types.INITIALIZE:
            server = cast("SeedlingServer", self._server)
            server.session.client = read_profile(data.get("params"))
            data = {**data, "params": wire.only_needed_capabilities(data.get("params"))}
        return super().structure_message(data)

    def _send_response(self, msg_id, result=None, error=None) -> None:
        if error is not None and error.code == INTERNAL_ERROR:
            error = types.ResponseError(code=INTERNAL_ERROR, message="The server failed: its log says where.")
        super()._send_response(msg_id, result, error)

    def _execute_handler(self, msg_id, handler, callback, args=None, kwargs=None):
        if asyncio.iscoroutinefunction(handler) or inspect.isgeneratorfunction(handler):
            super()._execute_handler(msg_id, handler, callback, args, kwargs)
            return
        future: Future[Any] = Future()
        try:
            result = handler(*(args or ()), **(kwargs or {}))
        except Exception as error:
            future.set_exception(error)
        else:
            if inspect.iscoroutine(result):
                task: Any = asyncio.ensure_future(result)
                self._request_futures[msg_id] = task
                self._tasks.add(task)
                task.add_done_callback(callback)
                task.add_done_callback(self._tasks.discard)
                return
            future.set_result(result)
        future.add_done_callback(callback)

    @lsp_method(types.SHUTDOWN)
    def lsp_shutdown(self, *args) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Cancels what still runs (each gets its answer) and refuses what comes after."""
        # pygls iterates over the dictionary itself, which the cancelled futures' callbacks shrink meanwhile.
        for future in list(self._request_futures.values()):
            future.cancel()
        self._shutdown = True

    @lsp_method(types.EXIT)
    def lsp_exit(self, *args) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Ends the conversation. pygls closes the connection here, before the cancelled requests are answered."""
        raise SystemExit(0 if self._shutdown else 1)

    async def settle(self) -> None:
        """After `shutdown`: waits until the requests that it cancelled have been answered."""
        if self._shutdown and self._tasks:
            await asyncio.wait(self._tasks, timeout=SETTLE_TIMEOUT_S)

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.fm.features[types.TEXT_DOCUMENT_DID_OPEN](params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.fm.features[types.TEXT_DOCUMENT_DID_CHANGE](params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.fm.features[types.TEXT_DOCUMENT_DID_CLOSE](params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    def lsp_notebook_document__did_open(self, params: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.fm.features[types.NOTEBOOK_DOCUMENT_DID_OPEN](params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def lsp_notebook_document__did_change(self, params: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.fm.features[types.NOTEBOOK_DOCUMENT_DID_CHANGE](params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def lsp_notebook_document__did_close(self, params: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.fm.features[types.NOTEBOOK_DOCUMENT_DID_CLOSE](params)
