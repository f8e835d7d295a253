"""An editor with one document and an engine that answers as it is told, around a real session, without a server."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from capabilities import capabilities

from lsp_server.engine_link import EngineLink, EngineState, EngineTrouble
from lsp_server.handlers.answering import complete
from lsp_server.outcome import Outcome
from lsp_server.session import Session
from lsp_server.snapshot import Change
from lsp_server.wire import Changed, CompletionRequest, Opened
from model.engine import api

URI = "file:///w/a.py"


class Engine:
    """Takes the place of an engine link. `texts` are what it answers, in turn; `gate` holds answers back."""

    def __init__(self, *texts: str) -> None:
        self.state = EngineState(kind="ready", capabilities=capabilities(complete=("line",)))
        self.texts = list(texts)
        self.requests: list[api.DenoiseRequest] = []
        self.num_cancelled = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.trouble: EngineTrouble | None = None
        self.confidence_of_more = 0.8

    async def ask(self, request: api.DenoiseRequest) -> list[api.Done]:
        self.requests.append(request)
        texts = [self.texts.pop(0) if self.texts else "answer" for _ in range(request.n)]
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.num_cancelled += 1
            raise
        if self.trouble is not None:
            raise self.trouble
        confidence = 0.9 if request.n == 1 else self.confidence_of_more
        return [done(text, index, confidence) for index, text in enumerate(texts)]

    async def close(self) -> None:
        pass


def done(text: str, index: int, confidence: float) -> api.Done:
    return api.Done(
        text=text,
        reason="stop",
        confidence=confidence,
        steps=1,
        forwards=2,
        num_tokens=1,
        prompt_tokens=9,
        cached_tokens=8,
        model="m",
        device="cpu",
        engine_ms=5.0,
        index=index,
    )


class Editor:
    """An editor with one document, whose cursor stands at the `|`."""

    def __init__(self, engine: Engine, text: str = "x = |\n") -> None:
        self.engine = engine
        self.session = Session(cast(EngineLink, engine))
        self.traces: list[str] = []
        status = SimpleNamespace(answered=lambda uri, outcome: None)
        self._server = cast(Any, SimpleNamespace(session=self.session, trace=self.traces.append, status=status))
        self._version = 1
        before, _, after = text.partition("|")
        self._position = (before.count("\n"), len(before) - before.rfind("\n") - 1)
        self.session.open(Opened(URI, "python", 1, before + after))

    def write(self, text: str) -> None:
        """Replaces the whole document; the `|` is the cursor."""
        before, _, after = text.partition("|")
        self._position = (before.count("\n"), len(before) - before.rfind("\n") - 1)
        self._version += 1
        self.session.change(Changed(URI, self._version, (Change(before + after),)))

    def ask(self, trigger_kind: int = 2, **more) -> asyncio.Task[Outcome]:
        request = CompletionRequest(uri=URI, position=self._position, trigger_kind=trigger_kind, **more)
        return asyncio.ensure_future(complete(self._server, URI, *self.session.arrive(request)))

    async def texts(self, text: str, trigger_kind: int = 2) -> list[str]:
        self.write(text)
        return [item.text for item in (await self.ask(trigger_kind)).items]


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.002)


class VirtualTime(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer when nothing else is to be done."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 1_000.0

    def time(self) -> float:
        return self._now_s

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # pyright: ignore[reportAttributeAccessIssue]
            self._now_s = max(self._now_s, self._scheduled[0].when())  # pyright: ignore[reportAttributeAccessIssue]
        super()._run_once()  # pyright: ignore[reportAttributeAccessIssue]
