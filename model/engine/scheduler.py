"""Which requests run in the next iteration: planning alone, without a clock, a thread or a tensor.

An iteration is one pass of the network. It takes steps of several canvases and pieces of long prompts together, but of
one class: what somebody waits for is not slowed down by what can wait. Classes go in order (Rank), and every `age_s`
that a request has got nothing lifts it by one class for its next pass; one that waited for long goes first whatever
its class, the longest first. So nothing starves. Within a class those that have begun go on (an answer is worth
nothing until it is whole), then the client that got the fewest rows is next. Who has been idle gets no credit for it.

Source: iteration-level scheduling (Orca, OSDI 2022), chunked prefill (Sarathi, arXiv 2308.16369), start-time fair
queueing (Goyal et al., SIGCOMM 1996). Left out: running the plan (iterations.py), limits of a token (guard.py).
"""

import enum
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from model.engine import api

OVERDUE_AGES = 6
"""Ages beyond those of its class after which a request goes before all others."""
ROWS_OF_A_REPAIR = 128
"""What one pass of a repair counts for: its passes are made elsewhere, most are about so wide."""
NUM_SIDE_BY_SIDE = 4
"""Alternatives of one request written at a time, each in a cache of its own: eight cost 0.75 of what they cost one by
one, four 0.82."""


class Rank(enum.IntEnum):
    """Classes of requests, the most urgent first."""

    GHOST_TEXT = 0
    NEXT_EDIT = 1
    REWRITE = 2
    MEND = 3


class QueueFull(Exception):
    """More requests wait than the queue holds, in all or of one client."""


class Bounds(msgspec.Struct, frozen=True):
    """Of requests that have not begun. Who has no name (another tool on a local socket) may be many, not one client."""

    max_waiting: int = 256
    max_waiting_per_client: int = 32


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Of one iteration and of what has begun; the numbers of a device are in generation.py.

    max_ahead: rows of prompts an iteration, beyond which a prompt is prefilled in pieces. max_rows: all rows.
    max_bytes: keys and values of all that has begun. quantum_rows: after so many a request that has begun must let
    clients pass that got less.
    """

    max_sequences: int = 8
    max_ahead: int = 192
    max_rows: int = 256
    max_bytes: int = 64 * 2**20
    quantum_rows: int = 1024
    age_s: float = 0.5


class Entry:
    """A request. `num_ahead` and `num_rows`: of its next pass, the rows that may run before it, and the others.

    since_s: when it came or last got a pass. is_whole: it makes its passes by itself once it is planned (a repair).
    """

    __slots__ = (
        "client",
        "is_open",
        "is_running",
        "is_whole",
        "key",
        "num_ahead",
        "num_bytes",
        "num_rows",
        "rank",
        "since_s",
        "used_rows",
    )

    def __init__(self, key: int, client: str, rank: Rank, now_s: float, *, num_bytes: int, is_whole: bool) -> None:
        self.key, self.client, self.rank, self.since_s = key, client, rank, now_s
        self.num_bytes, self.is_whole = num_bytes, is_whole
        self.is_open = self.is_running = False
        self.num_ahead = self.num_rows = self.used_rows = 0


class Part(NamedTuple):
    """One request's part of an iteration: so many rows of its prompt, or with 0 its whole next pass."""

    key: int
    num_ahead: int


class Scheduler:
    """The state: requests, and what each client got. Times are given; not thread-safe."""

    def __init__(self, bounds: Bounds | None = None, limits: Limits | None = None) -> None:
        self.bounds, self.limits = bounds or Bounds(), limits or Limits()
        self._entries: dict[int, Entry] = {}
        self._rows_of: dict[str, float] = {}  # by client: what it got, and what it missed while it was idle
        self._rows_now = 0.0  # of the client that was served last: where newcomers begin

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def num_waiting(self) -> int:
        return sum(not entry.is_open for entry in list(self._entries.values()))

    def entry(self, key: int) -> Entry:
        return self._entries[key]

    def add(self, entry: Entry) -> None:
        """Raises QueueFull. Keys rise with time: among equals the lower one is first."""
        waiting = [other for other in self._entries.values() if not other.is_open]
        num_own = sum(other.client == entry.client for other in waiting) if entry.client else 0
        if len(waiting) >= self.bounds.max_waiting or num_own >= self.bounds.max_waiting_per_client:
            raise QueueFull
        if not any(other.client == entry.client for other in self._entries.values()):
            self._rows_of[entry.client] = max(self._rows_of.get(entry.client, 0.0), self._rows_now)
        self._entries[entry.key] = entry

    def remove(self, key: int) -> None:
        """A request that has ended or left; unknown ones are no fault."""
        if self._entries.pop(key, None) is None:
            return
        if not self._entries:
            self._rows_of, self._rows_now = {}, 0.0
            return
        present = {entry.client for entry in self._entries.values()}
        self._rows_of = {c: rows for c, rows in self._rows_of.items() if c in present or rows > self._rows_now}

    def to_open(self, now_s: float, above: Entry | None = None) -> list[Entry]:
        """Those that begin now: as many as the next iteration takes, while their keys and values fit."""
        chosen = self._chosen(now_s, above)
        num_bytes = sum(entry.num_bytes for entry in self._entries.values() if entry.is_open)
        is_any_open = any(entry.is_open for entry in self._entries.values())
        opened: list[Entry] = []
        for entry in chosen:
            if entry.is_open:
                continue
            # In order: else a large one would wait for ever behind small ones. A lone one always begins.
            if num_bytes + entry.num_bytes > self.limits.max_bytes and is_any_open:
                break
            entry.is_open = is_any_open = True
            num_bytes += entry.num_bytes
            opened.append(entry)
        return opened

    def plan(self, now_s: float, above: Entry | None = None) -> list[Part]:
        """The next iteration, empty if nothing has begun. above: only what is more urgent than this one."""
        chosen = self._chosen(now_s, above, must_be_open=True)
        if chosen and chosen[0].is_whole:
            return [Part(chosen[0].key, 0)]
        limits = self.limits
        parts: list[Part] = []
        rows_left, ahead_left = limits.max_rows, limits.max_ahead
        for entry in chosen:
            num_rows = entry.num_ahead + entry.num_rows
            # The first one's step runs even where it alone is more than an iteration should be.
            fits = entry.num_ahead <= ahead_left and (num_rows <= rows_left or not parts)
            num_ahead = 0 if fits else min(entry.num_ahead, ahead_left, rows_left)
            if not fits and num_ahead <= 0:
                continue
            parts.append(Part(entry.key, num_ahead))
            ahead_left -= num_ahead or entry.num_ahead
            rows_left -= num_ahead or num_rows
        return parts

    def ran(self, parts: Iterable[Part], now_s: float) -> None:
        """The iteration is over; before the entries learn of their next pass."""
        entries = [(self._entries[part.key], part.num_ahead) for part in parts if part.key in self._entries]
        if entries:
            self._rows_now = max(self._rows_now, min(self._rows_of[entry.client] for entry, _ in entries))
        for entry, num_ahead in entries:
            num_rows = ROWS_OF_A_REPAIR if entry.is_whole else num_ahead or entry.num_ahead + entry.num_rows
            entry.used_rows += num_rows
            entry.since_s = now_s
            self._rows_of[entry.client] += num_rows

    def _chosen(self, now_s: float, above: Entry | None, *, must_be_open: bool = False) -> list[Entry]:
        """The most urgent ones, of one class; one that runs by itself is alone."""
        ordered = sorted(
            (self._urgency(entry, now_s), entry.key) for entry in self._entries.values() if not entry.is_running
        )
        if above is not None:
            bound = self._urgency(above, now_s)
            ordered = [
                (urgency, key)
                for urgency, key in ordered
                # A repair within a repair ends before that goes on: only for a higher class.
                if urgency < bound and (not self._entries[key].is_whole or self._entries[key].rank < above.rank)
            ]
        entries = [self._entries[key] for _, key in ordered]
        if must_be_open:
            entries = [entry for entry in entries if entry.is_open]
        if not entries or entries[0].is_whole:
            return entries[:1]
        level = max(0, self._level(entries[0], now_s))
        same = [e for e in entries if not e.is_whole and max(0, self._level(e, now_s)) <= level]
        return same[: self.limits.max_sequences]

    def _urgency(self, entry: Entry, now_s: float) -> tuple[int, float, float]:
        """Less is first."""
        level = self._level(entry, now_s)
        if level < 0:
            return (-1, entry.since_s, 0.0)
        goes_on = entry.is_open and entry.used_rows < self.limits.quantum_rows
        return (level, 0.0 if goes_on else 1.0, self._rows_of[entry.client])

    def _level(self, entry: Entry, now_s: float) -> int:
        """Its class less what it has aged, at least 0; -1 for one that waited for long."""
        ages = int((now_s - entry.since_s) / self.limits.age_s)
        return -1 if ages >= entry.rank + OVERDUE_AGES else max(0, entry.rank - ages)


def rank_of(request: api.DenoiseRequest | api.RepairRequest) -> Rank:
    """The class of a request. One in words is a rewrite whatever it says that it is for: it takes as long as one."""
    if isinstance(request, api.RepairRequest):
        return Rank.MEND if request.first_row is None else Rank.REWRITE
    is_hole = len(request.canvas) == 1 and isinstance(request.canvas[0], api.Masked)
    if not is_hole or request.prompt.instruction is not None:
        return Rank.REWRITE
    return Rank.NEXT_EDIT if request.purpose == "next_edit" else Rank.GHOST_TEXT


def num_caches(request: api.DenoiseRequest | api.RepairRequest) -> int:
    """How many working caches a request that has begun takes."""
    return min(request.n, NUM_SIDE_BY_SIDE) if isinstance(request, api.DenoiseRequest) else 1
