"""Bytes in and out: framed messages over stdio, or over one loopback TCP connection that begins with a token.

Source: LSP 3.18 "Base Protocol" (`Content-Length` header, blank line, body). The TCP scheme is ours: the first line of
a connection is the token and nothing else, ended by `\\n` or `\\r\\n`; only then come framed messages. A wrong,
missing, late (5 s) or overlong token closes the connection without a word. One conversation per process: after the
first authenticated connection all others are closed, and its end ends the process.

Why not pygls' own loops: they hop to a thread pool four times per message, wait for ever on a missing length, and keep
the process alive through a thread blocked on stdin. Left out: what the messages mean.
"""

import asyncio
import contextlib
import hmac
import os
import re
import sys
import threading
from collections.abc import Awaitable, Callable

MAX_HEADER_BYTES = 8 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_TOKEN_BYTES = 1024
TOKEN_TIMEOUT_S = 5.0
MAX_UNPROVEN_CONNECTIONS = 8

_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,10})[ \t]*$", re.IGNORECASE | re.MULTILINE)


class BrokenFraming(Exception):
    """The byte stream is not framed messages; there is no way to find the next one."""


class Framer:
    """Cuts a byte stream into message bodies."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed_bytes: int | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that `data` completes. Raises BrokenFraming."""
        self._buffer += data
        bodies = []
        while (body := self._next()) is not None:
            bodies.append(body)
        return bodies

    def _next(self) -> bytes | None:
        if self._needed_bytes is None:
            end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES)
            if end < 0:
                if len(self._buffer) >= MAX_HEADER_BYTES:
                    raise BrokenFraming("a message header has no end")
                return None
            found = _LENGTH.search(bytes(self._buffer[:end]).replace(b"\r", b""))
            if found is None or int(found[1]) > MAX_BODY_BYTES:
                raise BrokenFraming("a message header has no usable Content-Length")
            self._needed_bytes = int(found[1])
            del self._buffer[: end + 4]
        if len(self._buffer) < self._needed_bytes:
            return None
        body = bytes(self._buffer[: self._needed_bytes])
        del self._buffer[: self._needed_bytes]
        self._needed_bytes = None
        return body


class StdoutWriter:
    """Writes whole messages to a file descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes) -> None:
        """Writes all of `data`. Raises BrokenPipeError when the client is gone."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def close(self) -> None:
        """Nothing: the descriptor ends with the process."""


def claim_stdio() -> tuple[int, int]:
    """Descriptors for reading and writing messages; whatever else prints to stdout goes to stderr from now on."""
    read_fd, write_fd = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    if sys.platform == "win32":
        import msvcrt

        for fd in (read_fd, write_fd):
            msvcrt.setmode(fd, os.O_BINARY)
    return read_fd, write_fd


async def run_stdio(read_fd: int, receive: Callable[[bytes], None]) -> None:
    """Passes every message from `read_fd` to `receive` on the loop thread until the stream ends.

    Reading happens in a daemon thread on the raw descriptor: works for pipes, files and terminals on every system, and
    neither a blocked read nor a buffer's lock can keep the process from ending. Raises what `receive` raises, and
    BrokenFraming.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    framer = Framer()

    def deliver(data: bytes) -> None:
        if ended.done():
            return
        try:
            for body in framer.feed(data):
                receive(body)
        except BaseException as error:
            ended.set_exception(error if isinstance(error, Exception) else _Exit(error))
            return
        if not data:
            ended.set_result(None)

    def read() -> None:
        while True:
            try:
                data = os.read(read_fd, 1 << 16)
            except OSError:
                data = b""
            try:
                loop.call_soon_threadsafe(deliver, data)
            except RuntimeError:  # the loop is closed: the server ended first
                return
            if not data:
                return

    threading.Thread(target=read, name="stdin", daemon=True).start()
    try:
        await ended
    except _Exit as wrapped:
        raise wrapped.error from None


class _Exit(Exception):
    """Carries SystemExit through a future, which refuses to hold it."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


async def run_tcp(
    port: int,
    token: str,
    begin: Callable[[asyncio.StreamWriter], Callable[[bytes], None]],
    before_close: Callable[[], Awaitable[None]],
    listening: Callable[[int], None],
) -> None:
    """Serves one conversation on 127.0.0.1. `begin` gets the proven connection and returns the receiver of messages.

    `before_close` may still send; `listening` is told the port (useful for port 0). Raises OSError when the port cannot
    be bound, what the receiver raises, and BrokenFraming.
    """
    proven: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
        asyncio.get_running_loop().create_future()
    )
    num_unproven = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal num_unproven
        if proven.done() or num_unproven >= MAX_UNPROVEN_CONNECTIONS:
            writer.close()
            return
        num_unproven += 1
        try:
            line = await asyncio.wait_for(reader.readuntil(b"\n"), TOKEN_TIMEOUT_S)
            right = hmac.compare_digest(line.rstrip(b"\r\n"), token.encode())
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            right = False
        finally:
            num_unproven -= 1
        if right and not proven.done():
            proven.set_result((reader, writer))
        else:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port, limit=MAX_TOKEN_BYTES)
    listening(server.sockets[0].getsockname()[1])
    reader, writer = await proven
    server.close()
    framer = Framer()
    receive = begin(writer)
    try:
        while data := await reader.read(1 << 16):
            for body in framer.feed(data):
                receive(body)
    except ConnectionError:
        pass
    finally:
        await before_close()
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()
            await asyncio.wait_for(writer.wait_closed(), 1.0)
