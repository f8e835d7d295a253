"""The typing trace without an editor: the document after each keystroke, and the request that it leads to.

The events are those of benchmarks/data/typing_trace.json, in this project's own source cut to 2,000 lines; windows are
the language server's own (lsp_server/features/complete.py), which also says where nothing is asked. Left out: pauses
(they ask for nothing), and what is measured.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from benchmarks.keystroke import own_source
from lsp_server.engine_link import EngineState
from lsp_server.features.complete import plan_completion
from lsp_server.outcome import Outcome
from lsp_server.positions import Position
from lsp_server.settings import Settings
from lsp_server.snapshot import Document, Snapshot
from model.checkpoints.presets import Preset
from model.engine import api
from model.engine.abilities import capabilities_of

PATH = "long_module.py"


class Stroke(msgspec.Struct, frozen=True):
    """One event. `typed`: the text that now stands before the cursor and did not before; None if the cursor moved or
    text was deleted. `lines` have no line ends.
    """

    what: str
    typed: str | None
    lines: tuple[str, ...]
    row: int
    column: int


def replay(trace: dict[str, Any]) -> Iterator[Stroke]:
    """The document before the first event (what: "open") and after each event but pauses."""
    lines, row = own_source(trace["start_line"]), trace["start_line"]
    column = len(lines[row])
    yield Stroke("open", None, tuple(lines), row, column)
    for event in trace["events"]:
        ((what, value),) = event.items()
        if what == "pause":
            continue
        typed: str | None = None
        if what == "move":
            row = max(0, min(len(lines) - 1, row + value))
            column = len(lines[row])
        elif what == "delete":
            lines[row] = lines[row][: column - value] + lines[row][column:]
            column -= value
        else:
            typed = _typed(what, value)
            behind = lines[row][column + len(value) if what == "over" else column :]
            closer = value[1:] if what == "pair" else ""
            new = (lines[row][:column] + typed).split("\n")
            row, column = row + len(new) - 1, len(new[-1])
            lines[row - len(new) + 1 : row - len(new) + 2] = [*new[:-1], new[-1] + closer + behind]
        yield Stroke(what, typed, tuple(lines), row, column)


def request_of(stroke: Stroke, preset: Preset) -> api.DenoiseRequest | None:
    """What the language server asks the engine after the stroke; None where it asks nothing."""
    ended = (*(line + "\n" for line in stroke.lines[:-1]), stroke.lines[-1])
    document = Document("file:///project/" + PATH, "python", 1, ended)
    snapshot = Snapshot(document=document, cursor=Position(stroke.row, stroke.column), path=PATH)
    planned = plan_completion(
        snapshot, Settings(), EngineState(kind="ready", capabilities=capabilities_of(preset, "cpu")), "bench"
    )
    return None if isinstance(planned, Outcome) else planned.request


def rest_of(ghost: str, stroke: Stroke) -> str:
    """What is left of the last ghost text where the user has typed along it, else nothing."""
    return ghost[len(stroke.typed) :] if stroke.typed and ghost.startswith(stroke.typed) else ""


def _typed(what: str, value: str) -> str:
    if what == "newline":
        return "\n" + value
    return value[:1] if what == "pair" else value
