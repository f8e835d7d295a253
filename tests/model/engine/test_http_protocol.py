"""Connections that say nothing, say it slowly, or stop listening, against a server with short times."""

import asyncio
import contextlib
import socket

import pytest
import uvicorn

from model.engine import http_protocol
from model.engine.http_protocol import BoundedHttp

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def answer(scope, receive, send) -> None:
    """`/long` never ends; `/large` is more than any buffer holds; the rest is short."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/long":
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    num_parts = 1_000 if scope["path"] == "/large" else 1
    for _ in range(num_parts):
        await send({"type": "http.response.body", "body": b"x" * (100_000 if num_parts > 1 else 1), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def server(monkeypatch):
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", 0.2)
    monkeypatch.setattr(http_protocol, "STALL_TIMEOUT_S", 0.2)
    config = uvicorn.Config(answer, http=BoundedHttp, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.ensure_future(server._serve(sockets=[listener]))
    server.port = listener.getsockname()[1]
    yield server
    server.should_exit = True
    await serving


@contextlib.asynccontextmanager
async def connected(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def works(server) -> None:
    async with connected(server) as (reader, writer):
        writer.write(HEAD)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n", HEAD + b"GET / HT"])
async def test_a_head_that_does_not_come_ends_the_connection(server, said):
    async with connected(server) as (reader, writer):
        writer.write(said)
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionResetError):
                while await reader.read(1000):
                    pass
    await works(server)


async def test_a_running_request_and_a_pause_between_two_are_left_alone(server):
    async with connected(server) as (reader, writer), connected(server) as (other_reader, other):
        writer.write(HEAD.replace(b"/ ", b"/long "))
        other.write(HEAD)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await other_reader.readuntil(b"0\r\n\r\n")
        await asyncio.sleep(0.5)  # more than twice the time for a head
        assert not reader.at_eof()
        other.write(HEAD)
        assert (await other_reader.readline()).startswith(b"HTTP/1.1 200")


async def test_a_reader_that_stops_is_given_up(server, until):
    async with connected(server) as (reader, writer):
        reader._limit = 1  # so that this side stops reading at once
        writer.write(HEAD.replace(b"/ ", b"/large "))
        await until(lambda: server.server_state.tasks)
        await until(lambda: not server.server_state.tasks)
    await works(server)


async def test_nonsense_in_the_middle_of_a_request_ends_only_its_connection(server):
    async with connected(server) as (reader, writer):
        writer.write(b"POST /long HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.write(b"nonsense\r\n")
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionResetError):
                while await reader.read(1000):
                    pass
    await works(server)


async def test_connections_are_bounded(server, monkeypatch):
    monkeypatch.setattr(http_protocol, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", 30)
    async with connected(server), connected(server):
        with pytest.raises((ConnectionError, AssertionError)):
            await works(server)
    async with asyncio.timeout(30):
        while server.server_state.connections:
            await asyncio.sleep(0.01)
    await works(server)
