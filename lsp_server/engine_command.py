"""`seedling engine serve|status|stop|restart|logs`: prints what control.py finds.

Left out: the work itself (engine_client/control.py) and the engine (model/engine).
"""

import sys
from collections import deque

from lsp_server.engine_client import control
from lsp_server.engine_client.paths import default_model
from lsp_server.printable import printable
from model.engine.api import Health

NUM_LOG_LINES = 50


def run(action: str) -> int:
    """Runs one action. Exit code of `status`: 0 when an engine is there, 1 when none is."""
    return {"serve": serve, "status": status, "stop": stop, "restart": restart, "logs": logs}[action]()


def serve() -> int:
    told = f"An engine for {default_model()} runs here until Ctrl-C; its log is {control.log_path()}"
    print(printable(told), file=sys.stderr)
    return control.serve()


def serve_others(words: list[str]) -> int:
    """Runs an engine with these options of `model.engine serve`; on Unix this call does not return."""
    return control.serve_others(words)


def status() -> int:
    given = control.given_health()
    if given is not None:
        where, health = given
        state = health.status if health.status != "loading" else f"loading, {health.progress:.0%}"
        print(printable(f"{state}: model {health.model} on {health.device}, {_age_text(health.uptime_s)} old"))
        print(printable(f"at {where}, version {health.version}"))
        return 0
    found = control.status()
    health = found.health
    if health is None:
        print(printable(f"No engine is running for {found.model}; the next completion starts one."))
        return 1
    state = health.status if health.status != "loading" else f"loading, {health.progress:.0%}"
    print(printable(f"{state}: model {health.model} on {health.device}, {_age_text(health.uptime_s)} old"))
    print(printable(f"process {health.pid}, version {health.version}"))
    print(printable(f"socket  {found.socket}\nlog     {found.log}"))
    tokens = control.prompt_tokens()
    if tokens is not None and tokens.total:
        print(f"prompts {tokens.total} tokens, {tokens.found / tokens.total:.0%} of them found in the cache")
    if health.sentence:
        print(printable(health.sentence))
    return 0


def stop() -> int:
    print("The engine was stopped." if control.stop() else "No engine was running.")
    return 0


def restart() -> int:
    health = control.restart(show_progress).health
    print(printable(f"The engine runs: process {health.pid}." if health else "The engine was started."))
    return 0


def show_progress(health: Health) -> None:
    """One line that is overwritten while the model loads; nothing where standard error is not a terminal."""
    if sys.stderr.isatty():
        end = "\n" if health.status == "ready" else ""
        print(f"\rThe engine is loading its model: {health.progress:4.0%}", end=end, file=sys.stderr, flush=True)


def logs() -> int:
    path = control.log_path()
    if not path.is_file():
        print(printable(f"There is no log yet: {path}"))
        return 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in deque(file, NUM_LOG_LINES):
            print(printable(line.rstrip("\n")))
    print(printable(f"\n(the end of {path})"), file=sys.stderr)
    return 0


def _age_text(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
