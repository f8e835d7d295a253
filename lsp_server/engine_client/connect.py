"""Find the running engine or start one, and wait until its model is loaded.

Source: the project's process rules (one engine per user, model and API version; a newer package drains an older
engine). Races are left to the engine's lock: any number of clients may launch at once, losers exit 0, and every client
polls the same socket. Left out: what happens after the connection (client.py).
"""

import asyncio
import time
from collections.abc import Callable
from typing import cast

import msgspec

from lsp_server.engine_client.client import EngineClient
from lsp_server.engine_client.crashes import CrashRecord
from lsp_server.engine_client.endpoint import (
    Endpoint,
    endpoint_from_environment,
    local_endpoint,
    open_http,
    read_health,
    remote_health,
)
from lsp_server.engine_client.errors import EngineUnavailable
from lsp_server.engine_client.launch import last_error_line, launch
from lsp_server.engine_client.paths import EnginePaths, engine_paths
from lsp_server.engine_client.remote import offline
from lsp_server.user_settings import chosen_engine
from model.engine.api import API_VERSION, Health

POLL_S = 0.05
REMOTE_POLL_S = 1.0
ANSWER_TIMEOUT_S = 60.0
LOAD_TIMEOUT_S = 900.0

OnProgress = Callable[[Health], None]


class ReachOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to find an engine. `own_version` is this package's; an engine of an older one is replaced."""

    launch: bool = True
    own_version: str
    idle_s: float | None = None
    answer_timeout_s: float = ANSWER_TIMEOUT_S


def package_version() -> str:
    """The version of the installed distribution, or "0" in a tree that was never installed."""
    import importlib.metadata  # 20 ms, and only needed where an engine is sought

    try:
        return importlib.metadata.version("seedling-lsp")
    except importlib.metadata.PackageNotFoundError:
        return "0"


async def connect(*, launch: bool = True, on_progress: OnProgress | None = None) -> EngineClient:
    """A client of a ready engine; starts one if none runs (and `launch`).

    `on_progress` sees every polled health while the model loads. Raises EngineUnavailable. The client finds or starts
    the engine anew by itself when it goes away later.
    """
    return await connect_with(ReachOptions(launch=launch, own_version=package_version()), on_progress)


async def connect_with(options: ReachOptions, on_progress: OnProgress | None = None) -> EngineClient:
    """`connect` with every knob; for tests and the command line."""
    choice = chosen_engine()
    if choice.upstream != "seedling":
        from lsp_server.engine_client.upstream import connect_upstream  # nobody else needs it

        # The same methods; what it lacks its capabilities say.
        return cast("EngineClient", connect_upstream(choice))
    given = endpoint_from_environment()
    if given is None:
        return await connect_own(options, on_progress)
    reach_it = _reach_remote if given.is_remote else _reach_given
    endpoint = await reach_it(given, on_progress)
    # What cannot be started must not be given up for having been away: the link tries it again, ever more rarely.
    crashes = CrashRecord(is_started_by_us=not given.is_remote)
    return await EngineClient.open(endpoint, lambda: reach_it(given, on_progress), log=None, crashes=crashes)


def stands_in_for_remote() -> bool:
    """Whether the user wants an engine of our own while the one on another machine cannot be reached."""
    choice = chosen_engine()
    return choice.fallback == "local" and bool(choice.url)


async def connect_own(options: ReachOptions | None = None, on_progress: OnProgress | None = None) -> EngineClient:
    """A client of an engine of our own, whatever other engine the user may have named."""
    options = options or ReachOptions(own_version=package_version())
    paths = engine_paths()
    endpoint = await reach(paths, options, on_progress)
    return await EngineClient.open(endpoint, lambda: reach(paths, options, on_progress), log=paths.log)


async def reach(paths: EnginePaths, options: ReachOptions, on_progress: OnProgress | None = None) -> Endpoint:
    """The endpoint of a ready local engine, started if need be. Raises EngineUnavailable."""
    process = None
    drained = False
    answer_until_s = time.monotonic() + options.answer_timeout_s
    load_until_s = time.monotonic() + LOAD_TIMEOUT_S
    while True:
        endpoint = local_endpoint(paths)
        health = None if endpoint is None else await read_health(endpoint)
        if endpoint is None or health is None:
            if not options.launch:
                raise EngineUnavailable("not_running", "No engine is running: start one with seedling engine serve.")
            exit_code = None if process is None else process.poll()
            if exit_code:
                why = last_error_line(paths) or f"exit status {exit_code}"
                raise EngineUnavailable("launch_failed", f"The engine ended at once: {why} (log: {paths.log}).")
            if process is None or exit_code == 0:
                # 0 = another engine held the lock: the winner's socket is about to appear, or the holder is leaving
                # and its place becomes free. Starting again covers both.
                if exit_code == 0:
                    await asyncio.sleep(4 * POLL_S)
                process = launch(paths, idle_s=options.idle_s)
        else:
            answer_until_s = time.monotonic() + options.answer_timeout_s
            _check(health)
            if health.status == "draining":
                pass
            elif not drained and process is None and _is_older(health.version, options.own_version):
                drained = True  # once: an installation that reports a strange version must not loop
                await _drain(endpoint)
            elif health.status == "ready":
                return endpoint
            elif on_progress is not None:
                on_progress(health)
        if time.monotonic() > min(answer_until_s, load_until_s):
            raise EngineUnavailable(
                "launch_failed", f"The engine did not become ready in time; its log is {paths.log}."
            )
        await asyncio.sleep(POLL_S)


async def _reach_given(endpoint: Endpoint, on_progress: OnProgress | None) -> Endpoint:
    load_until_s = time.monotonic() + LOAD_TIMEOUT_S
    while time.monotonic() < load_until_s:
        health = await read_health(endpoint)
        if health is None or health.status == "draining":
            raise EngineUnavailable("not_running", "No engine answers at the address in SEEDLING_ENGINE.")
        if _is_ready(health, on_progress):
            return endpoint
        await asyncio.sleep(POLL_S)
    raise EngineUnavailable("model_failed", "The engine named in SEEDLING_ENGINE did not finish loading its model.")


async def _reach_remote(endpoint: Endpoint, on_progress: OnProgress | None) -> Endpoint:
    load_until_s = time.monotonic() + LOAD_TIMEOUT_S
    async with open_http(endpoint) as http:
        while time.monotonic() < load_until_s:
            health = await remote_health(http, endpoint)
            if health.status in ("draining", "failed"):
                raise offline(str(endpoint.url), health.sentence.rstrip(".") or "it is ending")
            if _is_ready(health, on_progress):
                return endpoint
            await asyncio.sleep(REMOTE_POLL_S)
    raise offline(str(endpoint.url), "it did not finish loading its model")


def _is_ready(health: Health, on_progress: OnProgress | None) -> bool:
    _check(health)
    if health.status == "ready":
        return True
    if on_progress is not None:
        on_progress(health)
    return False


def _check(health: Health) -> None:
    if health.api != API_VERSION:
        raise EngineUnavailable(
            "foreign_answer", f"The engine speaks version {health.api} of the border, this server {API_VERSION}."
        )
    if health.status == "failed":
        raise EngineUnavailable("model_failed", health.sentence)


async def _drain(endpoint: Endpoint) -> None:
    import httpx

    async with open_http(endpoint) as http:
        try:
            await http.post("/v1/drain", json={"reason": "upgrade"})
        except httpx.RequestError:
            return  # it is gone already, which is what was wanted


def _is_older(version: str, than: str) -> bool:
    return _version_key(version) < _version_key(than)


def _version_key(version: str) -> tuple[int, ...]:
    """The leading numbers of a version ("0.10.2.dev3" → 0, 10, 2): enough to see that a package was upgraded."""
    numbers: list[int] = []
    for part in version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
