"""Process start to `initialize` reply, `seedling serve` against a bare pygls server, taken in turns in one run.

The bar: at most 0.6 s, or at most 1.2 times the bare server of the same run where that is more; no torch in the
process; resident memory at most 150 MB. The bare server has one feature that answers nothing: what any pygls server
costs.
`python -m benchmarks.startup [--rounds 20]` prints a table, then one line of JSON.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.editor import Editor, seedling_command
from benchmarks.header import print_header

BARE = """
from lsprotocol import types
from pygls.lsp.server import LanguageServer
server = LanguageServer("bare", "1")
@server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
def complete(params):
    return None
server.start_io()
"""
SETTLE_S = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    print_header("startup")
    with tempfile.TemporaryDirectory(prefix="seedling-") as folder:
        environment = {
            **os.environ,
            "XDG_STATE_HOME": folder,
            "SEEDLING_RUNTIME_DIR": folder,
            # An address where nobody listens: the server must not start an engine here, its memory is its own.
            "SEEDLING_ENGINE": f"unix:{folder}/none.sock",
        }
        commands = {"seedling serve": seedling_command(), "bare pygls": [sys.executable, "-c", BARE]}
        times_ms: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                times_ms[name].append(_initialize_ms(command, environment, Path(folder)))
        torch_loaded, rss_mb = _after_start(commands["seedling serve"], environment, Path(folder))
    print(f"{'':16}{'median ms':>12}{'min':>8}{'max':>8}")
    for name, values in times_ms.items():
        print(f"{name:16}{statistics.median(values):12.0f}{min(values):8.0f}{max(values):8.0f}")
    ours, bare = (statistics.median(values) for values in times_ms.values())
    print(f"ratio of the medians {ours / bare:.2f}; resident memory {rss_mb} MB; torch in the process: {torch_loaded}")
    result = {"initialize_ms": round(ours, 1), "bare_ms": round(bare, 1), "rounds": rounds}
    print(json.dumps({**result, "torch_loaded": torch_loaded, "ls_rss_mb": rss_mb}))


def _initialize_ms(command: list[str], environment: dict[str, str], folder: Path) -> float:
    editor = Editor(command, environment, folder)
    try:
        return editor.initialize()
    finally:
        editor.kill()


def _after_start(command: list[str], environment: dict[str, str], folder: Path) -> tuple[bool | None, float | None]:
    """Whether torch is mapped, and the resident megabytes, a while after `initialized`; None where /proc is missing."""
    editor = Editor(command, environment, folder)
    try:
        editor.initialize()
        editor.wait_for_status(30)  # httpx and the engine client are in memory now
        time.sleep(SETTLE_S)
        process = Path(f"/proc/{editor.pid}")
        if not process.exists():
            return None, None
        kilobytes = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS"))
        return "libtorch" in (process / "maps").read_text(), round(int(kilobytes.split()[1]) / 1024, 1)
    finally:
        editor.kill()


if __name__ == "__main__":
    main()
