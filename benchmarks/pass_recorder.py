"""What requests cost on this machine: their passes, how long each took, and what happens around the worker.

The passes are those of the engine's own model in this process, with the engine's threads and compiled layers, request
after request in the order of the load benchmark, so that prompts are found in the prefix cache as there; then several
side by side. Between two requests it is idle for a moment, as a server is whose users type: back to back the same
requests take a fifth less (warm caches, an awake processor). What the host does for a pass is what is left with a
network of next to nothing. Left out: the queue.
"""

import asyncio
import dataclasses
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import msgspec

from benchmarks.load import ANSWER_S, Engine
from benchmarks.pass_model import Timed, fit
from benchmarks.queue_simulation import Need, Pass
from model.engine import api
from model.evaluation.options import EvalError

if TYPE_CHECKING:
    from model.engine.course import Course
    from model.engine.generation import ResidentModel

IDLE_S = 0.15
MAX_PASSES = 64
"""Of a request; a network of nothing never ends by itself."""


class Recorder:
    """Runs requests without a queue and keeps what each pass took."""

    def __init__(self, resident: "ResidentModel") -> None:
        self.timed: list[Timed] = []
        self._resident = resident
        self._loop = asyncio.new_event_loop()  # a job wants one; nothing runs on it

    def need(self, request: api.DenoiseRequest, idle_s: float = 0.0) -> Need:
        """Runs one request alone, after a pause."""
        time.sleep(idle_s)
        ((need, course),) = self._opened([request])
        passes: list[Pass] = []
        while not course.has_ended and len(passes) < MAX_PASSES:
            passes.append(_next(course))
            self._run([course])
        course.close()
        return msgspec.structs.replace(need, passes=tuple(passes))

    def together(self, requests: Sequence[api.DenoiseRequest]) -> None:
        """Runs them side by side, after a pause."""
        time.sleep(IDLE_S)
        going = [course for _, course in self._opened(requests)]
        opened = list(going)
        for _ in range(MAX_PASSES):
            self._run(going)
            going = [course for course in going if not course.has_ended]
            if not going:
                break
        for course in opened:
            course.close()

    def _opened(self, requests: Sequence[api.DenoiseRequest]) -> "list[tuple[Need, Course]]":
        from model.engine.job import Job

        opened = []
        for request in requests:
            begun_s = time.perf_counter()
            course = self._resident.open(Job(request, self._loop))
            opened.append((Need((time.perf_counter() - begun_s) * 1000, ()), course))
        return opened

    def _run(self, courses: "Sequence[Course]") -> None:
        """The next pass of each; what runs ahead of it in pieces, as the scheduler would have it."""
        most = self._resident.limits.max_ahead
        for course in courses:
            while course.next_rows[0] > most:
                self._timed([(course, most)])
        self._timed([(course, 0) for course in courses])

    def _timed(self, parts: "Sequence[tuple[Course, int]]") -> None:
        shapes = []
        for course, num_ahead in parts:
            planned = _next(course)
            shapes.append(planned._replace(num_ahead=num_ahead, num_rows=0) if num_ahead else planned)
        begun_s = time.perf_counter()
        self._resident.iterate(parts)
        for course, _ in parts:
            course.take()
        self.timed.append(Timed((time.perf_counter() - begun_s) * 1000, tuple(shapes)))
        for course, _ in parts:
            if course.error is not None:
                raise course.error


def _next(course: "Course") -> Pass:
    return Pass(*course.next_rows, int(course.steps[0].cache.lengths_B[0]))


def load(checkpoint: Path) -> "ResidentModel":
    """The engine's model, with its compiled layers where there are any. EvalError for a checkpoint that is none."""
    from model.checkpoints.load import CheckpointError
    from model.engine.compiling import BackgroundCompile
    from model.engine.generation import load_resident

    try:
        resident = load_resident(checkpoint, device="cpu", report=lambda share, sentence: None)
    except CheckpointError as error:
        raise EvalError(str(error)) from None
    compiling = BackgroundCompile(delay_s=0)
    compiling.start(resident.network, checkpoint)
    compiling.wait()
    if resident.network.compiled is None:
        print("# there are no compiled layers on this machine", file=sys.stderr)
    return resident


def host_ms(checkpoint: Path, requests: Sequence[api.DenoiseRequest], many: int = 8) -> tuple[float, float]:
    """What a pass costs the host, and each sequence in it: with a network that computes next to nothing."""
    import torch

    from model.checkpoints.load import load_checkpoint
    from model.engine.generation import ResidentModel
    from model.network.transformer import Transformer

    whole = load_checkpoint(checkpoint)
    shape = msgspec.structs.replace(
        whole.preset.network, num_layers=1, d_model=16, num_heads=1, num_kv_heads=1, d_head=16, d_ff=16
    )
    preset = msgspec.structs.replace(whole.preset, network=shape)
    thin = dataclasses.replace(whole, network=Transformer(shape).eval(), preset=preset)
    recorder = Recorder(ResidentModel(thin, torch.device("cpu"), torch.float32))
    for low in range(0, len(requests) - many + 1, many):
        recorder.need(requests[low])
        recorder.together(requests[low : low + many])
    found = fit(recorder.timed)
    return found.one_pass, found.sequence


class Answered(NamedTuple):
    """What one request took for its client, and by the engine's own clock."""

    client_ms: float
    engine_ms: float


def answered(
    checkpoint: Path, first: Sequence[api.DenoiseRequest], requests: Sequence[api.DenoiseRequest]
) -> list[Answered]:
    """The requests one after another, through the socket of an engine of its own that has answered `first` before."""
    with tempfile.TemporaryDirectory(prefix="seedling-") as folder:
        engine = Engine(Path(folder), checkpoint)
        try:
            engine.wait()
            transport = httpx.HTTPTransport(uds=str(engine.socket))
            with httpx.Client(transport=transport, base_url="http://seedling", timeout=ANSWER_S) as client:
                for request in first:
                    _ask(client, request)
                return [_ask(client, request, IDLE_S) for request in requests]
        finally:
            engine.stop()


def _ask(client: httpx.Client, request: api.DenoiseRequest, idle_s: float = 0.0) -> Answered:
    time.sleep(idle_s)
    begun_s = time.perf_counter()
    answer = client.post("/v1/denoise", content=msgspec.json.encode(request))
    took_ms = (time.perf_counter() - begun_s) * 1000
    last = api.decode_event(answer.content.splitlines()[-1])
    if not isinstance(last, api.Done):
        raise EvalError(f"the engine did not answer a request of the trace ({last})")
    return Answered(took_ms, last.engine_ms)
