"""One scenario from beginning to end: server, editor, clock and engine put together, and what came of it.

Left out: many of them, tables and baselines (manners.py), and what the steps do (scenario_steps.py).
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import msgspec

from benchmarks.scenario import Kind, Scenario
from benchmarks.scenario_clock import JumpingLoop, clock_of
from benchmarks.scenario_editor import Editor
from benchmarks.scenario_engine import Cassette, ReplayEngine
from benchmarks.scenario_steps import Failed, Missing, Player
from lsp_server.engine_client import connect
from lsp_server.handlers import lifecycle
from lsp_server.server import SeedlingServer
from model.engine import api

RECORD_AGAIN = "record again with ./dev bench manners --record"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """`answer` is the last outcome's name, `failure` why the scenario failed (empty where it passed).

    shown: ghost text was there wherever the scenario expects some, whatever it said.
    """

    name: str
    kind: Kind
    shown: bool
    answer: str
    confidence: float | None
    failure: str
    misses: dict[str, api.DenoiseRequest]
    used_keys: frozenset[str]

    @property
    def passed(self) -> bool:
        return not self.failure


def replay(scenario: Scenario, cassette: Cassette) -> Result:
    """Plays `scenario` against a fresh server."""
    engine = ReplayEngine(cassette, scenario.engine)
    with _alone(engine), asyncio.Runner(loop_factory=JumpingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, JumpingLoop)
        with clock_of(loop):
            return runner.run(_play(scenario, engine))


@contextmanager
def _alone(engine: ReplayEngine) -> Iterator[None]:
    """No engine but this one, no settings and no log of whoever runs this."""
    with tempfile.TemporaryDirectory(prefix="seedling-") as folder:
        own = {name: value for name, value in os.environ.items() if not name.startswith("SEEDLING_")}
        own |= {f"XDG_{kind}_HOME": folder for kind in ("CONFIG", "STATE", "CACHE", "DATA")}
        with (
            mock.patch.dict(os.environ, own, clear=True),
            mock.patch.object(connect, "connect", engine.connect),
            mock.patch.object(lifecycle, "log_to_file", mock.Mock()),
        ):
            yield


async def _play(scenario: Scenario, engine: ReplayEngine) -> Result:
    server = SeedlingServer()
    server.session.switches.now_s = time.time  # its default is the clock that the import has seen
    editor = Editor(server, scenario.client)
    player = Player(editor, engine, scenario.files)
    failure = ""
    try:
        await editor.initialize()
        await player.begin()
        for step in scenario.steps:
            await player.play(step)
        await editor.leave()
        failure = "; ".join(editor.faults)
    except Missing:
        failure = f"the cassette does not hold what is asked: {RECORD_AGAIN}"
    except Failed as error:
        failure = str(error)
    finally:
        await server.session.close()
    return Result(
        name=scenario.name,
        kind=scenario.kind,
        shown=bool(player.was_shown) and all(player.was_shown),
        answer=editor.last_trace.get("reason", "not asked"),
        confidence=editor.last_trace.get("confidence"),
        failure=failure,
        misses=engine.misses,
        used_keys=frozenset(engine.used_keys),
    )
