"""The language server's side of the border: ask, stream, cancel, and survive the engine's death.

Source: model/engine/api.py (the structs) and model/engine/app.py (the paths). A client holds one `/v1/attach` stream
open: that is what the engine counts as a connected editor, and how a death or a planned end is noticed at once.
Left out: finding and starting an engine (connect.py), counting crashes (crashes.py).
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from lsp_server.engine_client.crashes import CrashRecord, fingerprint
from lsp_server.engine_client.endpoint import Endpoint, health_in, open_http
from lsp_server.engine_client.errors import EngineUnavailable, Reason
from lsp_server.engine_client.pause import NUM_TRIES, STATUSES, OnPause, Pause, nobody_asks
from model.engine import api

if TYPE_CHECKING:
    import httpx

E = TypeVar("E")
Asked = api.DenoiseRequest | api.RepairRequest

MAX_LINE_BYTES = 2**18  # an event; the longest honest ones hold a canvas of some kilobytes
SILENCE_S = 90.0  # three times the engine's heartbeat
ATTACH_VERDICT_S = 2.0  # how long a broken request waits to learn whether the engine ended on purpose


class _Connection:
    """One engine process, as long as it lives. `running` holds the fingerprints of requests in flight."""

    def __init__(self, endpoint: Endpoint, editor: str) -> None:
        self.endpoint = endpoint
        self.http: httpx.AsyncClient = open_http(endpoint)
        if not endpoint.is_remote:  # there its token says whose it is
            self.http.headers[api.EDITOR_HEADER] = editor
        self.running: list[bytes] = []
        self.attached: asyncio.Task[bool] | None = None  # ends with True when the engine said that it closes
        self.judged = False

    async def close(self) -> None:
        try:
            if self.attached is not None:
                self.attached.cancel()
                await asyncio.wait({self.attached})  # unlike awaiting it, this tells its end from the caller's own
        finally:
            await self.http.aclose()


class EngineClient:
    """An asyncio client of one engine at a time; made by `connect()`. Every method may raise EngineUnavailable."""

    # Of other people's servers one or both are true (upstream.py).
    is_metered = False
    completes_only = False

    def __init__(
        self, endpoint: Endpoint, reach: Callable[[], Awaitable[Endpoint]], log: Path | None, crashes: CrashRecord
    ) -> None:
        self._editor = secrets.token_hex(8)
        self._connection: _Connection | None = _Connection(endpoint, self._editor)
        self._reach = reach
        self._log = log or Path("the remote engine's")
        self._crashes = crashes
        self.on_pause: OnPause = nobody_asks
        self._pause = Pause(lambda seconds: self.on_pause(seconds))
        self._reconnecting = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(
        cls,
        endpoint: Endpoint,
        reach: Callable[[], Awaitable[Endpoint]],
        *,
        log: Path | None,
        crashes: CrashRecord | None = None,
    ) -> "EngineClient":
        """Attaches to a ready engine. `reach` finds or starts one again after this one has gone."""
        client = cls(endpoint, reach, log, crashes or CrashRecord())
        assert client._connection is not None
        client._attach(client._connection)
        return client

    async def capabilities(self) -> api.Capabilities:
        """What the loaded checkpoint can do."""
        try:
            return msgspec.json.decode(await self._get("/v1/capabilities"), type=api.Capabilities)
        except msgspec.DecodeError:
            raise EngineUnavailable("foreign_answer", _FOREIGN.sentence) from None

    async def health(self) -> api.Health:
        """The engine's state now; never starts an engine (raises EngineUnavailable `not_running` instead)."""
        import httpx

        connection = self._connection
        if connection is None:
            raise EngineUnavailable("not_running", "The engine is not running; the next completion starts it.")
        try:
            response = await connection.http.get("/health", timeout=5.0)
        except httpx.TransportError:
            raise EngineUnavailable(
                "not_running", "The engine is not running; the next completion starts it."
            ) from None
        except httpx.DecodingError:  # another server's, compressed in a way that is none
            raise EngineUnavailable("foreign_answer", _FOREIGN.sentence) from None
        return health_in(response, connection.endpoint)

    def denoise(self, request: api.DenoiseRequest) -> AsyncGenerator[api.Event, None]:
        """The events of one request, ending with `n` done events or one error event. Closing the iterator cancels.

        When the engine goes away before the first event the request is sent once more, after a restart. When it asks
        for a pause that fits into the deadline, after that.
        """
        return self._answered("/v1/denoise", request, api.decode_event)

    def repair(self, request: api.RepairRequest) -> AsyncGenerator[api.RepairEvent, None]:
        """The events of one repair, ending with `Repaired` or one error event. As `denoise` in all else."""
        return self._answered("/v1/repair", request, api.decode_repair_event)

    async def _answered(
        self, path: str, request: Asked, decode: Callable[[bytes], E]
    ) -> AsyncGenerator[E | api.Error, None]:
        error: api.Error | None = None
        for _ in range(NUM_TRIES):
            begun_s = time.monotonic()
            too_long = await self._pause.outlast(request.deadline_ms)
            if too_long is not None:
                error = error or too_long
                break
            request, begun_s = _later(request, begun_s), time.monotonic()
            try:
                async with contextlib.aclosing(self._sent(path, request, decode)) as events:
                    async for event in events:
                        yield event
                return
            except _AskedToWait as asked:
                self._pause.begin(asked.retry_after)
                request, error = _later(request, begun_s), asked.error
        if error is not None:
            yield error

    async def _sent(
        self, path: str, request: Asked, decode: Callable[[bytes], E]
    ) -> AsyncGenerator[E | api.Error, None]:
        try:
            body = msgspec.json.encode(request)
        except UnicodeEncodeError:
            yield api.Error(code="bad_request", sentence="The text holds half a Unicode character (a lone surrogate).")
            return
        key = fingerprint(request)
        for is_last in (False, True):
            self._crashes.check_request(key)
            connection = await self._connected()
            num_events = 0
            connection.running.append(key)
            try:
                # An explicit close: leaving an `async for` early would leave the generator, and the request, running.
                async with contextlib.aclosing(_stream(connection.http, path, body, decode)) as events:
                    async for event in events:
                        if isinstance(event, api.Error) and event.code == "draining" and not is_last:
                            break
                        num_events += 1
                        yield event
                    else:
                        return
            except _LostBehind as lost:  # whoever stands before the engine is well, and so is the connection
                if is_last:
                    yield lost.answer
                    return
                continue
            except _ConnectionLost:
                await self._judge(connection)
            finally:
                connection.running.remove(key)
                if connection is not self._connection and not connection.running:
                    await connection.close()  # it was given up while this request still ran on it
            await self._forget(connection)
            if num_events or is_last:
                raise EngineUnavailable("crashed", f"The engine went away while it answered; its log is {self._log}.")

    async def cancel(self, request_id: str) -> None:
        """Asks the engine to end a request. Never raises for an engine that is gone: then it is ended."""
        import httpx

        if self._connection is not None:
            with contextlib.suppress(httpx.RequestError):
                await self._connection.http.post(
                    "/v1/cancel", content=msgspec.json.encode(api.CancelRequest(id=request_id)), timeout=5.0
                )

    async def close(self) -> None:
        """Detaches. The engine stays for other editors, and ends by itself when it is idle."""
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _get(self, path: str) -> bytes:
        import httpx

        for is_last in (False, True):
            connection = await self._connected()
            try:
                response = await connection.http.get(path)
            except httpx.TransportError:
                await self._judge(connection)
                await self._forget(connection)
                if is_last:
                    break
                continue
            except httpx.DecodingError:
                raise EngineUnavailable("foreign_answer", _FOREIGN.sentence) from None
            if response.status_code != 200:
                error = _error_of(response.content)
                raise EngineUnavailable(_UNAVAILABLE.get(error.code, "not_running"), error.sentence)
            return response.content
        raise EngineUnavailable("crashed", f"The engine went away while it answered; its log is {self._log}.")

    async def _connected(self) -> _Connection:
        """A connection that is not known to be dead; finds or restarts the engine if there is none."""
        if self._connection is not None and self._connection.attached is not None and self._connection.attached.done():
            lost = self._connection
            await self._judge(lost)
            await self._forget(lost)
        async with self._reconnecting:
            if self._closed:
                raise EngineUnavailable("closed", "The connection to the engine was closed.")
            if self._connection is None:
                await asyncio.sleep(self._crashes.delay_s(self._log))
                self._connection = _Connection(await self._reach(), self._editor)
                self._attach(self._connection)
            return self._connection

    def _attach(self, connection: _Connection) -> None:
        staying = _stay_attached(connection.http, SILENCE_S if connection.endpoint.is_remote else None)
        connection.attached = asyncio.get_running_loop().create_task(staying)

    async def _judge(self, connection: _Connection) -> None:
        """Decides once per engine process whether it crashed or ended on purpose, and notes a crash."""
        if connection.judged or connection.attached is None:
            return
        connection.judged = True
        running = frozenset(connection.running)  # now: others leave the list while we wait
        done, _ = await asyncio.wait({connection.attached}, timeout=ATTACH_VERDICT_S)
        on_purpose = bool(done) and not connection.attached.cancelled() and connection.attached.result()
        if not on_purpose:
            self._crashes.add(running)

    async def _forget(self, connection: _Connection) -> None:
        """Uses this connection no more; it closes when its last request has ended."""
        if self._connection is connection:
            self._connection = None
        if not connection.running:
            await connection.close()


_UNAVAILABLE: dict[str, Reason] = {"wrong_token": "bad_token", "foreign_answer": "foreign_answer"}
_FOREIGN = api.Error(code="foreign_answer", sentence="What answers at the engine's address is not a Seedling engine.")


def _later(request: Asked, begun_s: float) -> Asked:
    """The request with what time has left of its deadline."""
    passed_ms = (time.monotonic() - begun_s) * 1000
    if request.deadline_ms is None or passed_ms < 1:
        return request
    return msgspec.structs.replace(request, deadline_ms=max(0.0, request.deadline_ms - passed_ms))


class _OverlongLine(Exception):
    """No event is that long."""


class _AskedToWait(Exception):
    """A refusal that says when it is worth another try."""

    def __init__(self, error: api.Error, retry_after: str) -> None:
        super().__init__(error.code)
        self.error, self.retry_after = error, retry_after


class _ConnectionLost(Exception):
    """The stream broke before its end."""


class _LostBehind(Exception):
    """A proxy has lost its engine (502), or a cluster one of its replicas (500)."""

    def __init__(self, answer: api.Error) -> None:
        self.answer = answer


async def _stream(
    http: "httpx.AsyncClient", path: str, body: bytes, decode: Callable[[bytes], E]
) -> AsyncGenerator[E | api.Error, None]:
    import httpx

    try:
        response = await http.send(http.build_request("POST", path, content=body), stream=True)
    except httpx.TransportError as error:
        raise _ConnectionLost from error
    try:
        async with contextlib.aclosing(_events(response, decode)) as events:
            async for event in events:
                yield event
    finally:
        # Outside of what asks again and of what answers: whoever gives an answer up gets neither. A connection that
        # cannot even be closed is not used again, and nobody needs to know.
        with contextlib.suppress(Exception):
            await response.aclose()


async def _events(response: "httpx.Response", decode: Callable[[bytes], E]) -> AsyncGenerator[E | api.Error, None]:
    import httpx

    try:
        if response.status_code != 200:
            error = _error_of(await response.aread())
            retry_after = response.headers.get("retry-after", "")
            if retry_after and response.status_code in STATUSES and error.code != "draining":
                raise _AskedToWait(_told_by_whom(error, response.status_code), retry_after)
            if response.status_code >= 500 and error is _FOREIGN:
                raise _LostBehind(error)
            yield error
            return
        async for line in _json_lines(response):
            if line.strip():
                yield decode(line)
    except httpx.TransportError as error:
        raise _ConnectionLost from error
    except (msgspec.DecodeError, _OverlongLine, httpx.DecodingError):
        yield _FOREIGN


async def _json_lines(response: "httpx.Response") -> AsyncIterator[bytes]:
    """NDJSON lines. Not `aiter_lines`: that also cuts at U+0085 and U+2028, which JSON leaves inside strings."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > MAX_LINE_BYTES:
            raise _OverlongLine
    if rest:
        yield rest


async def _stay_attached(http: "httpx.AsyncClient", silence_s: float | None) -> bool:
    """Holds the attach stream. True when the engine announced its end, False when the stream just broke.

    silence_s: after so long without a sign the engine has vanished; a Unix socket tells that by itself.
    """
    import httpx

    announced = False
    try:
        async with http.stream("GET", "/v1/attach", timeout=httpx.Timeout(silence_s, connect=5.0)) as response:
            async for line in _json_lines(response):
                announced = announced or b'"closing"' in line
    except (httpx.TransportError, httpx.DecodingError, _OverlongLine):
        pass
    return announced


def _error_of(body: bytes) -> api.Error:
    try:
        return msgspec.json.decode(body, type=api.Error)
    except msgspec.DecodeError:
        return _FOREIGN


def _told_by_whom(error: api.Error, status: int) -> api.Error:
    """A proxy in front of the engine says so in a shape of its own."""
    if error is not _FOREIGN:
        return error
    return api.Error(code="too_many", sentence=f"What stands before the engine says {status}: try again later.")
