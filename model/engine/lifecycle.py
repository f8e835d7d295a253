"""When the engine is loading, ready, draining, and when it ends.

Source: the project's process rules. A *connected client* is an open `/v1/attach` stream: every editor's language server
holds one, its end is seen at once (the kernel closes it when the server dies), and it also carries the announcement
that the engine closes, so that clients can tell a planned end from a crash. The engine ends when for `idle_s` seconds
no stream was attached and no request ran. Left out: signals and sockets (command.py), requests (runner.py).
All methods belong to the event loop's thread, except `set_loading`, `set_ready` and `set_failed`.
"""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

Status = Literal["loading", "ready", "draining", "failed"]

FAILED_LINGER_S = 5.0  # a failed engine stays just long enough for the waiting clients to read why
DRAIN_TIMEOUT_S = 15.0


class Lifecycle:
    """`stop` is called once, at the very end. `socket_path` is watched: an engine that nobody can reach must end."""

    def __init__(
        self,
        *,
        idle_s: float,
        stop: Callable[[], None],
        socket_path: Path | None = None,
        drain_timeout_s: float = DRAIN_TIMEOUT_S,
    ) -> None:
        self.status: Status = "loading"
        self.progress = 0.0
        self.sentence = "The model is being loaded."
        self.num_attached = 0
        self.num_active = 0
        self.closing: asyncio.Event = asyncio.Event()
        self.closing_reason = ""
        self._idle_s = idle_s
        self._stop = stop
        self._drain_timeout_s = drain_timeout_s
        self._socket_path = socket_path
        self._socket_inode = socket_path.stat().st_ino if socket_path else None
        self._started_s = self._quiet_since_s = time.monotonic()
        self._failed_at_s = 0.0
        self._draining_since_s = 0.0

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self._started_s

    def set_loading(self, progress: float, sentence: str) -> None:
        """`progress` is 0..1."""
        self.progress, self.sentence = progress, sentence

    def set_ready(self) -> None:
        self.progress, self.sentence = 1.0, ""
        if self.status == "loading":
            self.status = "ready"

    def set_failed(self, sentence: str) -> None:
        self.sentence = sentence
        self._failed_at_s = time.monotonic()
        if self.status == "loading":
            self.status = "failed"

    def drain(self, reason: str) -> None:
        """Takes no new request; ends when the running ones have ended (at the latest after `drain_timeout_s`)."""
        if self.status != "draining":
            self.status = "draining"
            self.sentence = "The engine is finishing its last requests."
            self.closing_reason = reason
            self._draining_since_s = time.monotonic()

    def touch(self) -> None:
        """Something was asked: idleness starts anew."""
        self._quiet_since_s = time.monotonic()

    async def watch(self) -> None:
        """Runs until the engine must end, then tells the attached clients and calls `stop`."""
        # Fine enough for tests with an idle time of a second, coarse enough to cost nothing.
        poll_s = min(0.5, self._idle_s / 4)
        while True:
            await asyncio.sleep(0.02 if self.status == "draining" else poll_s)
            now_s = time.monotonic()
            if self.num_attached or self.num_active:
                self._quiet_since_s = now_s
            if self.status == "draining":
                if not self.num_active or now_s - self._draining_since_s > self._drain_timeout_s:
                    break
            elif self.status == "failed" and now_s - self._failed_at_s > FAILED_LINGER_S:
                self.drain("failed")
            elif now_s - self._quiet_since_s > self._idle_s:
                self.drain("idle")
            elif self._is_unreachable():
                self.drain("socket removed")
        self.closing.set()
        await asyncio.sleep(0.05)  # the attach streams write their last line
        self._stop()

    def _is_unreachable(self) -> bool:
        """Was the socket deleted (by a cleaner of temporary files) or replaced?"""
        if self._socket_path is None:
            return False
        try:
            return os.stat(self._socket_path).st_ino != self._socket_inode
        except FileNotFoundError:
            return True
