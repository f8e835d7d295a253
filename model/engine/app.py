"""The engine as an ASGI app: /v1/denoise and /v1/repair (NDJSON), /v1/cancel, /v1/capabilities, /v1/attach, /v1/drain,
/health, /ready and /metrics.

Source: model/engine/api.py (the border) and starlette. Unknown JSON fields are ignored; every error is one sentence in
`{"event": "error", "code", "sentence"}`. A closed stream cancels its request. Left out: other tools' protocols
(protocols/), for which this is the door, and everything about processes (command.py, lifecycle.py).
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar, cast

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from model.engine import api
from model.engine.guard import Guard, GuardSettings, client_of, too_large
from model.engine.job import Job
from model.engine.lifecycle import Lifecycle
from model.engine.metrics import CONTENT_TYPE, Metrics, kind_of
from model.engine.protocols.errors import encode_error
from model.engine.protocols.routes import ProtocolRoutes
from model.engine.refusal import Refused
from model.engine.runner import Runner
from model.engine.scheduler import QueueFull

BODY_TIMEOUT_S = 10.0
MAX_ALTERNATIVES = 8
MAX_LOGPROBS = 20
MAX_EDITOR_CHARS = 64
HEARTBEAT_S = 30.0
RETRY_AFTER_S = {"queue_full": 1, "loading": 5, "draining": 5}  # by error code

log = logging.getLogger("seedling.engine")

T = TypeVar("T")
Asked = TypeVar("Asked", api.DenoiseRequest, api.RepairRequest)


class EngineInfo(msgspec.Struct, frozen=True):
    """What /health says of this process before the model is loaded."""

    version: str
    model: str
    device: str


class _DrainRequest(msgspec.Struct, frozen=True):
    reason: str = "stop"


def make_app(runner: Runner, lifecycle: Lifecycle, info: EngineInfo, guard: GuardSettings) -> Guard:
    """The app over a runner; it neither starts nor stops the runner."""
    routes = _Routes(runner, lifecycle, info, guard)
    app = Starlette(
        routes=[
            Route("/health", routes.health, methods=["GET"]),
            Route("/ready", routes.ready, methods=["GET"]),
            Route("/metrics", routes.metrics, methods=["GET"]),
            Route("/v1/capabilities", routes.capabilities, methods=["GET"]),
            Route("/v1/attach", routes.attach, methods=["GET"]),
            Route("/v1/denoise", routes.denoise, methods=["POST"]),
            Route("/v1/repair", routes.repair, methods=["POST"]),
            Route("/v1/cancel", routes.cancel, methods=["POST"]),
            Route("/v1/drain", routes.drain, methods=["POST"]),
            *ProtocolRoutes(routes, info.version).routes(),
        ],
        exception_handlers={Refused: _answer_refused, 404: _answer_unknown, 405: _answer_unknown},
    )
    return Guard(app, guard)


class _Routes:
    def __init__(self, runner: Runner, lifecycle: Lifecycle, info: EngineInfo, guard: GuardSettings) -> None:
        self._runner = runner
        self._lifecycle = lifecycle
        self._info = info
        self._max_body_bytes = guard.max_body_bytes
        self._is_shared = guard.is_shared
        self._metrics = Metrics(runner)

    async def health(self, request: Request) -> Response:
        life = self._lifecycle
        known = self._runner.capabilities
        return _json(
            api.Health(
                status=life.status,
                progress=life.progress,
                sentence=life.sentence,
                api=api.API_VERSION,
                version=self._info.version,
                model=known.model if known else self._info.model,
                device=known.device if known else self._info.device,
                pid=os.getpid(),
                uptime_s=life.uptime_s,
            )
        )

    async def ready(self, request: Request) -> Response:
        """For what decides where requests go: not while the engine loads or drains. /health says that it lives."""
        if self._lifecycle.status != "ready":
            raise self._not_ready()
        return _json({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), headers={"content-type": CONTENT_TYPE})

    async def capabilities(self, request: Request) -> Response:
        return _json(self.known())

    def known(self) -> api.Capabilities:
        """What the model can do, once it is loaded; refuses before that."""
        known = self._runner.capabilities
        if known is None:
            raise self._not_ready()
        return known

    async def attach(self, request: Request) -> Response:
        """Open as long as a client is connected; says so when the engine closes (lifecycle.py)."""
        return StreamingResponse(self._attached(), media_type="application/x-ndjson")

    async def denoise(self, request: Request) -> Response:
        return await self._stream(request, api.DenoiseRequest)

    async def repair(self, request: Request) -> Response:
        return await self._stream(request, api.RepairRequest)

    async def _stream(self, request: Request, shape: type[Asked]) -> Response:
        try:
            job = await self._submit(request, shape)
        except Refused as refused:
            self._metrics.count_refused(refused.error.code)
            raise
        return StreamingResponse(self._lines(job, client_of(request)), media_type="application/x-ndjson")

    async def cancel(self, request: Request) -> Response:
        """Always 200: a request that is unknown has ended."""
        asked = await self.decode(request, api.CancelRequest)
        return _json({"cancelled": self.end(request, asked.id)})

    def end(self, request: Request, request_id: str) -> bool:
        """Cancels requests of this client; False when there are none."""
        return self._runner.cancel(_own_id(request, request_id))

    async def drain(self, request: Request) -> Response:
        if self._is_shared:
            raise Refused(403, "not_allowed", "This engine is shared: only who runs it ends it (by SIGTERM).")
        self._lifecycle.drain((await self.decode(request, _DrainRequest)).reason)
        return _json({"draining": True})

    async def _attached(self) -> AsyncIterator[bytes]:
        life = self._lifecycle
        life.num_attached += 1
        try:
            yield b'{"event":"attached"}\n'
            while not life.closing.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(life.closing.wait(), HEARTBEAT_S)
                    break
                yield b"\n"  # over TCP a peer that vanished is only noticed by writing
            yield msgspec.json.encode({"event": "closing", "reason": life.closing_reason}) + b"\n"
        finally:
            life.num_attached -= 1
            life.touch()

    async def _submit(self, request: Request, shape: type[Asked]) -> Job:
        return self._queue(request, await self.decode(request, shape))

    def ask(self, request: Request, asked: api.DenoiseRequest) -> AsyncGenerator[api.Event, None]:
        """The events of another protocol's request."""
        try:
            job = self._queue(request, asked)
        except Refused as refused:
            self._metrics.count_refused(refused.error.code)
            raise
        return cast("AsyncGenerator[api.Event, None]", self._events(job, client_of(request)))

    def _queue(self, request: Request, asked: api.DenoiseRequest | api.RepairRequest) -> Job:
        self._check(asked)
        asked = msgspec.structs.replace(asked, id=_own_id(request, asked.id))
        try:
            return self._runner.submit(asked, asyncio.get_running_loop(), client_of(request), _editor_of(request))
        except QueueFull:
            raise Refused(429, "queue_full", "The engine has too many requests waiting: try again later.") from None

    async def _lines(self, job: Job, client: str) -> AsyncIterator[bytes]:
        async with contextlib.aclosing(self._events(job, client)) as events:
            async for event in events:
                yield api.encode_event(event)

    async def _events(self, job: Job, client: str) -> AsyncGenerator[api.Event | api.RepairEvent, None]:
        life = self._lifecycle
        life.num_active += 1
        outcome = "left"
        try:
            while True:
                event = await self._next_event(job)
                if event is None:
                    return
                if isinstance(event, api.Done):
                    self._metrics.count_done(event)
                    outcome = event.reason
                if isinstance(event, api.Repaired):
                    self._metrics.count_forwards(event.forwards)
                    outcome = event.reason
                yield event
                if isinstance(event, api.Error):
                    outcome = event.code
                    return
        finally:
            # Also when the client closed the stream: this is what cancels then.
            self._runner.forget(job)
            seconds = time.monotonic() - job.received_s
            self._metrics.count_end(kind_of(job.request), outcome, seconds)
            if client:
                _log_end(client, kind_of(job.request), outcome, seconds)
            life.num_active -= 1
            life.touch()

    async def _next_event(self, job: Job) -> api.Event | api.RepairEvent | None:
        """The next event; while the model loads, a request waits as long as its deadline allows."""
        deadline_ms = job.request.deadline_ms
        if self._lifecycle.status != "loading" or deadline_ms is None:
            return await job.events.get()
        # Not wait_for: in a race with its timeout it may lose the event it waited for.
        getting = asyncio.ensure_future(job.events.get())
        try:
            done, _ = await asyncio.wait({getting}, timeout=deadline_ms / 1000)
            if not done and self._lifecycle.status == "loading":
                return self._not_ready().error
            return await getting
        finally:
            getting.cancel()

    async def decode(self, request: Request, shape: type[T]) -> T:
        """The body, within its bounds; refuses what does not fit."""
        try:
            body = await asyncio.wait_for(self._body(request), BODY_TIMEOUT_S)
            return msgspec.json.decode(body, type=shape)
        except TimeoutError:
            raise Refused(408, "timeout", "The request did not arrive in time.") from None
        except ClientDisconnect:
            raise Refused(400, "bad_request", "The request broke off.") from None
        except msgspec.ValidationError as error:
            raise Refused(400, "bad_request", f"The request does not fit the border: {error}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refused(400, "bad_request", "The request is not valid JSON.") from None

    async def _body(self, request: Request) -> bytes:
        # Read here and not by `request.body()`: a chunked body has no length the guard could have checked.
        chunks: list[bytes] = []
        size_bytes = 0
        async for chunk in request.stream():
            size_bytes += len(chunk)
            if size_bytes > self._max_body_bytes:
                raise Refused(413, "too_large", too_large(self._max_body_bytes).sentence)
            chunks.append(chunk)
        return b"".join(chunks)

    def _check(self, asked: api.DenoiseRequest | api.RepairRequest) -> None:
        status = self._lifecycle.status
        if status in ("draining", "failed"):
            raise self._not_ready()
        if asked.api != api.API_VERSION:
            raise Refused(
                400, "bad_api", f"The engine speaks version {api.API_VERSION} of the border, not {asked.api}."
            )
        sentence = _what_is_wrong(asked)
        if sentence is not None:
            raise Refused(400, "bad_request", sentence)

    def _not_ready(self) -> Refused:
        life = self._lifecycle
        code = "loading" if life.status == "ready" else life.status
        return Refused(503, code, life.sentence or "The model is being loaded.")


def _what_is_wrong(asked: api.DenoiseRequest | api.RepairRequest) -> str | None:
    """A sentence about the first field that is out of range."""
    fits_deadline = asked.deadline_ms is None or 0 <= asked.deadline_ms <= 86_400_000
    checks = [("deadline_ms", asked.deadline_ms, fits_deadline)]
    if isinstance(asked, api.RepairRequest):
        first, last = asked.first_row, asked.last_row
        if (first is None) != (last is None):
            return "first_row and last_row are given both or neither."
        checks.append(("first_row", first, first is None or first >= 0))
        checks.append(("last_row", last, first is None or last is None or last >= first))
    else:
        if not 1 <= asked.n <= MAX_ALTERNATIVES:
            return f"n must be between 1 and {MAX_ALTERNATIVES}, not {asked.n}."
        if not asked.canvas:
            return "The canvas is empty."
        checks.append(("temperature", asked.temperature, 0 <= asked.temperature <= 10))
        checks.append(("top_p", asked.top_p, 0 < asked.top_p <= 1))
        checks.append(("max_steps", asked.max_steps, asked.max_steps is None or asked.max_steps >= 1))
        checks.append(("logprobs", asked.logprobs, asked.logprobs is None or 0 <= asked.logprobs <= MAX_LOGPROBS))
    return next((f"{name} is out of range: {value}." for name, value, fits in checks if not fits), None)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _own_id(request: Request, request_id: str) -> str:
    """Requests are cancelled by their id, each client's its own ones."""
    client = client_of(request)
    return f"{client} {request_id}" if client else request_id


def _editor_of(request: Request) -> str:
    return request.headers.get(api.EDITOR_HEADER, "")[:MAX_EDITOR_CHARS]


def _log_end(client: str, kind: str, outcome: str, seconds: float) -> None:
    fields = {"client": client, "kind": kind, "outcome": outcome, "ms": round(seconds * 1000, 1)}
    log.info("%s: %s of %s, %.1f ms", outcome, kind, client, seconds * 1000, extra={"fields": fields})


async def _answer_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    headers: dict[str, str] = {}
    if error.status in (408, 413):
        headers["connection"] = "close"  # the rest of the body was not read
    if (retry_after_s := RETRY_AFTER_S.get(error.error.code)) is not None:
        headers["retry-after"] = str(retry_after_s)
    body = encode_error(request.url.path, error.status, error.error)
    return Response(body, error.status, headers=headers, media_type="application/json")


async def _answer_unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = f"The engine has no {request.method} {request.url.path}."
    body = encode_error(request.url.path, error.status_code, api.Error(code="unknown_path", sentence=sentence))
    return Response(body, error.status_code, headers=error.headers, media_type="application/json")
