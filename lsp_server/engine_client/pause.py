"""How long a server wants to be left alone: what `Retry-After` says beside a 429 or 503, bounded, with chance added.

Source: RFC 9110 §10.2.3 (seconds, or a date). Until a pause has ended nothing is sent; who cannot wait that long is
told so at once. Nobody comes back earlier than asked, nor do all editors in the same moment. Left out: what is sent
again (client.py, upstream.py), engines that cannot be reached (backoff.py).
"""

import asyncio
import email.utils
import math
import random
import time
from collections.abc import Callable

from model.engine import api

LONGEST_S = 60.0
SPREAD = 0.25
STATUSES = (429, 503)
NUM_TRIES = 3

OnPause = Callable[[float], None]


def asked_s(retry_after: str, unix_s: float) -> float | None:
    """How long a header asks to wait; None where it says nothing that can be understood."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(LONGEST_S, float(text[:9]))
    try:
        until_s = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(LONGEST_S, max(0.0, until_s - unix_s))


class Pause:
    """Of one server. `on_begin(seconds)` is told of each pause that makes it wait longer."""

    def __init__(
        self,
        on_begin: OnPause,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._on_begin, self._now, self._chance = on_begin, now, chance
        self._until_s = -math.inf

    @property
    def remaining_s(self) -> float:
        return max(0.0, self._until_s - self._now())

    def begin(self, retry_after: str) -> None:
        """The server has refused a request with this header."""
        seconds = asked_s(retry_after, time.time())
        if seconds is None:
            return
        seconds *= 1 + SPREAD * self._chance()
        if seconds > self.remaining_s:
            self._until_s = self._now() + seconds
            self._on_begin(seconds)

    async def outlast(self, patience_ms: float | None) -> api.Error | None:
        """Waits for the pause's end; an error at once where that is farther away than `patience_ms` (None: never)."""
        while (remaining_s := self.remaining_s) > 0:
            if patience_ms is not None and remaining_s * 1000 > patience_ms:
                sentence = f"The engine has too much to do and is not asked for {math.ceil(remaining_s)} s."
                return api.Error(code="too_many", sentence=sentence)
            await asyncio.sleep(remaining_s)
            patience_ms = None if patience_ms is None else patience_ms - remaining_s * 1000
        return None


def nobody_asks(seconds: float) -> None:
    pass
