"""The one worker thread that owns network and caches, and the queue of requests before it.

First in, first out, but a repair lets the completions that wait go first between its passes; the queue is bounded.
Cancel flags and deadlines are read between denoising steps. Events travel to the event loop by `call_soon_threadsafe`.
This file imports no torch: the engine answers `/health` while the worker imports it. Left out: what a request computes
(generation.py, repairs.py), HTTP (app.py), batching of several users.
"""

import asyncio
import contextlib
import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal, Protocol

from model.engine import api

MAX_WAITING = 32

log = logging.getLogger("seedling.engine")


class BadRequest(Exception):
    """A request that this checkpoint cannot do; `code` for programs, the message is one sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class QueueFull(Exception):
    """More requests wait than the queue holds."""


def _nobody_waits() -> None:
    pass


class Job:
    """One request on its way. `events` ends with None. Safe to cancel from any thread at any time."""

    def __init__(
        self,
        request: api.DenoiseRequest | api.RepairRequest,
        loop: asyncio.AbstractEventLoop,
        make_way: Callable[[], None] = _nobody_waits,
        client: str = "",
    ) -> None:
        """make_way: called by long jobs between two passes, for those that should not wait for them.

        client: whose request it is, on a box with many users; what is cached of it is not found by others.
        """
        self.request = request
        self.client = client
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


class PrefixFigures(Protocol):
    """What a prefix cache counts; read by the event loop while the worker changes it."""

    @property
    def size_bytes(self) -> int: ...

    @property
    def num_evicted_tokens(self) -> int: ...

    num_prompt_tokens: int
    num_hit_tokens: int


class Resident(Protocol):
    """What the worker keeps: a loaded checkpoint with its caches (generation.py)."""

    @property
    def capabilities(self) -> api.Capabilities: ...

    @property
    def prefix_cache(self) -> PrefixFigures: ...

    def run(self, job: Job) -> Iterable[api.Event | api.RepairEvent]: ...


class Runner:
    """Owns the worker. `load(report)` builds the resident in it; `report(progress, sentence)` tells how far that is."""

    def __init__(
        self,
        load: Callable[[Callable[[float, str], None]], Resident],
        *,
        on_loading: Callable[[float, str], None],
        on_ready: Callable[[], None],
        on_failed: Callable[[str], None],
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self.capabilities: api.Capabilities | None = None
        self._resident: Resident | None = None
        self._load = load
        self._on_loading, self._on_ready, self._on_failed = on_loading, on_ready, on_failed
        self._max_waiting = max_waiting
        self._waiting: deque[Job] = deque()
        self._jobs: dict[str, list[Job]] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="seedling-worker", daemon=True)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def prefix_cache(self) -> PrefixFigures | None:
        """None until the model is loaded."""
        return self._resident.prefix_cache if self._resident else None

    def start(self) -> None:
        self._thread.start()

    def submit(
        self, request: api.DenoiseRequest | api.RepairRequest, loop: asyncio.AbstractEventLoop, client: str = ""
    ) -> Job:
        """Queues a request. Raises QueueFull."""
        job = Job(request, loop, self._make_way, client)
        with self._changed:
            if len(self._waiting) >= self._max_waiting:
                raise QueueFull
            self._waiting.append(job)
            self._jobs.setdefault(request.id, []).append(job)
            self._changed.notify()
        return job

    def forget(self, job: Job) -> None:
        """The job's reader has left: it is cancelled if it still runs. Must be called once for every submitted job."""
        job.is_cancelled = True
        with self._changed:
            jobs = self._jobs.get(job.request.id, [])
            if job in jobs:
                jobs.remove(job)
            if not jobs:
                self._jobs.pop(job.request.id, None)
            if job in self._waiting:
                self._waiting.remove(job)  # its place is free for others at once

    def cancel(self, request_id: str) -> bool:
        """Cancels the requests with this id, waiting or running; False when there is none."""
        with self._changed:
            jobs = list(self._jobs.get(request_id, []))
        for job in jobs:
            job.is_cancelled = True
        return bool(jobs)

    def stop(self, timeout_s: float = 5.0) -> None:
        """Cancels everything and waits for the worker."""
        with self._changed:
            self._stopping = True
            for jobs in self._jobs.values():
                for job in jobs:
                    job.is_cancelled = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        started_s = time.monotonic()
        try:
            resident = self._load(self._on_loading)
        except Exception as error:
            self._fail(error)
            return
        self._resident = resident
        self.capabilities = resident.capabilities
        log.info("ready after %.2f s: %s", time.monotonic() - started_s, resident.capabilities.model)
        self._on_ready()
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                job = self._waiting.popleft()
            self._run(resident, job)

    def _run(self, resident: Resident, job: Job) -> None:
        try:
            for event in resident.run(job):
                if isinstance(event, api.Done):
                    log_numbers(event)
                if isinstance(event, api.Repaired):
                    log_repair(event)
                job.emit(event)
        except BadRequest as error:
            job.emit(api.Error(code=error.code, sentence=error.sentence))
        except Exception as error:
            log_without_text("a request failed", error)
            sentence = f"The engine failed on this request ({type(error).__name__}); its log has the details."
            job.emit(api.Error(code="internal", sentence=sentence))
        finally:
            job.emit(None)

    def _make_way(self) -> None:
        """Runs the completions that wait, in the worker, between two passes of a repair."""
        while self._resident is not None:
            with self._changed:
                job = next((job for job in self._waiting if isinstance(job.request, api.DenoiseRequest)), None)
                if job is None or self._stopping:
                    return
                self._waiting.remove(job)
            self._run(self._resident, job)

    def _fail(self, error: Exception) -> None:
        log_without_text("loading failed", error)
        # Checkpoint errors are written as sentences for the user; anything else is named by its type.
        is_sentence = type(error).__name__ in ("CheckpointError", "TokenizerError")
        self._on_failed(
            str(error) if is_sentence else f"The model could not be loaded ({type(error).__name__}: {error})."
        )
        with self._changed:
            jobs = list(self._waiting)
            self._waiting.clear()
        for job in jobs:
            job.emit(api.Error(code="failed", sentence="The engine could not load its model."))
            job.emit(None)


def log_numbers(done: api.Done) -> None:
    """One line a completion: what it cost, never what it said."""
    log.info(
        "%s: %d tokens, %d forwards, %d of %d prompt tokens cached, %.1f ms",
        done.reason,
        done.num_tokens,
        done.forwards,
        done.cached_tokens,
        done.prompt_tokens,
        done.engine_ms,
    )


def log_repair(repaired: api.Repaired) -> None:
    """One line a repair: what it cost, never what it said."""
    log.info(
        "repair %s: %d findings, %d forwards, %.1f ms",
        repaired.reason,
        repaired.num_findings,
        repaired.forwards,
        repaired.engine_ms,
    )


def log_without_text(what: str, error: BaseException) -> None:
    """Logs where an error came from but not its message, which may quote the user's code."""
    log.error("%s: %s\n%s", what, type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
