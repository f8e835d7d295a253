"""Resident memory after warm-up: the language server, and the engine with the shipped model, each with its children.

The bars: at most 150 MB and 800 MB. Both are measured after the typing trace was replayed (benchmarks/keystroke.py),
and after the compiled layers came into use where the engine makes them, which takes minutes the first time; what the
engine and its compiler hold meanwhile is shown as well. Source: VmRSS of /proc (pages that processes share count in
each). Linux only.
`python -m benchmarks.memory [--eager]` prints a table, then one line of JSON.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchmarks.editor import Editor, seedling_command
from benchmarks.header import ROOT, print_header
from benchmarks.keystroke import READY_TIMEOUT_S, Typist, own_source
from benchmarks.layers import TIMEOUT_S, UNKNOWN, are_compiled
from benchmarks.options import run
from lsp_server.engine_client import control
from model.evaluation.options import EvalError

PROC = Path("/proc")
SETTLE_S = 2.0


class Found(msgspec.Struct, frozen=True):
    """Megabytes of both programs with their children; `compiling_mb` is the most that the engine held meanwhile."""

    server_mb: float
    engine_mb: float
    compiling_mb: float | None
    compiled: bool


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--eager", action="store_true", help="an engine that never compiles")
    is_eager = parser.parse_args().eager
    if not (PROC / "self" / "status").exists():
        raise EvalError("memory is read from /proc, which this system does not have")
    print_header("memory")
    with tempfile.TemporaryDirectory(prefix="seedling-") as folder:
        # An engine of its own: one that runs already may have answered anything.
        os.environ |= {"SEEDLING_RUNTIME_DIR": folder, "XDG_STATE_HOME": folder}
        os.environ.pop("SEEDLING_ENGINE", None)
        if is_eager:
            os.environ["SEEDLING_EAGER"] = "1"
        try:
            found = measure(Path(folder), is_eager or bool(os.environ.get("SEEDLING_EAGER")))
        finally:
            control.stop()
    print(f"{'language server':18}{found.server_mb:8.1f} MB   (bar 150)")
    print(f"{'engine':18}{found.engine_mb:8.1f} MB   (bar 800), {'compiled' if found.compiled else 'eager'}")
    if found.compiling_mb is not None:
        print(f"{'while compiling':18}{found.compiling_mb:8.1f} MB   engine and compiler together, once a machine")
    print(json.dumps(msgspec.to_builtins(found)))


def measure(folder: Path, is_eager: bool) -> Found:
    """Replays the trace and looks; the editor is closed at the end, the engine is not."""
    trace = json.loads((ROOT / "benchmarks/data/typing_trace.json").read_text())
    editor = Editor(seedling_command(), dict(os.environ), folder)
    try:
        editor.initialize()
        status = editor.wait_for_status(READY_TIMEOUT_S)
        if status["kind"] == "Error":
            raise EvalError(status["message"])
        typist = Typist(editor, own_source(trace["start_line"]), trace["start_line"])
        for event in trace["events"]:
            if "pause" not in event:
                typist.apply(event)
        health = control.status().health
        if health is None:
            raise EvalError("the engine ended during the trace")
        compiling_mb = None if is_eager else wait_for_layers(health.pid)
        time.sleep(SETTLE_S)
        engine = set(family(health.pid))  # a child of the language server that started it
        return Found(
            server_mb=round(resident_mb(set(family(editor.pid)) - engine), 1),
            engine_mb=round(resident_mb(engine), 1),
            compiling_mb=compiling_mb and round(compiling_mb, 1),
            compiled=are_compiled() is True,
        )
    finally:
        editor.kill()


def wait_for_layers(engine: int) -> float | None:
    """Until the engine's log says which mode it is in; the most that it held with a child, None without any child."""
    most_mb: float | None = None
    until_s = time.monotonic() + TIMEOUT_S
    while are_compiled() is None:
        if time.monotonic() > until_s:
            raise EvalError(UNKNOWN)
        if len(tree := family(engine)) > 1:
            most_mb = max(most_mb or 0.0, resident_mb(tree))
        time.sleep(0.5)
    return most_mb


def resident_mb(pids: Iterable[int]) -> float:
    """VmRSS of these processes together."""
    return sum(map(own_mb, pids))


def family(pid: int) -> list[int]:
    """The process, its children, theirs, and so on, as far as they live."""
    children: dict[int, list[int]] = {}
    for folder in PROC.glob("[0-9]*"):
        if parent := status_number(int(folder.name), "PPid"):
            children.setdefault(parent, []).append(int(folder.name))
    found = [pid]
    for member in found:  # grows while it is read
        found += children.get(member, [])
    return found


def own_mb(pid: int) -> float:
    """VmRSS of one process, 0 when it has ended."""
    return status_number(pid, "VmRSS") / 1024


def status_number(pid: int, name: str) -> int:
    """A number in /proc/PID/status, 0 where it or the process is missing."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


if __name__ == "__main__":
    sys.exit(run(main))
