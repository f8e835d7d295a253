"""One request on its way through the engine, and how it says that it cannot be done.

Left out: who runs it (runner.py, iterations.py) and what it computes (generation.py, repairs.py).
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Literal

from model.engine import api


class BadRequest(Exception):
    """A request that this checkpoint cannot do; `code` for programs, the message is one sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


def _nobody_waits(num_passes: int) -> None:
    pass


class Job:
    """One request on its way. `events` ends with None. Safe to cancel from any thread at any time."""

    def __init__(
        self,
        request: api.DenoiseRequest | api.RepairRequest,
        loop: asyncio.AbstractEventLoop,
        make_way: Callable[[int], None] = _nobody_waits,
        client: str = "",
        editor: str = "",
    ) -> None:
        """make_way: called by a repair between two passes (with 1) and while it thinks (with 0: no pass was made yet),
        for those that should not wait for it.

        client: whose request it is, on a box with many users; what is cached of it is not found by others. editor:
        which of one user's editors asks, as far as it says so.
        """
        self.request = request
        self.client = client
        self.share = client or editor
        """Whose share of the worker it takes: on a box several editors of one user are one client."""
        self.make_way = make_way
        self.events: asyncio.Queue[api.Event | api.RepairEvent | None] = asyncio.Queue()
        self.received_s = time.monotonic()
        self.is_cancelled = False  # written by the event loop, read by the worker: a bool needs no lock
        self._loop = loop

    def emit(self, event: api.Event | api.RepairEvent | None) -> None:
        """Called by the worker. When the engine ends the loop may be gone already, and with it the reader."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.events.put_nowait, event)

    def expired(self) -> Literal["cancelled", "deadline"] | None:
        """Asked before each step: why the request must end now ("cancelled" before "deadline"), or None."""
        if self.is_cancelled:
            return "cancelled"
        deadline_ms = self.request.deadline_ms
        if deadline_ms is not None and (time.monotonic() - self.received_s) * 1000 >= deadline_ms:
            return "deadline"
        return None
