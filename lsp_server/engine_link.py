"""The language server's view of its engine: absent, loading, ready, offline or failed; and the questions to it.

Finding, launching, restarting and giving up are engine_client's business; this module decides *when* it tries: once
after `initialized`, when a running engine is lost, and when somebody asks for a completion by hand while there is none.
It tries in one background task, so no request waits for a start. An engine on another machine that cannot be reached is
*offline*: it is tried again by itself, ever more rarely, and an engine of our own stands in for it meanwhile where the
user wants that. Left out: telling the editor (handlers/status.py).
"""

import asyncio
import contextlib
import importlib
import logging
import math
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast

import msgspec

from lsp_server.engine_client.backoff import delays_s
from lsp_server.engine_client.errors import EngineUnavailable
from lsp_server.log import stack_without_values
from lsp_server.outcome import Reason
from model.engine import api

if TYPE_CHECKING:
    from lsp_server.engine_client.client import EngineClient

log = logging.getLogger("seedling.engine")

T = TypeVar("T")
OnProgress = Callable[[api.Health], None]

# The engine honours its deadline within one step; beyond this the engine, not the model, is what is slow.
GRACE_MS = 1_500.0
END_OF_STREAM_S = 1.0
STAND_IN_STAYS_S = 10.0  # after the wanted engine has come back, for what the stand-in is still answering

# Codes of error events that mean a reason of their own; an edit that is not finished in time has no text at all.
_REASONS = {
    "loading": Reason.LOADING,
    "deadline": Reason.DEADLINE,
    "cancelled": Reason.CANCELLED,
    "no_answer": Reason.NO_CODE,
    "queue_full": Reason.BUSY,
    "too_many": Reason.BUSY,
}


_AGAIN = "Looking for the engine again."
_READY = "Ready."


class EngineState(msgspec.Struct, frozen=True, kw_only=True):
    """`sentence` is for people; `capabilities` are there exactly when the engine is ready.

    is_stand_in: it is our own engine, while the one that is wanted is offline. completes_only: it is another server
    than an engine of ours. is_metered: each question to it costs money.
    """

    kind: Literal["absent", "loading", "ready", "offline", "failed"] = "absent"
    sentence: str = ""
    progress: float = 0.0
    capabilities: api.Capabilities | None = None
    is_stand_in: bool = False
    completes_only: bool = False
    is_metered: bool = False


class ConnectModule(Protocol):
    """lsp_server.engine_client.connect, which is imported late."""

    async def connect(self, *, launch: bool = True, on_progress: OnProgress | None = None) -> "EngineClient": ...

    async def connect_own(self, *, on_progress: OnProgress | None = None) -> "EngineClient": ...

    def stands_in_for_remote(self) -> bool: ...


class EngineTrouble(Exception):
    """The engine gave no answer; `reason` is the outcome's, the text a sentence."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class EngineLink:
    """Owns the engine client. All methods run on the loop thread; `on_change` is called there with every new state."""

    def __init__(self, on_change: Callable[[EngineState], None]) -> None:
        self.state = EngineState()
        self._on_change = on_change
        # Kept when the engine dies: the client remembers crashes, and with them when to stop trying.
        self._client: EngineClient | None = None
        self._stand_in: EngineClient | None = None
        self._attempt = asyncio.Lock()
        self._retrying: asyncio.Task[None] | None = None
        self._reaching: asyncio.Task[None] | None = None
        self._endings: set[asyncio.Task[None]] = set()
        self._pausing: asyncio.TimerHandle | None = None
        self._closed = False

    def start(self) -> None:
        """Begins to reach for the engine in the background, unless it is ready or that is under way."""
        if self._closed or self._reaching is not None or self.state.kind == "ready":
            return
        sentence = "Starting the engine." if self._client is None else _AGAIN
        self._set(EngineState(kind="loading", sentence=sentence))
        self._reaching = asyncio.ensure_future(self._reach())

    async def ask(
        self, request: api.DenoiseRequest, on_progress: Callable[[api.Progress], None] | None = None
    ) -> list[api.Done]:
        """The engine's `n` answers. Raises EngineTrouble. Cancelling this coroutine cancels the request in the engine.

        Where the engine fails between two answers, those that came are returned.
        """
        return await self._asked(request.deadline_ms, lambda client: self._answers(client, request, on_progress))

    async def repair(self, request: api.RepairRequest) -> list[api.Finding]:
        """What the engine finds, the surest first. Raises EngineTrouble; cancelling cancels, as with `ask`.

        Where the engine fails in the middle nothing is returned: half of the alternatives is no choice.
        """
        return await self._asked(request.deadline_ms, lambda client: self._findings(client, request))

    async def _asked(self, deadline_ms: float | None, work: Callable[["EngineClient"], Awaitable[T]]) -> T:
        client = self._stand_in or self._client
        if client is None or self.state.kind != "ready":
            reason = Reason.LOADING if self.state.kind == "loading" else Reason.NO_ENGINE
            raise EngineTrouble(reason, self.state.sentence)
        limit_s = None if deadline_ms is None else (deadline_ms + GRACE_MS) / 1000
        try:
            async with asyncio.timeout(limit_s):
                return await work(client)
        except TimeoutError:
            await self._check_alive(client)
            raise EngineTrouble(Reason.DEADLINE, "The engine did not answer in time.") from None
        except EngineUnavailable as error:
            log.warning("%s: %s", error.reason, error.sentence)
            self._lose()
            raise EngineTrouble(Reason.NO_ENGINE, error.sentence) from None
        except EngineTrouble:
            raise
        except Exception as error:
            # Closing a stream that breaks in the same moment raises what no HTTP library documents (RuntimeError).
            log.error("asking the engine failed: %s", stack_without_values(error))
            raise EngineTrouble(
                Reason.ENGINE_ERROR, f"The engine could not be asked ({type(error).__name__})."
            ) from None

    async def close(self) -> None:
        """Lets the engine go; it ends itself when nobody has used it for a while."""
        self._closed = True
        if self._pausing is not None:
            self._pausing.cancel()
        tasks = [task for task in (self._reaching, self._retrying, *self._endings) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        clients, self._client, self._stand_in = (self._client, self._stand_in), None, None
        for client in clients:
            if client is not None:
                await client.close()

    async def _findings(self, client: "EngineClient", request: api.RepairRequest) -> list[api.Finding]:
        found: list[api.Finding] = []
        async with contextlib.aclosing(client.repair(request)) as events:
            async for event in events:
                if isinstance(event, api.Finding):
                    found.append(event)
                elif isinstance(event, api.Error):
                    raise _trouble_of(event)
                elif not found and event.reason == "deadline":
                    raise EngineTrouble(Reason.DEADLINE, "The engine found nothing before its deadline.")
                else:
                    return found
        raise EngineTrouble(Reason.ENGINE_ERROR, "The engine ended its answer early.")

    async def _answers(
        self,
        client: "EngineClient",
        request: api.DenoiseRequest,
        on_progress: Callable[[api.Progress], None] | None,
    ) -> list[api.Done]:
        events = cast(AsyncGenerator[api.Event, None], client.denoise(request))
        answers: list[api.Done] = []
        try:
            async for event in events:
                if isinstance(event, api.Progress) and on_progress is not None:
                    on_progress(event)
                elif isinstance(event, api.Done):
                    answers.append(event)
                    answers.sort(key=lambda done: done.index)  # they are written side by side
                    if len(answers) == request.n:
                        return answers
                elif isinstance(event, api.Error):
                    if answers:
                        return answers
                    raise _trouble_of(event)
        finally:
            if len(answers) == request.n:
                self._read_to_end(events)
            else:
                await events.aclose()
        if answers:
            return answers
        raise EngineTrouble(Reason.ENGINE_ERROR, "The engine ended its answer early.")

    def _read_to_end(self, events: AsyncGenerator[api.Event, None]) -> None:
        """Reads what follows the answer: the end of the stream. Closing it before that would cost its connection."""

        async def read() -> None:
            with contextlib.suppress(TimeoutError, EngineUnavailable):
                async with contextlib.aclosing(events), asyncio.timeout(END_OF_STREAM_S):
                    async for _ in events:
                        pass

        self._end_with(read())

    def _end_with(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` until it or the link ends."""
        task = asyncio.ensure_future(work)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _check_alive(self, client: "EngineClient") -> None:
        try:
            await client.health()
        except EngineUnavailable as error:
            log.warning("%s: %s", error.reason, error.sentence)
            self._lose()
        except Exception as error:  # whoever asks has waited long enough: it learns that, and nothing of this
            log.error("asking the engine how it is failed: %s", stack_without_values(error))

    def _lose(self) -> None:
        if self.state.kind == "ready":
            self._set(EngineState(kind="loading", sentence=_AGAIN))
            self.start()

    async def _reach(self) -> None:
        try:
            # httpx and what it pulls cost 0.1 s: in a thread, so that the editor is answered meanwhile.
            module = await asyncio.to_thread(importlib.import_module, "lsp_server.engine_client.connect")
            state = await self._reached(cast("ConnectModule", module))
        except Exception as error:
            log.error("reaching the engine failed", exc_info=error)
            state = EngineState(kind="failed", sentence=f"The engine could not be reached ({type(error).__name__}).")
        finally:
            self._reaching = None
        self._set(state)

    async def _reached(self, module: "ConnectModule") -> EngineState:
        try:
            return await self._wanted(module)
        except EngineUnavailable as error:
            log.warning("%s: %s", error.reason, error.sentence)
            if error.reason == "bad_token" and self._client is not None:
                client, self._client = self._client, None  # the next try reads the token anew
                await client.close()
            if error.reason != "offline":
                return EngineState(kind="failed", sentence=error.sentence)
            if self._retrying is None or self._retrying.done():
                self._retrying = asyncio.ensure_future(self._retry(module))
            return await self._without_wanted(module, error.sentence)

    async def _wanted(self, module: "ConnectModule") -> EngineState:
        """The engine that the user wants, ready. Raises EngineUnavailable."""
        async with self._attempt:
            if self._client is None:
                self._client = await module.connect(launch=True, on_progress=self._progress)
            client = self._client
            client.on_pause = self._pause_begun
            capabilities = await client.capabilities()
        if self._stand_in is not None:
            self._end_with(_close_later(self._stand_in))
            self._stand_in = None
        return EngineState(
            kind="ready",
            sentence=_READY,
            progress=1.0,
            capabilities=capabilities,
            completes_only=client.completes_only,
            is_metered=client.is_metered,
        )

    async def _without_wanted(self, module: "ConnectModule", sentence: str) -> EngineState:
        """Where that is offline: our own engine in its place, or nothing."""
        if not module.stands_in_for_remote():
            return EngineState(kind="offline", sentence=sentence)
        try:
            if self._stand_in is None:
                self._stand_in = await module.connect_own(on_progress=self._progress)
            capabilities = await self._stand_in.capabilities()
        except EngineUnavailable as error:
            log.warning("%s: %s", error.reason, error.sentence)
            return EngineState(kind="offline", sentence=f"{sentence} Nor does one of this machine: {error.sentence}")
        sentence = f"{sentence} An engine of this machine stands in for it."
        return EngineState(kind="ready", sentence=sentence, progress=1.0, capabilities=capabilities, is_stand_in=True)

    async def _retry(self, module: "ConnectModule") -> None:
        """Until the wanted engine is back, whoever got it back."""
        for delay_s in delays_s(random.random):
            await asyncio.sleep(delay_s)
            if self.state.kind == "ready" and not self.state.is_stand_in:
                return
            if self._reaching is None:
                try:
                    state = await self._wanted(module)
                except EngineUnavailable as error:
                    log.info("%s: %s", error.reason, error.sentence)
                else:
                    self._set(state)
                    return

    def _pause_begun(self, seconds: float) -> None:
        """A ready engine wants to be left alone for so long: said once, and taken back when it is asked again."""
        if self._pausing is not None:
            self._pausing.cancel()
        elif self.state.kind == "ready" and not self.state.is_stand_in:
            sentence = f"The engine has too much to do: it is asked again in {math.ceil(seconds)} s."
            self._set(msgspec.structs.replace(self.state, sentence=sentence))
        said = self.state
        self._pausing = asyncio.get_running_loop().call_later(seconds, self._pause_ended, said)

    def _pause_ended(self, said: EngineState) -> None:
        self._pausing = None
        if self.state is said and said.kind == "ready" and not said.is_stand_in:
            self._set(msgspec.structs.replace(said, sentence=_READY))

    def _progress(self, health: api.Health) -> None:
        if self._reaching is not None:
            self._set(EngineState(kind="loading", sentence=health.sentence, progress=health.progress))

    def _set(self, state: EngineState) -> None:
        if state != self.state:
            self.state = state
            if not self._closed:
                self._on_change(state)


def _trouble_of(error: api.Error) -> Exception:
    """A token that is no longer accepted is no matter of one request: the engine counts as lost."""
    if error.code == "wrong_token":
        return EngineUnavailable("bad_token", error.sentence)
    return EngineTrouble(_REASONS.get(error.code, Reason.ENGINE_ERROR), error.sentence)


async def _close_later(client: "EngineClient") -> None:
    try:
        await asyncio.sleep(STAND_IN_STAYS_S)
    finally:
        await client.close()
