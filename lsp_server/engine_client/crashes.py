"""When a died engine may be started again, and which request is not sent to it any more. Pure bookkeeping.

Source: the project's process rules: restart delays of 1, 5 and 30 s; after three crashes in two minutes it stays down;
a request that was running in two crashes is not sent again. Left out: noticing a crash (client.py) and starting.
"""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from lsp_server.engine_client.errors import EngineUnavailable
from model.engine.api import DenoiseRequest, RepairRequest

RESTART_DELAYS_S = (1.0, 5.0, 30.0)
WINDOW_S = 120.0
MAX_CRASHES = 3
MAX_REMEMBERED_REQUESTS = 64


def fingerprint(request: DenoiseRequest | RepairRequest) -> bytes:
    """Names a request by its content: the same question under a new id is the same request."""
    content = msgspec.structs.replace(request, id="", deadline_ms=None)
    return hashlib.sha256(msgspec.msgpack.encode(content)).digest()


class CrashRecord:
    """The crashes one client has seen. `now` returns seconds (monotonic).

    is_started_by_us: an engine that is not is asked again whenever somebody wants.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, *, is_started_by_us: bool = True) -> None:
        self._now = now
        self._is_started_by_us = is_started_by_us
        self._crashes_s: list[float] = []
        self._running_at_crash: dict[bytes, int] = {}

    def add(self, running: frozenset[bytes]) -> None:
        """Notes a crash now, and the requests that were running in it."""
        self._crashes_s.append(self._now())
        for key in running:
            self._running_at_crash[key] = self._running_at_crash.get(key, 0) + 1
        while len(self._running_at_crash) > MAX_REMEMBERED_REQUESTS:
            del self._running_at_crash[next(iter(self._running_at_crash))]

    def check_request(self, key: bytes) -> None:
        """Raises EngineUnavailable for a request that was running in two crashes."""
        if self._running_at_crash.get(key, 0) >= 2:
            raise EngineUnavailable(
                "crashed", "The engine crashed twice on this request, so it is not sent again: edit the code around it."
            )

    def delay_s(self, log: Path) -> float:
        """How long to wait from now before a start. Raises EngineUnavailable when the engine stays down."""
        if not self._is_started_by_us:
            return 0.0
        now = self._now()
        self._crashes_s = [t for t in self._crashes_s if now - t < WINDOW_S + RESTART_DELAYS_S[-1]]
        recent = [t for t in self._crashes_s if now - t < WINDOW_S]
        if len(recent) >= MAX_CRASHES:
            raise EngineUnavailable(
                "stays_down",
                f"The engine crashed {len(recent)} times in two minutes and stays down; its log is {log}.",
            )
        if not self._crashes_s:
            return 0.0
        delay_s = RESTART_DELAYS_S[min(len(self._crashes_s), len(RESTART_DELAYS_S)) - 1]
        return max(0.0, self._crashes_s[-1] + delay_s - now)
