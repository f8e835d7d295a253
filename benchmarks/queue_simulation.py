"""Requests through the engine's own scheduler without an engine: what happens when, on a clock that costs nothing.

The scheduler is model/engine/scheduler.py itself; around it stands what model/engine/iterations.py does with a request:
it comes, is opened, gets passes as they are planned (long prompts in pieces), and ends. Time goes on by what a model of
the machine says that opening and passes take. One worker does one thing at a time. Left out: repairs, cancelling,
deadlines.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from benchmarks.load import Level, quantile
from model.engine.scheduler import Bounds, Entry, Limits, Part, QueueFull, Rank, Scheduler


class Pass(NamedTuple):
    """A pass that a request makes: rows that may run before it, the others, and the keys that it finds."""

    num_ahead: int
    num_rows: int
    num_keys: int


class Need(msgspec.Struct, frozen=True):
    """What one request costs: the time to prepare it, and its passes."""

    open_ms: float
    passes: tuple[Pass, ...]


class Arrival(NamedTuple):
    """A request, when it comes and whose share of the worker it takes."""

    at_s: float
    client: str
    need: Need


PassMs = Callable[[Sequence[Pass]], float]
"""How long one pass takes for all these parts together."""


class Machine(NamedTuple):
    """around_ms: what a request spends outside of the worker, on its way in and out."""

    pass_ms: PassMs
    limits: Limits
    around_ms: float
    sequence_bytes: int = 0


class _Running:
    """A request that has come: where it stands."""

    def __init__(self, arrival: Arrival) -> None:
        self.arrival = arrival
        self.number = 0  # of its next pass
        self.num_done = 0  # rows that ran before that pass

    @property
    def next_pass(self) -> Pass:
        planned = self.arrival.need.passes[self.number]
        return planned._replace(num_ahead=planned.num_ahead - self.num_done, num_keys=planned.num_keys + self.num_done)

    def part(self, num_ahead: int) -> Pass:
        return self.next_pass._replace(num_ahead=num_ahead, num_rows=0) if num_ahead else self.next_pass

    def go_on(self, num_ahead: int) -> bool:
        """After a part; False if that was all."""
        if num_ahead:
            self.num_done += num_ahead
        else:
            self.number, self.num_done = self.number + 1, 0
        return self.number < len(self.arrival.need.passes)


def simulate(arrivals: Sequence[Arrival], machine: Machine, *, max_errors: int = 1 << 30) -> Level:
    """How long the requests take, in order of time; those that the queue refuses are errors, of which more than
    `max_errors` end it.
    """
    scheduler = Scheduler(Bounds(), machine.limits)
    coming = deque(enumerate(arrivals))
    running: dict[int, _Running] = {}
    times_ms: list[float] = []
    num_errors, now_s = 0, 0.0
    while (coming or len(scheduler)) and num_errors <= max_errors:
        if not len(scheduler):
            now_s = max(now_s, coming[0][1].at_s)
        while coming and coming[0][1].at_s <= now_s:
            key, arrival = coming.popleft()
            entry = Entry(
                key, arrival.client, Rank.GHOST_TEXT, arrival.at_s, num_bytes=machine.sequence_bytes, is_whole=False
            )
            try:
                scheduler.add(entry)
                running[key] = _Running(arrival)
            except QueueFull:
                num_errors += 1
        for entry in scheduler.to_open(now_s):
            now_s += running[entry.key].arrival.need.open_ms / 1000
            _follow(scheduler, running, entry.key)
        parts = scheduler.plan(now_s)
        now_s += machine.pass_ms([running[part.key].part(part.num_ahead) for part in parts]) / 1000
        for key in _ran(scheduler, running, parts, now_s):
            times_ms.append((now_s - running.pop(key).arrival.at_s) * 1000 + machine.around_ms)
    lasted_s = arrivals[-1].at_s or 1.0
    rate = len(arrivals) / lasted_s
    if not times_ms:
        return Level(float("inf"), float("inf"), num_errors, len(arrivals), rate)
    return Level(quantile(times_ms, 50), quantile(times_ms, 95), num_errors, len(arrivals), rate)


def _ran(scheduler: Scheduler, running: dict[int, _Running], parts: Sequence[Part], now_s: float) -> list[int]:
    """The parts are over; the requests that are, too."""
    scheduler.ran(parts, now_s)
    ended: list[int] = []
    for part in parts:
        if running[part.key].go_on(part.num_ahead):
            _follow(scheduler, running, part.key)
        else:
            scheduler.remove(part.key)
            ended.append(part.key)
    return ended


def _follow(scheduler: Scheduler, running: dict[int, _Running], key: int) -> None:
    entry, needed = scheduler.entry(key), running[key].next_pass
    entry.num_ahead, entry.num_rows = needed.num_ahead, needed.num_rows
