"""An engine without a model: speaks the border of model/engine/api.py over a Unix socket and answers as it is told.

It is honest about the protocol (attach stream, health, cancel by id or by a closed stream, error events, dying in the
middle of an answer); only the denoising is scripted.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import uvicorn
from capabilities import capabilities

from model.engine import api


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with one request: wait, then answer, fail, or die. `keep` waits until it is cancelled.

    more: the texts behind the first where several are asked for; all alike if there are none. An error comes behind
    `num_before_error` answers. raw: this instead of events, with the HTTP `status`; endless: again and again.
    """

    text: str = "answer"
    more: tuple[str, ...] = ()
    num_before_error: int = 0
    delay_s: float = 0.0
    confidence: float = 0.9
    reason: api.DoneReason = "stop"
    error: api.Error | None = None
    crash: bool = False
    keep: bool = False
    raw: bytes | None = None
    status: int = 200
    endless: bool = False
    findings: tuple[api.Finding, ...] = ()
    repaired: api.RepairReason = "finished"
    progress: tuple[api.Progress, ...] = ()


class FakeEngine:
    """Runs in a thread of the test process. `script` may be replaced at any time."""

    def __init__(self, socket_path: Path) -> None:
        self.socket = socket_path
        self.script: Callable[[api.DenoiseRequest], Script] = lambda request: Script()
        self.requests: list[api.DenoiseRequest] = []
        self.repair_script: Callable[[api.RepairRequest], Script] = lambda request: Script()
        self.repairs: list[api.RepairRequest] = []
        self.cancelled: list[str] = []
        self.connections: set[object] = set()
        self.health_status: Literal["loading", "ready", "draining", "failed"] = "ready"
        self.progress = 1.0
        self.api_version = api.API_VERSION
        self.health_body: bytes | None = None
        self.health_status_code = 200
        self.encoding: bytes | None = None  # how all answers say that they are compressed, which they are not
        self.capabilities = capabilities(model="fake")
        self.tls: tuple[Path, Path] | None = None  # certificate and key: on a loopback port, as on another machine
        self.port = 0
        self.token: str | None = None  # wanted on everything but /health
        self.redirect: bytes | None = None  # where all requests are sent instead
        self.tokens_seen: list[bytes] = []
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._running: dict[str, asyncio.Event] = {}

    @property
    def address(self) -> str:
        """The value for SEEDLING_ENGINE."""
        return f"unix:{self.socket}" if self.tls is None else f"https://localhost:{self.port}"

    def start(self) -> None:
        """Listens; returns when it does."""
        listening = {"uds": str(self.socket)} if self.tls is None else self._on_tcp(*self.tls)
        config = uvicorn.Config(
            self._app, loop="asyncio", interface="asgi3", log_level="critical", lifespan="off", **listening
        )
        server = self._server = uvicorn.Server(config)
        thread = self._thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the fake engine did not start"
            threading.Event().wait(0.005)

    def _on_tcp(self, cert: Path, key: Path) -> dict[str, Any]:
        if not self.port:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
        return {"host": "127.0.0.1", "port": self.port, "ssl_certfile": cert, "ssl_keyfile": key}

    def stop(self) -> None:
        """Ends abruptly: open answers break off, as when a process is killed."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = self._server.force_exit = True
        for connection in list(self._server.server_state.connections):
            with contextlib.suppress(Exception):
                connection.transport.abort()
        self._thread.join(5)
        self.socket.unlink(missing_ok=True)
        self._server = self._thread = None

    async def _app(self, scope, receive, send) -> None:
        assert scope["type"] == "http"
        routes = {
            "/health": self._health,
            "/v1/capabilities": self._capabilities,
            "/v1/attach": self._attach,
            "/v1/denoise": self._denoise,
            "/v1/repair": self._repair,
            "/v1/cancel": self._cancel,
        }

        async def encoded(message) -> None:
            if message["type"] == "http.response.start" and self.encoding is not None:
                message = {**message, "headers": [*message["headers"], (b"content-encoding", self.encoding)]}
            await send(message)

        given = dict(scope["headers"]).get(b"authorization", b"")
        self.tokens_seen.append(given)
        if self.redirect is not None:
            await send({"type": "http.response.start", "status": 307, "headers": [(b"location", self.redirect)]})
            await send({"type": "http.response.body", "body": b""})
        elif self.token is not None and scope["path"] != "/health" and given != f"Bearer {self.token}".encode():
            await _begin(encoded, 401)
            error = api.Error(code="wrong_token", sentence="The engine's token is missing or wrong.")
            await encoded({"type": "http.response.body", "body": api.encode_event(error)})
        else:
            await routes[scope["path"]](receive, encoded)

    async def _health(self, receive, send) -> None:
        health = api.Health(
            status=self.health_status,
            progress=self.progress,
            sentence="Loading the model." if self.health_status == "loading" else "As told.",
            api=self.api_version,
            version="0.1.0",
            model="fake",
            device="none",
            pid=1,
            uptime_s=1.0,
        )
        await _answer(send, self.health_body or msgspec.json.encode(health), self.health_status_code)

    async def _capabilities(self, receive, send) -> None:
        await _answer(send, msgspec.json.encode(self.capabilities))

    async def _attach(self, receive, send) -> None:
        await _begin(send)
        await send({"type": "http.response.body", "body": b'{"event":"attached"}\n', "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _cancel(self, receive, send) -> None:
        asked = msgspec.json.decode(await _body(receive), type=api.CancelRequest)
        if asked.id in self._running:
            self._running[asked.id].set()
        await _answer(send, b"{}")

    async def _denoise(self, receive, send) -> None:
        request = msgspec.json.decode(await _body(receive), type=api.DenoiseRequest)
        self.requests.append(request)
        script = self.script(request)
        await self._scripted(receive, send, request, script, lambda ms: _answers(script, request.n, ms))

    async def _repair(self, receive, send) -> None:
        request = msgspec.json.decode(await _body(receive), type=api.RepairRequest)
        self.repairs.append(request)
        script = self.repair_script(request)
        await self._scripted(receive, send, request, script, lambda ms: _findings(script, ms))

    async def _scripted(self, receive, send, request, script: Script, events_after) -> None:
        self.connections.add(receive.__self__.transport)  # uvicorn's; kept, so that no two share an identity
        started_s = time.perf_counter()
        cancelled = self._running[request.id] = asyncio.Event()
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await _begin(send, script.status)
            for event in script.progress:
                await send({"type": "http.response.body", "body": api.encode_event(event), "more_body": True})
            wait_s = 60.0 if script.keep else script.delay_s
            stop = asyncio.ensure_future(cancelled.wait())
            await asyncio.wait({gone, stop}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            if gone.done() or cancelled.is_set():
                self.cancelled.append(request.id)
                return
            if script.crash:
                assert self._server is not None
                for connection in list(self._server.server_state.connections):
                    connection.transport.abort()
                return
            if script.raw is not None:
                while script.endless and not gone.done():
                    await send({"type": "http.response.body", "body": script.raw, "more_body": True})
                    await asyncio.sleep(0)
                await send({"type": "http.response.body", "body": script.raw, "more_body": False})
                return
            elapsed_ms = (time.perf_counter() - started_s) * 1000
            body = b"".join(map(api.encode_event, events_after(elapsed_ms)))
            await send({"type": "http.response.body", "body": body, "more_body": False})
        finally:
            gone.cancel()
            del self._running[request.id]


def _answers(script: Script, num: int, elapsed_ms: float) -> list[api.Event]:
    events = [_done(script, index, elapsed_ms) for index in range(num)]
    return events if script.error is None else [*events[: script.num_before_error], script.error]


def _findings(script: Script, elapsed_ms: float) -> list[api.RepairEvent]:
    if script.error is not None:
        return [*script.findings[: script.num_before_error], script.error]
    end = api.Repaired(num_findings=len(script.findings), forwards=1, engine_ms=elapsed_ms, reason=script.repaired)
    return [*script.findings, end]


def _done(script: Script, index: int, elapsed_ms: float) -> api.Done:
    return api.Done(
        text=script.more[index - 1] if index and script.more else script.text,
        index=index,
        reason=script.reason,
        confidence=script.confidence,
        steps=2,
        forwards=3,
        num_tokens=4,
        prompt_tokens=50,
        cached_tokens=40,
        model="fake",
        device="none",
        engine_ms=elapsed_ms,
    )


async def _begin(send, status: int = 200) -> None:
    headers = [(b"content-type", b"application/x-ndjson")]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _answer(send, body: bytes, status: int = 200) -> None:
    await _begin(send, status)
    await send({"type": "http.response.body", "body": body})


async def _body(receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _disconnected(receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
