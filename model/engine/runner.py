"""The one worker thread that owns network and caches, and the door to it.

What waits and what runs together is the scheduler's (scheduler.py), each iteration is run by iterations.py. Events
travel to the event loop by `call_soon_threadsafe`. This file imports no torch: the engine answers `/health` while the
worker imports it. Left out: what a request computes (generation.py, repairs.py), HTTP (app.py).
"""

import asyncio
import threading
import time
from collections.abc import Callable

from model.engine import api
from model.engine.freed_memory import EVERY, give_back
from model.engine.iterations import Iterations, PrefixFigures, Resident, log, log_without_text
from model.engine.job import Job
from model.engine.scheduler import Bounds


class Runner:
    """Owns the worker. `load(report)` builds the resident in it; `report(progress, sentence)` tells how far that is."""

    def __init__(
        self,
        load: Callable[[Callable[[float, str], None]], Resident],
        *,
        on_loading: Callable[[float, str], None],
        on_ready: Callable[[], None],
        on_failed: Callable[[str], None],
        bounds: Bounds | None = None,
    ) -> None:
        self.capabilities: api.Capabilities | None = None
        self._resident: Resident | None = None
        self._load = load
        self._on_loading, self._on_ready, self._on_failed = on_loading, on_ready, on_failed
        self._jobs: dict[str, list[Job]] = {}
        self._changed = threading.Condition()
        self._iterations = Iterations(bounds or Bounds(), self._changed)
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="seedling-worker", daemon=True)

    @property
    def num_waiting(self) -> int:
        return self._iterations.num_waiting

    @property
    def prefix_cache(self) -> PrefixFigures | None:
        """None until the model is loaded."""
        return self._resident.prefix_cache if self._resident else None

    def start(self) -> None:
        self._thread.start()

    def submit(
        self,
        request: api.DenoiseRequest | api.RepairRequest,
        loop: asyncio.AbstractEventLoop,
        client: str = "",
        editor: str = "",
    ) -> Job:
        """Queues a request. Raises QueueFull (scheduler.py)."""
        job = Job(request, loop, client=client, editor=editor)
        with self._changed:
            self._iterations.add(job)
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
            self._iterations.leave(job)

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
            self._iterations.begin(resident)
        except Exception as error:
            self._fail(error)
            return
        self._resident = resident
        self.capabilities = resident.capabilities
        log.info("ready after %.2f s: %s", time.monotonic() - started_s, resident.capabilities.model)
        self._on_ready()
        num_passes = 0
        while True:
            if num_passes >= EVERY:
                give_back()
                num_passes = 0
            with self._changed:
                while self._iterations.is_idle and not self._stopping:
                    self._changed.wait()
            if self._stopping:
                self._iterations.end_expired()
                return
            self._iterations.run_one()
            num_passes += 1

    def _fail(self, error: Exception) -> None:
        # What is wrong with a checkpoint or a machine is written as a sentence; anything else is named by its type.
        sentence = getattr(error, "sentence", None)
        if isinstance(sentence, str):
            log.error("loading failed: %s", error)
        else:
            log_without_text("loading failed", error)
        self._on_failed(
            str(error)
            if isinstance(sentence, str)
            else f"The model could not be loaded ({type(error).__name__}: {error})."
        )
        self._iterations.refuse_all(api.Error(code="failed", sentence="The engine could not load its model."))
