"""The client against a socket that behaves, breaks off, or speaks nonsense. Real engines are in test_connect.py."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import msgspec
import pytest

from lsp_server.engine_client.client import EngineClient
from lsp_server.engine_client.crashes import CrashRecord
from lsp_server.engine_client.endpoint import Endpoint
from lsp_server.engine_client.errors import EngineUnavailable
from model.engine import api

REQUEST = api.DenoiseRequest(id="1", prompt=api.Prompt(line="x"))
DONE = api.Done(
    text="y\u2028\x85\x0cz",  # line breaks to Python, but not to JSON
    reason="eom",
    confidence=1.0,
    steps=1,
    forwards=1,
    num_tokens=1,
    prompt_tokens=1,
    cached_tokens=0,
    model="m",
    device="cpu",
    engine_ms=1.0,
)


class Wire:
    """An HTTP server over a Unix socket that answers `attach` and does with `denoise` what the test says.

    deeds: one per denoise request, in order: "answer", "die" (every connection breaks, as when a process is killed),
    "leave" (announces its end, then breaks), "hang" (streams one event and waits), a raw answer body of status 503, or
    whole answers as bytes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.deeds: list[str | bytes] = []
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.num_requests = 0
        self.num_starts = 0
        self.closed_early = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._attached: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> Endpoint:
        if self._server is None:
            self._server = await asyncio.start_unix_server(self._serve, path=str(self.path))
            self.num_starts += 1
        return Endpoint(socket=str(self.path))

    async def die(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        self._attached.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.lower())
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                self.bodies.append(await reader.readexactly(int(line.split(b":")[1])))
        if b"/v1/attach" in head:
            self._attached.append(writer)
            await self._begin(writer, b'{"event":"attached"}\n')
            await reader.read()
            return
        self.num_requests += 1
        deed = self.deeds.pop(0)
        if deed == "answer":
            await self._begin(writer, api.encode_event(DONE))
            writer.write(b"0\r\n\r\n")
        elif deed == "hang":
            try:
                await self._begin(writer, api.encode_event(api.Committed(text="a")))
                await reader.read()
            finally:
                self.closed_early.set()
        elif deed in ("die", "leave"):
            if deed == "leave":
                for attached in self._attached:
                    line = b'{"event":"closing","reason":"idle"}\n'
                    attached.write(b"%x\r\n%s\r\n" % (len(line), line))
                    await attached.drain()
                await asyncio.sleep(0.05)
            await self.die()
        elif isinstance(deed, bytes):
            writer.write(deed)
        else:
            body = deed.encode()
            writer.write(b"HTTP/1.1 503 No\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()

    async def _begin(self, writer: asyncio.StreamWriter, chunk: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(chunk), chunk))
        await writer.drain()


@pytest.fixture
async def wire():
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        wire = Wire(Path(folder) / "s")
        yield wire
        await wire.die()


@pytest.fixture
async def client(wire, monkeypatch):
    # The delays themselves are in test_crashes.py.
    monkeypatch.setattr("lsp_server.engine_client.crashes.RESTART_DELAYS_S", (0.01, 0.01, 0.01))
    client = await EngineClient.open(await wire.start(), wire.start, log=Path("/state/e.log"), crashes=CrashRecord())
    yield client
    await client.close()


async def ask(client: EngineClient, request: api.DenoiseRequest = REQUEST) -> list[api.Event]:
    return [event async for event in client.denoise(request)]


async def test_events_arrive(client, wire):
    wire.deeds = ["answer"]
    assert await ask(client) == [DONE]


async def test_a_crash_before_the_first_event_is_survived(client, wire):
    wire.deeds = ["die", "answer"]
    assert await ask(client) == [DONE]
    assert wire.num_starts == 2


async def test_a_request_that_was_running_in_two_crashes_is_not_sent_again(client, wire):
    wire.deeds = ["die", "die", "answer"]
    with pytest.raises(EngineUnavailable) as caught:
        await ask(client)
    assert caught.value.reason == "crashed"
    with pytest.raises(EngineUnavailable, match="not sent again"):
        await ask(client, msgspec.structs.replace(REQUEST, id="again"))
    assert wire.num_requests == 2
    assert await ask(client, msgspec.structs.replace(REQUEST, seed=1)) == [DONE]


async def test_after_three_crashes_it_stays_down(client, wire):
    wire.deeds = ["die", "die", "die", "answer"]
    with pytest.raises(EngineUnavailable):
        await ask(client)
    with pytest.raises(EngineUnavailable) as caught:
        await ask(client, msgspec.structs.replace(REQUEST, seed=1))
    assert caught.value.reason == "stays_down"
    assert "/state/e.log" in caught.value.sentence
    assert wire.num_requests == 3


async def test_an_announced_end_is_no_crash(client, wire):
    for seed in range(4):
        wire.deeds = ["leave", "answer"]
        assert await ask(client, msgspec.structs.replace(REQUEST, seed=seed)) == [DONE]
    assert wire.num_starts == 5


async def test_a_death_between_requests_is_noticed(client, wire):
    wire.deeds = ["answer", "answer"]
    await ask(client)
    await wire.die()
    assert await ask(client) == [DONE]
    assert wire.num_starts == 2


async def test_a_draining_engine_is_replaced_without_an_error(client, wire):
    draining = msgspec.json.encode(api.Error(code="draining", sentence="The engine is finishing.")).decode()
    wire.deeds = [draining, "answer"]
    assert await ask(client) == [DONE]


async def test_a_refusal_is_an_event_and_nonsense_is_one_too(client, wire):
    error = api.Error(code="queue_full", sentence="Too many.")
    wire.deeds = [msgspec.json.encode(error).decode(), refusal("", status=404)]
    assert await ask(client) == [error]
    (event,) = await ask(client)
    assert isinstance(event, api.Error)
    assert event.code == "foreign_answer"


async def test_closing_the_iterator_closes_the_stream(client, wire):
    wire.deeds = ["hang"]
    async with contextlib.aclosing(client.denoise(REQUEST)) as events:
        assert await anext(events) == api.Committed(text="a")
    await asyncio.wait_for(wire.closed_early.wait(), 60)


async def test_a_cancelled_reader_closes_the_stream(client, wire):
    wire.deeds = ["hang"]
    reading = asyncio.ensure_future(ask(client))
    while not wire.num_requests:
        await asyncio.sleep(0.005)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.wait_for(wire.closed_early.wait(), 60)


async def test_half_a_character_is_refused_before_it_is_sent(client, wire):
    (event,) = await ask(client, api.DenoiseRequest(id="1", prompt=api.Prompt(line="\ud83d")))
    assert isinstance(event, api.Error)
    assert event.code == "bad_request"
    assert wire.num_requests == 0


async def test_a_closed_client_says_so(client):
    await client.close()
    with pytest.raises(EngineUnavailable) as caught:
        await ask(client)
    assert caught.value.reason == "closed"
    await client.cancel("1")


def refusal(code: str, retry_after: str = "30", status: int = 429) -> bytes:
    body = msgspec.json.encode(api.Error(code=code, sentence="Not now.")) if code else b"<html>"
    head = f"HTTP/1.1 {status} No\r\nretry-after: {retry_after}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize("status", [500, 502])
async def test_a_proxy_that_has_lost_its_engine_is_asked_once_more(client, wire, status):
    wire.deeds = [refusal("", status=status), "answer"]
    assert await ask(client) == [DONE]
    assert wire.num_requests == 2


async def test_whoever_has_time_asks_again_when_the_engine_wants(client, wire, monkeypatch):
    monkeypatch.setattr("lsp_server.engine_client.pause.LONGEST_S", 0.02)
    told: list[float] = []
    client.on_pause = told.append
    wire.deeds = [refusal("queue_full"), refusal("", status=503), "answer"]
    assert await ask(client, msgspec.structs.replace(REQUEST, deadline_ms=50_000)) == [DONE]
    assert len(told) == 2
    assert all(0.02 <= seconds <= 0.03 for seconds in told)
    deadlines_ms = [msgspec.json.decode(body, type=api.DenoiseRequest).deadline_ms for body in wire.bodies]
    assert deadlines_ms[0] == 50_000 > deadlines_ms[1] + 19 > deadlines_ms[2] + 38


async def test_an_engine_that_refuses_again_and_again_is_believed(client, wire, monkeypatch):
    monkeypatch.setattr("lsp_server.engine_client.pause.LONGEST_S", 0.01)
    wire.deeds = [refusal("queue_full")] * 10
    assert await ask(client) == [api.Error(code="queue_full", sentence="Not now.")]
    assert wire.num_requests == 3


async def test_nothing_is_sent_in_a_pause_that_is_longer_than_the_answer_may_take(client, wire):
    wire.deeds = [refusal("queue_full")]
    soon = msgspec.structs.replace(REQUEST, deadline_ms=400)
    assert await ask(client, soon) == [api.Error(code="queue_full", sentence="Not now.")]
    (error,) = await ask(client, soon)
    assert isinstance(error, api.Error)
    assert (error.code, wire.num_requests) == ("too_many", 1)


async def test_what_was_typed_away_in_a_pause_is_never_sent(client, wire):
    told: list[float] = []
    client.on_pause = told.append
    wire.deeds = [refusal("queue_full")]
    waiting = asyncio.ensure_future(ask(client))
    while not told:
        await asyncio.sleep(0.001)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    assert waiting.cancelled()
    assert wire.num_requests == 1


async def test_an_engine_that_ends_is_no_pause(client, wire):
    wire.deeds = [refusal("draining", status=503), "answer"]
    assert await ask(client) == [DONE]


async def test_all_connections_say_the_same_editor(client, wire):
    wire.deeds = ["die", "answer"]
    assert await ask(client) == [DONE]
    names = [line for head in wire.heads for line in head.split(b"\r\n") if line.startswith(b"seedling-editor: ")]
    assert len(names) == len(wire.heads) > 3
    assert len(set(names)) == 1
