"""An engine that answers from a cassette: what the real one once said to the same question, after the time it took.

It takes the place of the engine *client*, so that everything of the language server above it is the real thing: the
link with its states and time-outs too. A question is known by its meaning (prompt, canvas, stop, number of answers,
temperature), never by its id. Left out: making cassettes (scenario_recorder.py).
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec

from lsp_server.engine_client.errors import EngineUnavailable
from model.engine import api

HANG_S = 3_600.0
DEFAULT_CONFIDENCE = 0.95
DEFAULT_AFTER_MS = 40.0
MODES = ("recorded", "loading", "dead", "slow", "hung", "error", "dies")


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """One answer: what `api.Done` says, without what is the same in all or means nothing in a replay."""

    text: str
    reason: api.DoneReason
    confidence: float
    engine_ms: float
    num_tokens: int = 0


class Cassette(msgspec.Struct, frozen=True):
    """What the recorded engine can do, and its replies by the key of the question."""

    capabilities: api.Capabilities
    replies: dict[str, tuple[Reply, ...]]


def read_cassette(path: Path) -> Cassette:
    """The cassette at `path`."""
    return msgspec.json.decode(path.read_bytes(), type=Cassette)


def write_cassette(cassette: Cassette, path: Path) -> None:
    """Writes one question a line, sorted, so that a new recording shows what changed."""
    lines = [f'"{key}":{msgspec.json.encode(replies).decode()}' for key, replies in sorted(cassette.replies.items())]
    head = msgspec.json.encode(cassette.capabilities).decode()
    body = ",\n".join(lines)
    path.write_text(f'{{"capabilities":{head},\n"replies":{{\n{body}\n}}}}\n', "utf-8")


def key_of(request: api.DenoiseRequest) -> str:
    """The name of what is asked."""
    meaning = (
        request.prompt,
        request.canvas,
        request.boundaries,
        request.stop,
        request.n,
        request.seed,
        request.temperature,
        request.top_p,
        request.max_steps,
    )
    return hashlib.sha256(msgspec.json.encode(meaning)).hexdigest()[:24]


class ReplayEngine:
    """Stands in for EngineClient, and for the function that connects one. Loop thread only.

    `misses` holds what the cassette does not know; such a question is never answered, and whoever drives the replay
    ends it.
    """

    completes_only = False
    is_metered = False

    def __init__(self, cassette: Cassette, mode: str = "recorded") -> None:
        self._cassette = cassette
        self.mode = mode
        self.slow_ms = 0.0
        self.own_replies: tuple[Reply, ...] = ()
        self.asked: list[api.DenoiseRequest] = []
        self.used_keys: set[str] = set()
        self.misses: dict[str, api.DenoiseRequest] = {}
        self.num_running = 0

    async def connect(
        self, *, launch: bool = True, on_progress: Callable[[api.Health], None] | None = None
    ) -> "ReplayEngine":
        """As lsp_server.engine_client.connect.connect."""
        if self.mode == "dead":
            raise EngineUnavailable("launch_failed", "The engine ended at once.")
        if self.mode == "loading":
            if on_progress is not None:
                on_progress(await self.health())
            await asyncio.sleep(HANG_S)
        return self

    async def capabilities(self) -> api.Capabilities:
        return self._cassette.capabilities

    async def health(self) -> api.Health:
        return api.Health(
            status="loading" if self.mode == "loading" else "ready",
            progress=0.5,
            sentence="Loading the model.",
            api=api.API_VERSION,
            version="0",
            model=self._cassette.capabilities.model,
            device=self._cassette.capabilities.device,
            pid=1,
            uptime_s=1.0,
        )

    async def denoise(self, request: api.DenoiseRequest) -> AsyncIterator[api.Event]:
        """The events of one request, each when it is due."""
        self.asked.append(request)
        self.num_running += 1
        started_s = asyncio.get_running_loop().time()
        try:
            if self.mode == "dies":
                raise EngineUnavailable("crashed", "The engine went away while it answered.")
            if self.mode == "error":
                yield api.Error(code="internal", sentence="The engine cannot do that.")
                return
            replies = () if self.mode == "hung" else self._replies(request)
            if not replies:
                await asyncio.sleep(HANG_S)
            for index, reply in enumerate(sorted(replies, key=lambda reply: reply.engine_ms)):
                due_ms = reply.engine_ms + self.slow_ms
                if request.deadline_ms is not None and due_ms > request.deadline_ms:
                    due_ms, reply = request.deadline_ms, _cut(reply)
                await asyncio.sleep(max(0.0, started_s + due_ms / 1000 - asyncio.get_running_loop().time()))
                yield self._done(reply, index)
        finally:
            self.num_running -= 1

    async def cancel(self, request_id: str) -> None:
        """Nothing: closing the events ends a request."""

    async def close(self) -> None:
        """Nothing is held."""

    def _replies(self, request: api.DenoiseRequest) -> Sequence[Reply]:
        if self.own_replies:
            first, *others = self.own_replies
            return [first] if request.n == 1 else [*others, *[first] * request.n][: request.n]
        key = key_of(request)
        self.used_keys.add(key)
        if key not in self._cassette.replies:
            self.misses[key] = request
            return ()
        return self._cassette.replies[key]

    def _done(self, reply: Reply, index: int) -> api.Done:
        return api.Done(
            text=reply.text,
            reason=reply.reason,
            confidence=reply.confidence,
            steps=1,
            forwards=1,
            num_tokens=reply.num_tokens,
            prompt_tokens=0,
            cached_tokens=0,
            model=self._cassette.capabilities.model,
            device=self._cassette.capabilities.device,
            engine_ms=reply.engine_ms,
            index=index,
        )


def _cut(reply: Reply) -> Reply:
    """What the engine has at the deadline, if the answer takes longer: nothing, which is the worst it may have."""
    return msgspec.structs.replace(reply, text="", reason="deadline", confidence=0.0)
