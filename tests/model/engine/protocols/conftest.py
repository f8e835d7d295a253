"""The engine's app on a loopback socket, over a model that writes what the test says."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import trustme
import uvicorn

from model.engine import api
from model.engine.app import EngineInfo, make_app
from model.engine.guard import GuardSettings
from model.engine.job import Job
from model.engine.lifecycle import Lifecycle
from model.engine.runner import Runner
from model.engine.scheduler import Limits
from model.engine.tokens import single_token

PIECE_CHARS = 3


class Scripted:
    """A resident without a network: writes `text(request, index)` in pieces, until it is asked to stop."""

    def __init__(self) -> None:
        self.capabilities = api.Capabilities(
            api=api.API_VERSION,
            model="scripted",
            device="cpu",
            languages=("python",),
            complete=("line", "block"),
            rewrite="none",
            fix=False,
            mend=False,
            next_edit=False,
            context_tokens=2048,
        )
        self.prefix_cache = None
        self.requests: list[api.DenoiseRequest] = []
        self.ends: list[str] = []
        self.text: Callable[[api.DenoiseRequest, int], str] = lambda request, index: f"answer {index}"
        self.error: api.Error | None = None
        self.is_endless = False
        self.is_silent = False

    limits, sequence_bytes = Limits(), 1

    def open(self, job: Job) -> "ScriptedCourse":
        return ScriptedCourse(self.run(job))

    def iterate(self, parts) -> None:
        for course, _ in parts:
            course.go_on()

    def run(self, job: Job) -> Iterator[api.Event]:
        request = job.request
        assert isinstance(request, api.DenoiseRequest)
        self.requests.append(request)
        if self.error is not None:
            yield self.error
            return
        writing = [self._alternative(job, request, index) for index in reversed(range(request.n))]
        while writing:  # side by side, an event of each in turn; which is first nobody may rely on
            for alternative in list(writing):
                event = next(alternative, None)
                if event is None:
                    writing.remove(alternative)
                else:
                    yield event

    def _alternative(self, job: Job, request: api.DenoiseRequest, index: int) -> Iterator[api.Event]:
        text, written, reason = self.text(request, index), "", "eom"
        while written != text or self.is_endless:
            if job.expired() is not None:
                reason = job.expired()
                break
            piece = text[len(written) :][:PIECE_CHARS] if not self.is_endless else text
            written += piece
            if self.is_endless:
                time.sleep(0.002)  # a network takes its time, too: the event loop must get its turn
            if not self.is_silent:
                yield api.Committed(text=piece, index=index)
        self.ends.append(reason)
        scores = (
            () if request.logprobs is None else [(char, {"z": -2.0} if request.logprobs else {}) for char in written]
        )
        yield api.Done(
            text=written,
            reason=reason,
            confidence=0.5 + index / 100,
            steps=1,
            forwards=2,
            num_tokens=len(written),
            prompt_tokens=10,
            cached_tokens=4,
            model="scripted",
            device="cpu",
            engine_ms=20.0,
            index=index,
            tokens=tuple(api.TokenScore(text=char, logprob=-1.0, top=top) for char, top in scores),
        )


class ScriptedCourse:
    """A script as the engine's iterations take it: an event each."""

    error = None
    next_rows = (0, 1)

    def __init__(self, events: Iterator[api.Event]) -> None:
        self._events, self._taken, self.has_ended = events, [], False

    def go_on(self) -> None:
        event = next(self._events, None)
        self._taken += [] if event is None else [event]
        self.has_ended = event is None

    def interrupt(self, reason: str) -> None:
        self._taken += list(self._events)  # the script sees by itself that its time is over
        self.has_ended = True

    def take(self) -> list[api.Event]:
        taken, self._taken = self._taken, []
        return taken

    def close(self) -> None:
        pass


class Served:
    """The app and how to reach it."""

    token = "a-secret-of-this-test"

    def __init__(self, resident) -> None:
        self.resident = resident
        self.life = Lifecycle(idle_s=60, stop=lambda: None)
        self.runner = Runner(
            lambda report: resident,
            on_loading=self.life.set_loading,
            on_ready=self.life.set_ready,
            on_failed=self.life.set_failed,
        )
        self.listener = socket.create_server(("127.0.0.1", 0))
        port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        guard = GuardSettings(
            hosts=frozenset({f"127.0.0.1:{port}"}), tokens=single_token(self.token), max_body_bytes=200_000
        )
        self.app = make_app(self.runner, self.life, EngineInfo(version="1.2.3", model="m", device="cpu"), guard)

    def http(self, **options) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, **options)


@contextlib.asynccontextmanager
async def serving(served: Served, tls: ssl.SSLContext | None = None):
    config = uvicorn.Config(served.app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, access_log=False)
    config.load()
    config.ssl = tls
    server = uvicorn.Server(config)
    running = asyncio.ensure_future(server._serve(sockets=[served.listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await running


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
async def cold(scripted):
    """Listening, but nothing is loaded yet."""
    served = Served(scripted)
    async with serving(served):
        yield served
    if served.runner._thread.is_alive():
        served.runner.stop()


@pytest.fixture
async def served(cold, until):
    cold.runner.start()
    await until(lambda: cold.life.status == "ready")
    return cold


@pytest.fixture
async def served_by_tls(scripted, until):
    """(the app behind TLS, what a client trusts it by)."""
    authority = trustme.CA()
    tls, verify = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.configure_trust(verify)
    served = Served(scripted)
    served.url = served.url.replace("http:", "https:")
    async with serving(served, tls):
        served.runner.start()
        await until(lambda: served.life.status == "ready")
        yield served, verify
        served.runner.stop()


@pytest.fixture
async def served_tiny(resident, until):
    """Over the real, if untrained, network."""
    served = Served(resident)
    async with serving(served):
        served.runner.start()
        await until(lambda: served.life.status == "ready")
        yield served
        served.runner.stop()
