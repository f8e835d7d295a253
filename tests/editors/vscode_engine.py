"""What the scripted engine says in the tests of VS Code: rewrites by instruction and seed, a canvas to watch, repairs.

The engine itself is that of the language server's own tests. Left out: every model; what the embedded one does is
tested with the embedded one.
"""

import sys
from pathlib import Path

from msgspec.structs import replace

sys.path.append(str(Path(__file__).parents[1] / "lsp_server" / "support"))

from fake_engine import FakeEngine, Script

from model.engine import api

SLOW = "take your time"
_NAMES = ("result", "product")


def start(socket: Path) -> FakeEngine:
    """A running engine that rewrites anything, fixes and mends."""
    engine = FakeEngine(socket)
    engine.capabilities = replace(engine.capabilities, rewrite="free", fix=True, mend=True)
    engine.script = _denoised
    engine.repair_script = _repaired
    engine.start()
    return engine


def _denoised(request: api.DenoiseRequest) -> Script:
    draft = "".join(piece.text for piece in request.canvas if isinstance(piece, api.Draft))
    if request.prompt.instruction == SLOW:
        return Script(keep=True, progress=(_step(1, ("draft", draft, 9, 0.8)),))
    if request.prompt.instruction is not None:
        name = _NAMES[request.seed % len(_NAMES)]
        indent = draft[: len(draft) - len(draft.lstrip())]
        value = draft.strip().removeprefix("return ")
        steps = (
            _step(1, ("draft", draft, 4, 0.4)),
            _step(2, ("draft", f"{name} = {value}", 5, 0.7), ("masked", "", 3, 0.0)),
        )
        text = f"{indent}{name} = {value}\n    return {name}"
        return Script(text=text, confidence=0.87, progress=steps)
    return Script(text="" if not request.in_blocks else "return total", progress=_WATCHED if request.in_blocks else ())


def _repaired(request: api.RepairRequest) -> Script:
    start = request.text.find("widht")
    if start < 0:
        return Script()
    return Script(findings=(api.Finding(start=start, end=start + 5, text="width", confidence=0.97, kind="name"),))


def _step(number: int, *pieces: tuple) -> api.Progress:
    confidence = max(piece[3] for piece in pieces)
    return api.Progress(step=number, confidence=confidence, pieces=tuple(api.ProgressPiece(*piece) for piece in pieces))


_WATCHED = (
    _step(1, ("draft", "retrun", 1, 0.55), ("masked", "", 3, 0.0)),
    _step(2, ("draft", "retrun", 1, 0.2), ("draft", " tot", 1, 0.6), ("masked", "", 2, 0.0)),
    _step(3, ("draft", "return", 1, 0.93), ("draft", " total", 2, 0.75)),
    _step(4, ("committed", "return total", 3, 1.0)),
)
