"""The iterations of the engine: what the scheduler plans is run, and what comes of it is told to whoever asked.

All methods belong to the worker but `add`, `leave` and `num_waiting`. Cancel flags and deadlines are read before each
iteration, so they hold within one step, and within one piece of a long prompt. A repair runs its own passes; between
two of them it calls back here, and iterations of what is more urgent run first. Left out: planning (scheduler.py), the
thread (runner.py), tensors (generation.py). Imports no torch.
"""

import contextlib
import functools
import itertools
import logging
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, Protocol

from model.engine import api
from model.engine.job import BadRequest, Job
from model.engine.scheduler import Bounds, Entry, Limits, Part, Scheduler, num_caches, rank_of

log = logging.getLogger("seedling.engine")


class Course(Protocol):
    """A request between its passes (generation.py)."""

    error: Exception | None

    @property
    def has_ended(self) -> bool: ...

    @property
    def next_rows(self) -> tuple[int, int]: ...

    def interrupt(self, reason: Literal["cancelled", "deadline"]) -> None: ...

    def take(self) -> list[api.Event]: ...

    def close(self) -> None: ...


class PrefixFigures(Protocol):
    """What a prefix cache counts; read by the event loop while the worker changes it."""

    @property
    def size_bytes(self) -> int: ...

    @property
    def num_evicted_tokens(self) -> int: ...

    num_prompt_tokens: int
    num_hit_tokens: int


class Resident(Protocol):
    """What the worker keeps: a loaded checkpoint with its caches (generation.py). `run` is for repairs."""

    @property
    def capabilities(self) -> api.Capabilities: ...

    @property
    def prefix_cache(self) -> PrefixFigures: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def sequence_bytes(self) -> int: ...

    def open(self, job: Job) -> Any: ...

    def iterate(self, parts: Sequence[tuple[Any, int]]) -> None: ...

    def run(self, job: Job) -> Iterable[api.Event | api.RepairEvent]: ...


class Iterations:
    """Requests from their arrival to their end. `lock` guards what other threads see."""

    def __init__(self, bounds: Bounds, lock: threading.Condition) -> None:
        self._scheduler = Scheduler(bounds)
        self._lock = lock
        self._keys = itertools.count()
        self._jobs: dict[int, Job] = {}
        self._courses: dict[int, Course] = {}
        self._resident: Resident | None = None
        self._num_bytes = 0  # of one cache; nothing begins before it is known

    @property
    def num_waiting(self) -> int:
        return self._scheduler.num_waiting

    @property
    def is_idle(self) -> bool:
        return not len(self._scheduler)

    def add(self, job: Job) -> None:
        """Under the lock. Raises QueueFull."""
        key = next(self._keys)
        is_whole = isinstance(job.request, api.RepairRequest)
        num_bytes = self._num_bytes * num_caches(job.request)
        entry = Entry(key, job.share, rank_of(job.request), time.monotonic(), num_bytes=num_bytes, is_whole=is_whole)
        self._scheduler.add(entry)
        job.make_way = functools.partial(self._make_way, entry)
        self._jobs[key] = job

    def leave(self, job: Job) -> None:
        """Under the lock: nobody reads the job any more. One that has not begun gives its place up at once."""
        key = next((key for key, other in self._jobs.items() if other is job), None)
        if key is not None and not self._scheduler.entry(key).is_open:
            self._scheduler.remove(key)
            del self._jobs[key]

    def begin(self, resident: Resident) -> None:
        """The model is there."""
        with self._lock:
            self._resident, self._num_bytes = resident, resident.sequence_bytes
            self._scheduler.limits = resident.limits
            for key, job in self._jobs.items():
                self._scheduler.entry(key).num_bytes = self._num_bytes * num_caches(job.request)

    def refuse_all(self, error: api.Error) -> None:
        """There will be no model."""
        with self._lock:
            jobs = list(self._jobs.items())
            for key, _ in jobs:
                self._scheduler.entry(key).is_open = True
        for key, job in jobs:
            job.emit(error)
            self._end(key)

    def run_one(self, above: Entry | None = None) -> bool:
        """One iteration, of what is more urgent than `above`; False when there is none."""
        assert self._resident is not None
        self.end_expired()
        now_s = time.monotonic()
        with self._lock:
            opened = self._scheduler.to_open(now_s, above)
        for entry in opened:
            if not entry.is_whole:
                self._open(entry)
        with self._lock:
            parts = self._scheduler.plan(now_s, above)
            entries = [self._scheduler.entry(part.key) for part in parts]
        if not entries:
            return bool(opened)
        if entries[0].is_whole:
            self._run_whole(self._resident, entries[0])
        else:
            self._run_parts(self._resident, parts)
        return True

    def _run_parts(self, resident: Resident, parts: Sequence[Part]) -> None:
        try:
            resident.iterate([(self._courses[part.key], part.num_ahead) for part in parts])
        except Exception as error:
            for part in parts:
                self._break(part.key, error)
            return
        with self._lock:
            self._scheduler.ran(parts, time.monotonic())
        for part in parts:
            self._follow(part.key)

    def _run_whole(self, resident: Resident, entry: Entry) -> None:
        entry.is_running = True
        job = self._jobs[entry.key]
        with self._answering(entry.key):
            for event in resident.run(job):
                _tell(job, event)
            self._end(entry.key)

    def _make_way(self, entry: Entry, num_passes: int) -> None:
        """Within a repair, so many passes after the last time."""
        if num_passes:
            with self._lock:
                self._scheduler.ran([Part(entry.key, 0)], time.monotonic())
        while self.run_one(above=entry):
            pass

    def _open(self, entry: Entry) -> None:
        assert self._resident is not None
        with self._answering(entry.key):
            self._courses[entry.key] = self._resident.open(self._jobs[entry.key])
            self._follow(entry.key)

    def _follow(self, key: int) -> None:
        """Tells what a request has given, and sees what it needs next."""
        course = self._courses[key]
        for event in course.take():
            _tell(self._jobs[key], event)
        if course.error is not None:
            self._break(key, course.error)
        elif course.has_ended:
            self._end(key)
        else:
            entry = self._scheduler.entry(key)
            entry.num_ahead, entry.num_rows = course.next_rows

    def end_expired(self) -> None:
        """Answers what is cancelled or late."""
        expired: list[tuple[Entry, Literal["cancelled", "deadline"]]] = []
        with self._lock:
            for key, job in self._jobs.items():
                reason, entry = job.expired(), self._scheduler.entry(key)
                if reason is not None and not entry.is_running:
                    entry.is_open = True  # from here on nobody takes it away
                    expired.append((entry, reason))
        for entry, reason in expired:
            with self._answering(entry.key):
                self._expire(entry, reason)

    def _expire(self, entry: Entry, reason: Literal["cancelled", "deadline"]) -> None:
        course, job = self._courses.get(entry.key), self._jobs[entry.key]
        if course is not None:
            course.interrupt(reason)
            self._follow(entry.key)
        elif entry.is_whole:
            engine_ms = (time.monotonic() - job.received_s) * 1000
            _tell(job, api.Repaired(num_findings=0, forwards=0, engine_ms=engine_ms, reason=reason))
            self._end(entry.key)
        else:
            self._open(entry)  # it ends by itself before its first pass

    @contextlib.contextmanager
    def _answering(self, key: int) -> Iterator[None]:
        """Whatever is raised becomes the request's answer."""
        try:
            yield
        except Exception as error:
            self._break(key, error)

    def _break(self, key: int, error: Exception) -> None:
        job = self._jobs[key]
        if isinstance(error, BadRequest):
            job.emit(api.Error(code=error.code, sentence=error.sentence))
        else:
            log_without_text("a request failed", error)
            sentence = f"The engine failed on this request ({type(error).__name__}); its log has the details."
            job.emit(api.Error(code="internal", sentence=sentence))
        self._end(key)

    def _end(self, key: int) -> None:
        with self._lock:
            job = self._jobs.pop(key)
            course = self._courses.pop(key, None)
            self._scheduler.remove(key)
        if course is not None:
            with contextlib.suppress(Exception):  # what it would say has been said
                course.close()
        job.emit(None)


def _tell(job: Job, event: api.Event | api.RepairEvent) -> None:
    """One line of the log for an end: what it cost, never what it said."""
    if isinstance(event, api.Done):
        log.info(
            "%s: %d tokens, %d forwards, %d of %d prompt tokens cached, %.1f ms",
            event.reason,
            event.num_tokens,
            event.forwards,
            event.cached_tokens,
            event.prompt_tokens,
            event.engine_ms,
        )
    if isinstance(event, api.Repaired):
        log.info(
            "repair %s: %d findings, %d forwards, %.1f ms",
            event.reason,
            event.num_findings,
            event.forwards,
            event.engine_ms,
        )
    job.emit(event)


def log_without_text(what: str, error: BaseException) -> None:
    """Logs where an error came from but not its message, which may quote the user's code."""
    log.error("%s: %s\n%s", what, type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
