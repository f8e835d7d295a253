"""A question is cancelled at every step of its way through the HTTP client, and whatever may fail there fails.

The transport is a fake that stops where it is told: at `stops` it waits until it is cancelled, and closing raises
`trouble`, which nobody needs to know. Whatever happens: the question ends as cancelled, it was sent once, its response
is closed, and the next one is answered.
"""

import asyncio
import contextlib

import httpx
import pytest
from capabilities import capabilities

from lsp_server.engine_client.client import EngineClient
from lsp_server.engine_client.endpoint import Endpoint
from lsp_server.engine_link import EngineLink, EngineState
from model.engine import api

DONE = api.Done(
    text="answer",
    reason="stop",
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
CHUNKS = (api.encode_event(api.Committed(text="a")), api.encode_event(DONE)[:9], api.encode_event(DONE)[9:])
STEPS = ("send", "chunk 0", "chunk 1", "chunk 2", "end", "close")
TROUBLES = [None, httpx.ReadError("x"), httpx.DecodingError("x"), RuntimeError("x"), OSError("x")]


class Transport(httpx.AsyncBaseTransport):
    def __init__(self) -> None:
        self.stops: set[str] = set()
        self.trouble: Exception | None = None
        self.is_stopped = asyncio.Event()
        self.num_requests = self.num_closed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/attach":
            await asyncio.Event().wait()
        self.num_requests += 1
        await self.step("send")
        return httpx.Response(200, stream=_Body(self))

    async def step(self, name: str) -> None:
        if name in self.stops:
            self.is_stopped.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)


class _Body(httpx.AsyncByteStream):
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def __aiter__(self):
        for index, chunk in enumerate(CHUNKS):
            await self._transport.step(f"chunk {index}")
            yield chunk
        await self._transport.step("end")

    async def aclose(self) -> None:
        self._transport.num_closed += 1
        await self._transport.step("close")
        if self._transport.trouble is not None:
            raise self._transport.trouble


@pytest.fixture
async def transport(monkeypatch):
    transport = Transport()
    monkeypatch.setattr(
        "lsp_server.engine_client.client.open_http",
        lambda endpoint: httpx.AsyncClient(transport=transport, base_url="http://seedling"),
    )
    return transport


@pytest.fixture
async def link(transport):
    async def reach() -> Endpoint:
        return Endpoint(socket="unused")

    link = EngineLink(lambda state: None)
    link._client = await EngineClient.open(await reach(), reach, log=None)
    link.state = EngineState(kind="ready", capabilities=capabilities())
    yield link
    await link.close()


def question(n: int = 2) -> api.DenoiseRequest:
    """Two answers are asked for and one comes, so the stream is read to its end."""
    return api.DenoiseRequest(id="1", prompt=api.Prompt(line="x = "), n=n)


async def is_well(link: EngineLink, transport: Transport) -> bool:
    """The next question is answered, and nothing of the last one is left."""
    transport.stops, transport.trouble = set(), None
    connection = link._client._connection  # pyright: ignore[reportOptionalMemberAccess]
    answers = await link.ask(question())
    return answers == [DONE] and connection.running == [] and link.state.kind == "ready"  # pyright: ignore


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: type(trouble).__name__)
@pytest.mark.parametrize("step", STEPS)
async def test_cancelled_at_any_step(link, transport, step, trouble):
    transport.stops, transport.trouble = {step}, trouble
    asking = asyncio.ensure_future(link.ask(question()))
    await asyncio.wait_for(transport.is_stopped.wait(), 60)
    asking.cancel()
    await asyncio.wait({asking}, timeout=60)
    assert asking.cancelled()
    assert transport.num_requests == 1
    assert transport.num_closed == (0 if step == "send" else 1)
    assert await is_well(link, transport)


@pytest.mark.parametrize("step", STEPS[:-1])
async def test_cancelled_again_while_the_response_is_closed(link, transport, step):
    transport.stops = {step, "close"}
    asking = asyncio.ensure_future(link.ask(question()))
    await asyncio.wait_for(transport.is_stopped.wait(), 60)
    transport.is_stopped.clear()
    asking.cancel()
    if step != "send":
        await asyncio.wait_for(transport.is_stopped.wait(), 60)
        asking.cancel()
    await asyncio.wait({asking}, timeout=60)
    assert asking.cancelled()
    assert transport.num_requests == 1
    assert await is_well(link, transport)


@pytest.mark.parametrize("trouble", TROUBLES[1:], ids=lambda trouble: type(trouble).__name__)
async def test_closing_fails_behind_a_whole_answer(link, transport, trouble):
    transport.stops, transport.trouble = {"end"}, trouble
    assert await link.ask(question(n=1)) == [DONE]
    (ending,) = link._endings  # the rest of the stream is read by nobody who could be told
    await asyncio.wait_for(transport.is_stopped.wait(), 60)
    ending.cancel()
    await asyncio.wait({ending})
    assert ending.cancelled()
    assert (transport.num_requests, transport.num_closed) == (1, 1)
    assert await is_well(link, transport)


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: type(trouble).__name__)
async def test_closing_the_iterator(link, transport, trouble):
    transport.trouble = trouble
    async with contextlib.aclosing(link._client.denoise(question())) as events:
        assert await anext(events) == api.Committed(text="a")
    assert (transport.num_requests, transport.num_closed) == (1, 1)
    assert await is_well(link, transport)
