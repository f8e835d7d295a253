"""What `seedling engine serve|status|stop|restart|logs` do, as functions that return data or raise EngineUnavailable.

Source: the project's process rules. Blocking, for the command line. Left out: printing (lsp_server/cli.py).
"""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from lsp_server.engine_client.connect import OnProgress, ReachOptions, package_version, reach
from lsp_server.engine_client.endpoint import (
    UNREADABLE,
    Endpoint,
    decode_health,
    endpoint_from_environment,
    local_endpoint,
    open_http,
    open_http_blocking,
    read_health,
    remote_health,
)
from lsp_server.engine_client.errors import EngineUnavailable
from lsp_server.engine_client.launch import check_extras, engine_command
from lsp_server.engine_client.paths import default_model, engine_paths
from model.engine.api import Health

STOP_TIMEOUT_S = 20.0
_PROMPTS = ("seedling_prompt_tokens_total", "seedling_prefix_cache_hit_tokens_total")


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`health` is None when no engine runs for `model`."""

    model: Path
    socket: Path
    log: Path
    health: Health | None


class PromptTokens(msgspec.Struct, frozen=True):
    """Tokens of all prompts since the engine's start, and how many of them its prefix cache had."""

    total: int
    found: int


def status() -> EngineStatus:
    """The state of the local engine for the model in use; starts nothing."""
    import httpx

    paths = engine_paths()
    endpoint = local_endpoint(paths)
    health = None
    if endpoint is not None:
        with open_http_blocking(endpoint) as http:
            try:
                health = decode_health(http.get("/health").content, endpoint)
            except httpx.TransportError:
                health = None  # a socket whose engine was killed; the next engine removes it
            except httpx.DecodingError:
                health = decode_health(UNREADABLE, endpoint)
    return EngineStatus(model=paths.model, socket=paths.socket, log=paths.log, health=health)


def prompt_tokens() -> PromptTokens | None:
    """What the engine's /metrics say; None without an engine, or from one that says nothing."""
    import httpx

    endpoint = local_endpoint(engine_paths())
    if endpoint is None:
        return None
    with open_http_blocking(endpoint) as http:
        try:
            lines = http.get("/metrics").text.splitlines()
        except httpx.RequestError:
            return None
    try:
        figures = dict(line.rsplit(" ", 1) for line in lines if line.startswith(_PROMPTS))
        return PromptTokens(*(int(float(figures[name])) for name in _PROMPTS))
    except (KeyError, ValueError, OverflowError):
        return None


def stop() -> bool:
    """Lets the engine finish what runs and end. False when none was running; raises if it does not end in time."""
    import httpx

    before = status()
    paths = engine_paths()
    endpoint = local_endpoint(paths)
    if before.health is None or endpoint is None:
        return False
    with open_http_blocking(endpoint) as http:
        try:
            http.post("/v1/drain", json={"reason": "stop"})
        except httpx.RequestError:
            return True
    until_s = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < until_s:
        if not _is_held(paths.lock):
            return True
        time.sleep(0.05)
    raise EngineUnavailable(
        "not_running", f"The engine (process {before.health.pid}) was asked to stop but is still busy: end it by kill."
    )


def restart(on_progress: OnProgress | None = None) -> EngineStatus:
    """Stops the engine if one runs, starts one, and returns when it is ready."""
    stop()
    start(on_progress)
    return status()


def start(on_progress: OnProgress | None = None) -> EngineStatus:
    """Starts a detached engine unless one runs, and returns when it is ready."""
    asyncio.run(reach(engine_paths(), ReachOptions(own_version=package_version()), on_progress))
    return status()


def serve(idle_s: float | None = None) -> int:
    """Runs an engine in the foreground until it ends; returns its exit status (0 also when one already runs)."""
    check_extras()
    paths = engine_paths()
    process = subprocess.Popen(engine_command(paths, idle_s=idle_s), cwd=paths.runtime)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            pass  # Ctrl-C reaches the engine too, which closes its socket and ends by itself


def serve_others(words: list[str]) -> int:
    """Runs an engine that listens where `words` say, in place of this process where that is possible.

    So it is the process that systemd or a container watches, and their signals reach it.
    """
    check_extras()
    model = ["--model", str(default_model())]
    command = [sys.executable, "-E", "-P", "-m", "model.engine", "serve", *model, *words]
    sys.stdout.flush()
    if sys.platform != "win32":
        os.execv(sys.executable, command)
    return subprocess.run(command, check=False).returncode


def given_health() -> tuple[str, Health] | None:
    """Where the engine is that the user has named, and how it is; None when they have named none."""

    async def ask(endpoint: Endpoint) -> Health | None:
        if not endpoint.is_remote:
            return await read_health(endpoint)
        async with open_http(endpoint) as http:
            return await remote_health(http, endpoint)

    endpoint = endpoint_from_environment()
    if endpoint is None:
        return None
    where = endpoint.url or f"unix:{endpoint.socket}"
    health = asyncio.run(ask(endpoint))
    if health is None:
        raise EngineUnavailable("not_running", f"No engine answers at {where}.")
    return where, health


def log_path() -> Path:
    """Where the engine for the model in use writes its log; the file may not exist yet."""
    return engine_paths().log


def _is_held(lock: Path) -> bool:
    """Does an engine hold its lock? It does so exactly as long as its process lives, zombies excepted."""
    if sys.platform == "win32":
        return status().health is not None
    import fcntl

    try:
        file = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        # Holding it for a moment is harmless: an engine that starts just now leaves with status 0 and is started again.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False
