"""HTTP over one connection, with bounds that uvicorn does not set: how long a head may take, and how long a reader.

Source: uvicorn's H11Protocol, whose callbacks are asyncio's. A peer that connects and says nothing, that sends its
head byte by byte, or that stops reading its answer would else hold a connection, and with it a place, for ever. Left
out: bodies (app.py), requests in progress (lifecycle.py), peers that vanished (listening.py).
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 30.0
MAX_CONNECTIONS = 4096


class BoundedHttp(H11Protocol):
    """The protocol class for uvicorn.Config(http=…)."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._head_timer = _stopped(self._head_timer)
        elif self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall_timer = self.loop.call_later(STALL_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stall_timer = _stopped(self._stall_timer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_timer, self._stall_timer = _stopped(self._head_timer), _stopped(self._stall_timer)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What cannot be parsed may come in the middle of an answer, which nothing can follow then."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.abort()


def _stopped(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
