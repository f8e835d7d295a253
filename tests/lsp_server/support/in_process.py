"""A server in this process, and a client of it: no pipe, no second process, so a test costs milliseconds.

Bytes still pass the server's own framing and JSON. Left out: what only a process has (its streams, its exit status).
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from capabilities import capabilities
from raw_client import RawClient

from lsp_server.engine_link import EngineState
from lsp_server.server import SeedlingServer
from lsp_server.transport import Framer
from model.engine import api


class InProcess(RawClient):
    """`RawClient` whose server is an object. `server` may be looked into; `close` ends it."""

    def __init__(self) -> None:
        self.server = SeedlingServer()
        self._framer = Framer()
        reader = asyncio.StreamReader(limit=2**24)
        self.server.protocol.set_writer(_Writer(reader.feed_data))  # pyright: ignore[reportArgumentType]
        super().__init__(None, reader, None)  # pyright: ignore[reportArgumentType]

    def send_bytes(self, data: bytes) -> None:
        for body in self._framer.feed(data):
            self.server.protocol.receive(body)

    def outcomes(self) -> list[str]:
        """The reasons (or "shown", …) of all completions so far; the client must have asked for traces."""
        return [note["reason"] for note in self._traces()]

    def _traces(self) -> list[dict[str, Any]]:
        traces = [note["params"]["message"] for note in self.notifications if note["method"] == "$/logTrace"]
        return [json.loads(trace) for trace in traces]

    async def close(self) -> None:
        await self.server.session.close()
        self._reading.cancel()


class _Writer:
    def __init__(self, feed: Callable[[bytes], None]) -> None:
        self.write = feed

    def close(self) -> None:
        """Nothing to close."""


class InstantEngine:
    """In place of the engine link: ready at once, and answers at once. `text` is what, `prompts` what was asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.prompts: list[api.Prompt] = []
        model = capabilities(model="instant", context_tokens=100_000)
        self.state = EngineState(kind="ready", sentence="Ready.", progress=1.0, capabilities=model)

    def start(self) -> None:
        """It has started."""

    async def ask(self, request: api.DenoiseRequest) -> list[api.Done]:
        self.prompts.append(request.prompt)
        figures: dict[str, Any] = {"steps": 1, "forwards": 1, "num_tokens": 1, "prompt_tokens": 1, "cached_tokens": 1}
        done = api.Done(
            text=self.text, reason="stop", confidence=1.0, model="instant", device="none", engine_ms=1.0, **figures
        )
        return [done] * request.n

    async def close(self) -> None:
        """Nothing to let go."""
