"""Keystroke to answer: the real server and the real engine, a recorded piece of typing in a 2,000-line file.

The bars: p50 at most 60 ms and p95 at most 150 ms over the requests that reached the engine, the server's own share
p50 at most 5 ms, and at most 5 % of the prompt tokens run again over the whole trace. The next key is pressed when the
answer is there, so requests never queue; pauses are skipped. The file is this project's own source, cut to 2,000
lines; the trace is benchmarks/data/typing_trace.json. One completion before the trace warms engine and cache up and is
not counted.
`python -m benchmarks.keystroke` starts the engine that SEEDLING_MODEL or the default names and stops it again (or uses
the one that SEEDLING_ENGINE names), prints a table, then one line of JSON.

"Own share" is the editor's time less what the engine says it took: reading, window, sending both ways, shaping.
Left out: acceptance of real suggestions (the trace inserts fixed text, so that runs can be compared).
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.editor import Editor, seedling_command
from benchmarks.header import ROOT, print_header

URI = "file:///project/long_module.py"
NUM_LINES = 2_000
READY_TIMEOUT_S = 180.0


class Keystroke(msgspec.Struct, frozen=True):
    """One measured event. `engine` holds the server's figures, or nothing where the engine was not asked."""

    what: str
    answer_ms: float
    reason: str
    engine: dict[str, float]


class Typist:
    """The document as the editor holds it, and the cursor; every event becomes one change and one request."""

    def __init__(self, editor: Editor, lines: list[str], row: int) -> None:
        self._editor = editor
        self._lines, self._row, self._column = lines, row, len(lines[row])
        self._version = 1
        document = {"uri": URI, "languageId": "python", "version": 1, "text": "\n".join(lines)}
        editor.notify("textDocument/didOpen", {"textDocument": document})

    def apply(self, event: dict[str, Any]) -> Keystroke:
        """Does what the event says, asks for a completion, and waits for the answer."""
        ((what, value),) = event.items()
        started_s = time.perf_counter()
        if what == "move":
            self._row = max(0, min(len(self._lines) - 1, self._row + value))
            self._column = len(self._lines[self._row])
        elif what == "newline":
            self._replace(0, 0, "\n" + value)
        elif what == "delete":
            self._replace(-value, 0, "")
        elif what == "over":
            self._replace(0, len(value), value)
        else:
            self._replace(0, 0, value)
            if what == "pair":
                self._column -= 1
        return self._ask(what, started_s)

    def _replace(self, start: int, end: int, text: str) -> None:
        """Replaces the characters from `start` to `end` (from the cursor) of the line, and goes behind the new text."""
        line = self._lines[self._row]
        first, last = self._column + start, self._column + end
        new = (line[:first] + text + line[last:]).split("\n")
        self._lines[self._row : self._row + 1] = new
        self._version += 1
        positions = [{"line": self._row, "character": column} for column in (first, last)]
        change = {"range": {"start": positions[0], "end": positions[1]}, "text": text}
        document = {"uri": URI, "version": self._version}
        self._editor.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        self._row += len(new) - 1
        self._column = first + len(text) if len(new) == 1 else len(text.rpartition("\n")[2])

    def _ask(self, what: str, started_s: float) -> Keystroke:
        num_traces = len(self._traces())
        position = {"line": self._row, "character": self._column}
        params = {"textDocument": {"uri": URI}, "position": position, "context": {"triggerKind": 2}}
        self._editor.call("textDocument/inlineCompletion", params)
        answer_ms = (time.perf_counter() - started_s) * 1000
        (trace,) = self._traces()[num_traces:]  # sent before the answer
        engine = {name: trace[name] for name in ("engine_ms", "prompt_tokens", "cached_tokens") if name in trace}
        return Keystroke(what, answer_ms, trace["reason"], engine)

    def _traces(self) -> list[dict[str, Any]]:
        notes = [note for note in self._editor.notifications if note["method"] == "$/logTrace"]
        return [json.loads(note["params"]["message"]) for note in notes]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keystroke", description=__doc__)
    parser.add_argument("--repeat", type=int, default=1, help="how often the trace is replayed, each in a new document")
    repeat = parser.parse_args().repeat
    trace = json.loads((ROOT / "benchmarks/data/typing_trace.json").read_text())
    print_header("keystroke")
    with tempfile.TemporaryDirectory(prefix="seedling-") as folder:
        os.environ.setdefault("SEEDLING_RUNTIME_DIR", folder)
        os.environ["XDG_STATE_HOME"] = folder
        own_engine = "SEEDLING_ENGINE" not in os.environ and os.environ["SEEDLING_RUNTIME_DIR"] == folder
        try:
            if own_engine:
                print(f"# {_layers()}")
            strokes = [stroke for _ in range(repeat) for stroke in _replay(trace, Path(folder))]
        finally:
            if own_engine:
                _stop_engine()
    report(strokes)


def _replay(trace: dict[str, Any], folder: Path) -> list[Keystroke]:
    editor = Editor(seedling_command(), dict(os.environ), folder)
    try:
        editor.initialize()
        status = editor.wait_for_status(READY_TIMEOUT_S)
        if status["kind"] == "Error":
            raise SystemExit(f"benchmarks: {status['message']}")
        typist = Typist(editor, own_source(trace["start_line"]), trace["start_line"])
        typist.apply({"move": 0})
        strokes = [typist.apply(event) for event in trace["events"] if "pause" not in event]
        editor.close()
        return strokes
    finally:
        editor.kill()


def own_source(blank_row: int) -> list[str]:
    """This project's Python source as one text of NUM_LINES lines, with an empty line at `blank_row`."""
    files = sorted([*(ROOT / "model").rglob("*.py"), *(ROOT / "lsp_server").rglob("*.py")])
    lines = [line for file in files for line in file.read_text().split("\n")]
    lines = lines[: NUM_LINES - 1]
    # Typing begins between two blocks: below the last blank line before the wanted row.
    start = next(row for row in range(blank_row, 0, -1) if not lines[row] and not lines[row + 1][:1].isspace())
    moved = blank_row - start
    # Blank lines above put it there: a text that begins inside a docstring would be read inside out.
    lines = [""] * moved + lines[: len(lines) - moved]
    return [*lines[:blank_row], "", *lines[blank_row:]]


def report(strokes: list[Keystroke]) -> None:
    """Prints the table and the JSON line."""
    asked = [stroke for stroke in strokes if stroke.engine]
    if not asked:
        raise SystemExit(
            "benchmarks: no request reached the engine; reasons: " + ", ".join({s.reason for s in strokes})
        )
    print(f"{'event':10}{'count':>7}{'asked':>7}{'p50 ms':>9}{'p95 ms':>9}")
    for what in dict.fromkeys(stroke.what for stroke in strokes):
        group = [stroke for stroke in strokes if stroke.what == what]
        times_ms = [stroke.answer_ms for stroke in group if stroke.engine]
        figures = f"{_quantile(times_ms, 50):9.1f}{_quantile(times_ms, 95):9.1f}" if times_ms else ""
        print(f"{what:10}{len(group):7}{len(times_ms):7}{figures}")
    reasons = {reason: sum(s.reason == reason for s in strokes) for reason in sorted({s.reason for s in strokes})}
    print("outcomes: " + ", ".join(f"{reason} {count}" for reason, count in reasons.items()))
    answers_ms = [stroke.answer_ms for stroke in asked]
    own_ms = [stroke.answer_ms - stroke.engine["engine_ms"] for stroke in asked]
    prompt_tokens = sum(stroke.engine["prompt_tokens"] for stroke in asked)
    cached_tokens = sum(stroke.engine["cached_tokens"] for stroke in asked)
    print(f"{prompt_tokens:.0f} prompt tokens, {prompt_tokens - cached_tokens:.0f} of them run again")
    along = sum(stroke.reason == "typed_along" for stroke in strokes)
    result = {
        "p50_ms": round(_quantile(answers_ms, 50), 2),
        "p95_ms": round(_quantile(answers_ms, 95), 2),
        "server_p50_ms": round(_quantile(own_ms, 50), 2),
        "cached_share": round(cached_tokens / prompt_tokens, 4),
        "type_along_share": round(along / len(strokes), 4),  # what was shown already, served without the engine
        "requests": len(asked),
    }
    print(json.dumps(result))


def _quantile(values: list[float], percent: int) -> float:
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _layers() -> str:
    """Starts this run's engine and waits for what its layers will be: until then every answer is an eager one."""
    from benchmarks.layers import wait_until_known
    from lsp_server.engine_client.control import start

    start()
    return "eager layers" if os.environ.get("SEEDLING_EAGER") else wait_until_known()


def _stop_engine() -> None:
    from lsp_server.engine_client.control import stop
    from lsp_server.engine_client.errors import EngineUnavailable

    try:
        stop()
    except EngineUnavailable as error:
        print(f"# {error.sentence}")


if __name__ == "__main__":
    main()
