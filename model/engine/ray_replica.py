"""One replica of the engine in a Ray Serve application: the app of app.py over a model of its own.

Source: Ray Serve's deployments (an ASGI app built in the replica, `reconfigure`, `check_health`). Ray sends requests
only to replicas whose model is loaded, takes them away from one that is to leave, and waits for those that run. Left
out: how many replicas there are and who gets which request (ray_app.py). This file imports no Ray.
"""

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from model.engine.app import EngineInfo, make_app
from model.engine.command import quiet_libraries
from model.engine.compiling import BackgroundCompile
from model.engine.guard import Guard, GuardSettings
from model.engine.iterations import Resident
from model.engine.lifecycle import Lifecycle
from model.engine.logs import LogFormat, log_to
from model.engine.runner import Runner
from model.engine.tokens import Tokens

if TYPE_CHECKING:
    from model.checkpoints.fitting import Precision

POLL_S = 0.05
HEALTH_PERIOD_S = 2.0
LEAVING_S = 10.0  # so long without a question for its health: five of them, on a machine with much else to do
NOBODY = GuardSettings(hosts=frozenset(), tokens=Tokens(()), is_shared=True)


class ReplicaChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What every replica runs. Any change makes Ray replace the replicas, a few at a time.

    version: of the package, so that a newer one is such a change. replaced_at_s: when somebody wanted all replaced.
    """

    model: Path
    device: str = "auto"
    dtype: str = "auto"
    precision: "Precision" = "auto"
    num_threads: int = 1
    eager: bool = False
    log_format: LogFormat = "text"
    version: str = "0"
    replaced_at_s: int = 0


class _Config(msgspec.Struct, frozen=True):
    guard: GuardSettings
    is_ending: bool = False


class LoadFailed(Exception):
    """The model cannot be used; the message is one sentence."""


class Replica:
    """Ready when it has been made. Nobody may come in until `reconfigure` says who."""

    def __init__(self, choice: ReplicaChoice) -> None:
        """Raises LoadFailed."""
        self._watching: asyncio.Task[None] | None = None
        quiet_libraries()
        log_to(None, choice.log_format)
        self._choice = choice
        self._compiling = BackgroundCompile()
        self._asked_s = math.inf  # before the first question the silence means nothing
        self.life = life = Lifecycle(idle_s=math.inf, stop=lambda: None)
        self._runner = Runner(
            self._load, on_loading=life.set_loading, on_ready=life.set_ready, on_failed=life.set_failed
        )
        info = EngineInfo(version=choice.version, model=choice.model.name, device=choice.device)
        self._app = make_app(self._runner, life, info, NOBODY)
        self._runner.start()
        while life.status == "loading":
            time.sleep(POLL_S)  # nobody else uses this thread's loop yet
        if life.status == "failed":
            raise LoadFailed(life.sentence)
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    def __serve_build_asgi_app__(self) -> Guard:
        return self._app

    def reconfigure(self, config: dict[str, object]) -> None:
        """From now on, as `config_of` has it."""
        wanted = msgspec.convert(config, _Config)
        self._app.settings = wanted.guard
        if wanted.is_ending:
            self.life.drain("signal")
            self.life.closing.set()

    def check_health(self) -> None:
        """Asked every HEALTH_PERIOD_S as long as this replica is to stay."""
        self._asked_s = time.monotonic()
        if self.life.status == "failed":
            raise LoadFailed(self.life.sentence)

    def __del__(self) -> None:
        """The last thing that Ray calls, when no request runs any more; and Python itself, perhaps again."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            self._compiling.stop()
            self._runner.stop()

    async def _watch(self) -> None:
        """Ends the attach streams of a replica that is to leave: Ray would wait for them as for any request.

        Ray does not tell a replica that it leaves. But then it stops asking for its health. Should its controller be
        gone instead, the streams' clients attach anew, to this replica or to another.
        """
        while True:
            await asyncio.sleep(HEALTH_PERIOD_S / 4)
            if time.monotonic() - self._asked_s > LEAVING_S:
                self.life.closing_reason = "leaving"
                self.life.closing.set()
                self.life.closing = asyncio.Event()

    def _load(self, report: Callable[[float, str], None]) -> Resident:
        report(0.05, "PyTorch is being loaded.")
        from model.checkpoints.precision import is_small
        from model.engine.generation import load_resident

        choice = self._choice
        resident = load_resident(
            choice.model,
            device=choice.device,
            dtype_name=choice.dtype,
            precision=choice.precision,
            num_threads=choice.num_threads,
            report=report,
        )
        if not choice.eager and not is_small(resident.network):
            self._compiling.start(resident.network, choice.model)
        return resident


def config_of(guard: GuardSettings, *, is_ending: bool = False) -> dict[str, object]:
    """Who may come in, and whether all replicas end, as JSON can hold it; of the tokens it holds hashes."""
    return msgspec.to_builtins(_Config(guard, is_ending))
