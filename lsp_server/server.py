"""The language server process: wiring, and `serve`, which runs one editor's session.

Source: pygls 2.1. Nothing here or below imports torch or httpx before `initialize` is answered: a server that is asked
nothing costs what a bare pygls server costs. Left out: the command line (cli.py), bytes (transport.py), promises about
JSON-RPC (protocol.py).
"""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from lsp_server import transport
from lsp_server.engine_link import EngineLink
from lsp_server.handlers import (
    code_action,
    commands,
    configuration,
    diagnostic,
    inline_completion,
    lifecycle,
    next_edit,
    notebook,
    rewrite,
    text_sync,
    watch,
)
from lsp_server.handlers.status import StatusReporter
from lsp_server.log import quiet_libraries, stack_without_values
from lsp_server.protocol import SeedlingProtocol
from lsp_server.session import Session

NAME = "seedling"
VERSION = "0.1.0"
CLOSE_TIMEOUT_S = 2.0
TOKEN_VARIABLE = "SEEDLING_LSP_TOKEN"

log = logging.getLogger("seedling.server")


class SeedlingServer(LanguageServer):
    """One editor's server. `session` owns its state; `protocol` speaks; handlers connect the two."""

    protocol: SeedlingProtocol  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self) -> None:
        self.status = StatusReporter(self)
        self.session = Session(EngineLink(self.status.show))
        self.traces = False
        super().__init__(
            NAME,
            VERSION,
            protocol_cls=SeedlingProtocol,
            converter_factory=default_converter,
            notebook_document_sync=notebook.SYNC,
        )
        edits = (next_edit, rewrite, watch, code_action, diagnostic)
        for module in (lifecycle, text_sync, notebook, inline_completion, *edits, configuration, commands):
            module.register(self)

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Logs a failure of ours. pygls' default shows a message box for each."""
        if isinstance(error, JsonRpcInvalidParams):
            log.warning("a request was refused, its parameters do not fit")  # the client was told; no fault of ours
        else:
            log.error("%s", stack_without_values(error))

    def log_feedback(self, what: str, item_id: str | None, num_units: int | None) -> None:
        """Logs what the user did with an item."""
        log.info("%s %s %s", item_id, what, "" if num_units is None else num_units)

    def trace(self, message: str) -> None:
        """Sends `$/logTrace`, if the client wants traces. Numbers and names only."""
        if self.traces or self.session.client.trace:
            self.protocol.notify(types.LOG_TRACE, types.LogTraceParams(message))


def serve(tcp_port: int | None = None, token: str | None = None) -> int:
    """Serves one session, over stdio or on 127.0.0.1:`tcp_port`, and returns the exit status.

    TCP needs a `token` (default: the environment variable SEEDLING_LSP_TOKEN): the client sends it as the first line of
    the connection (transport.py). Port 0 takes a free one; `seedling: listening on 127.0.0.1:PORT` on stderr tells
    which. Status: 0 after `shutdown` and `exit`, 1 when the client left without, 2 when the server could not start.
    """
    token = token or os.environ.get(TOKEN_VARIABLE)
    if tcp_port is not None and not token:
        return _sorry(
            f"LSP over TCP needs a token: put one into the environment variable {TOKEN_VARIABLE}, or use stdio."
        )
    if tcp_port is not None and ("\n" in str(token) or len(str(token)) > transport.MAX_TOKEN_BYTES // 2):
        return _sorry("The token must be one line of at most 512 characters.")
    quiet_libraries()
    server = SeedlingServer()
    try:
        if tcp_port is None:
            read_fd, write_fd = transport.claim_stdio()
            server.protocol.set_writer(transport.StdoutWriter(write_fd))
            return asyncio.run(_run(server, transport.run_stdio(read_fd, server.protocol.receive)))
        return asyncio.run(
            _run(server, transport.run_tcp(tcp_port, token or "", _begin(server), server.protocol.settle, _listening))
        )
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return _sorry(f"127.0.0.1:{tcp_port} cannot be used ({error.strerror or error}).")


def _begin(server: SeedlingServer) -> Callable[[asyncio.StreamWriter], Callable[[bytes], None]]:
    def begin(writer: asyncio.StreamWriter) -> Callable[[bytes], None]:
        server.protocol.set_writer(writer)  # pyright: ignore[reportArgumentType]
        return server.protocol.receive

    return begin


def _listening(port: int) -> None:
    print(f"seedling: listening on 127.0.0.1:{port}", file=sys.stderr, flush=True)


async def _run(server: SeedlingServer, conversation: Coroutine[Any, Any, None]) -> int:
    try:
        await conversation
    except SystemExit:
        await server.protocol.settle()
    except transport.BrokenFraming as error:
        log.error("the client's messages cannot be read: %s", error)
        return 1
    except BrokenPipeError:
        log.info("the client is gone")
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await server.session.close()
    return 0 if server.protocol.shut_down else 1


def _sorry(sentence: str) -> int:
    print(f"seedling: {sentence}", file=sys.stderr)
    return 2
