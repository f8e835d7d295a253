"""Recording a cassette: the real engine answers what the scenarios ask.

A scenario is replayed until it asks something that the cassette does not hold; that question goes to the engine, and
the scenario begins anew. So the clock that jumps never meets the engine's. Each question is asked twice and the second
time is kept: while somebody types, the prompt before it is in the engine's cache. There is no deadline in a recording:
the replay keeps to it with the recorded time. Left out: hand-made replies, which need no engine.
"""

import asyncio
import os
import tempfile
from collections.abc import Callable

import msgspec

from benchmarks.replay_scenario import replay
from benchmarks.scenario import Scenario
from benchmarks.scenario_engine import Cassette, Reply
from lsp_server.engine_client.client import EngineClient
from lsp_server.engine_client.connect import connect
from lsp_server.engine_client.control import stop
from model.engine import api

MAX_ROUNDS = 400


def record(scenarios: list[Scenario], say: Callable[[str], None]) -> Cassette:
    """A cassette that holds exactly what the scenarios ask now, as the default engine answers it."""
    with tempfile.TemporaryDirectory(prefix="seedling-") as folder, asyncio.Runner() as runner:
        os.environ.setdefault("SEEDLING_RUNTIME_DIR", folder)
        is_own_engine = "SEEDLING_ENGINE" not in os.environ and os.environ["SEEDLING_RUNTIME_DIR"] == folder
        client = runner.run(connect())
        try:
            cassette = Cassette(runner.run(client.capabilities()), {})
            used_keys: set[str] = set()
            for scenario in scenarios:
                cassette = _with_answers(cassette, scenario, runner, client)
                used_keys |= replay(scenario, cassette).used_keys
                say(f"{scenario.name}: {len(used_keys)} questions so far")
            # What was asked only because an answer before it was missing goes.
            return Cassette(cassette.capabilities, {key: cassette.replies[key] for key in sorted(used_keys)})
        finally:
            runner.run(client.close())
            if is_own_engine:
                stop()


def _with_answers(cassette: Cassette, scenario: Scenario, runner: asyncio.Runner, client: EngineClient) -> Cassette:
    for _ in range(MAX_ROUNDS):
        misses = replay(scenario, cassette).misses
        if not misses:
            break
        new = {key: runner.run(_ask_twice(client, request)) for key, request in misses.items()}
        cassette = Cassette(cassette.capabilities, {**cassette.replies, **new})
    return cassette


async def _ask_twice(client: EngineClient, request: api.DenoiseRequest) -> tuple[Reply, ...]:
    unhurried = msgspec.structs.replace(request, deadline_ms=None, want_progress=False)
    await _ask(client, msgspec.structs.replace(unhurried, id=f"{request.id}-first"))
    return await _ask(client, unhurried)


async def _ask(client: EngineClient, request: api.DenoiseRequest) -> tuple[Reply, ...]:
    replies = []
    async for event in client.denoise(request):
        if isinstance(event, api.Error):
            raise RuntimeError(f"the engine refused a question: {event.sentence}")
        if isinstance(event, api.Done):
            time_ms = round(event.engine_ms, 1)
            replies.append(Reply(event.text, event.reason, round(event.confidence, 4), time_ms, event.num_tokens))
    return tuple(replies)
