"""Draws one step of a denoise for a terminal: masks, drafts and finished text, coloured by confidence.

Works on the text of the engine's `progress` events alone (model/engine/api.py), so it needs no torch.
Left out: recording and replaying whole trajectories, and pictures (model/diffusion/render.py).
"""

from rich.text import Text

from lsp_server.printable import printable
from model.engine.api import Progress, ProgressPiece

MASK = "░"

# The least confidence of each colour, best first; below the last one: red.
_COLOURS = ((0.9, "green"), (0.6, "yellow"))


def piece_text(piece: ProgressPiece) -> Text:
    """One run of the canvas: a ░ per mask, its text otherwise; committed and locked text without confidence colour."""
    if piece.state == "masked":
        return Text(MASK * piece.num_tokens, style="dim")
    if piece.state == "draft":
        return Text(printable(piece.text), style=_colour(piece.confidence))
    return Text(printable(piece.text), style="bold" if piece.state == "committed" else "dim")


def frame(before: str, progress: Progress, after: str) -> Text:
    """The canvas after one step between the text before and after it, and a line of figures below."""
    drawn = Text(printable(before), style="dim")
    for piece in progress.pieces:
        drawn.append_text(piece_text(piece))
    drawn.append(printable(after), style="dim")
    drawn.append(f"\nstep {progress.step}  confidence {progress.confidence:.2f}", style="dim")
    return drawn


def _colour(confidence: float) -> str:
    for least, colour in _COLOURS:
        if confidence >= least:
            return colour
    return "red"
