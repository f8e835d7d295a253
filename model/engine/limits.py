"""What one client may take of an engine that several share: requests at a time, requests and bytes a minute.

Source: token buckets, which let somebody who types in bursts be quick and hold back a script that never pauses. Times
come from a monotonic clock, so a changed wall clock neither gives nor takes anything. Left out: the order of requests
that were let in (runner.py).
"""

import msgspec

MAX_ATTACHED = 64  # open editors of one client
SECONDS = 60.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """For each client by itself. One that types asks about every four seconds, in bursts of some requests a second."""

    max_running: int = 16
    max_requests_per_minute: int = 600
    max_bytes_per_minute: int = 64 * 2**20


class Bucket:
    """Holds `capacity`, as at the start; what is taken comes back over a minute. May be overdrawn by one taking."""

    def __init__(self, capacity: int, now_s: float) -> None:
        self._capacity = capacity
        self._level = float(capacity)
        self._filled_at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """How long until something may be taken again, 0 for now."""
        self._fill(now_s)
        return max(0.0, (1.0 - self._level) * SECONDS / self._capacity)

    def take(self, num: int, now_s: float) -> None:
        self._fill(now_s)
        self._level -= num

    def _fill(self, now_s: float) -> None:
        elapsed_s = max(0.0, now_s - self._filled_at_s)
        self._level = min(self._capacity, self._level + elapsed_s * self._capacity / SECONDS)
        self._filled_at_s = now_s


class Refusal(msgspec.Struct, frozen=True):
    """`retry_after_s`: when it is worth another try."""

    sentence: str
    retry_after_s: float


class Allowance:
    """One client's. `begin` a request, then `end` it; or an attach stream with `attach` and `detach`."""

    def __init__(self, limits: Limits, now_s: float) -> None:
        self.num_running = 0
        self.num_attached = 0
        self._limits = limits
        self._requests = Bucket(limits.max_requests_per_minute, now_s)
        self._bytes = Bucket(limits.max_bytes_per_minute, now_s)

    def begin(self, now_s: float) -> Refusal | None:
        """None: it runs now, until `end`."""
        limits = self._limits
        if self.num_running >= limits.max_running:
            return Refusal(f"This token has {limits.max_running} requests running already.", 1.0)
        wait_s = self._requests.wait_s(now_s)
        if wait_s > 0:
            return Refusal(f"This token has asked {limits.max_requests_per_minute} times in a minute.", wait_s)
        wait_s = self._bytes.wait_s(now_s)
        if wait_s > 0:
            size_mb = limits.max_bytes_per_minute / 2**20
            return Refusal(f"This token has sent {size_mb:.3g} MiB in a minute.", wait_s)
        self._requests.take(1, now_s)
        self.num_running += 1
        return None

    def end(self) -> None:
        self.num_running -= 1

    def attach(self) -> Refusal | None:
        if self.num_attached >= MAX_ATTACHED:
            return Refusal(f"This token has {MAX_ATTACHED} editors connected already.", SECONDS)
        self.num_attached += 1
        return None

    def detach(self) -> None:
        self.num_attached -= 1

    def sent(self, num_bytes: int, now_s: float) -> None:
        """So much of a request's body has arrived."""
        self._bytes.take(num_bytes, now_s)
