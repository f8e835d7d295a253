"""The denoise view: one mask character per masked token, colours by confidence, nothing that drives the terminal."""

from lsp_server.denoise_view import MASK, frame, piece_text
from model.engine.api import Progress, ProgressPiece


def test_a_frame_reads_before_canvas_after() -> None:
    progress = Progress(
        step=3,
        confidence=0.5,
        pieces=(
            ProgressPiece(state="committed", text="return ", num_tokens=1, confidence=0.99),
            ProgressPiece(state="draft", text="total", num_tokens=1, confidence=0.7),
            ProgressPiece(state="masked", text="", num_tokens=3, confidence=0.0),
            ProgressPiece(state="locked", text=")", num_tokens=1, confidence=1.0),
        ),
    )
    drawn = frame("    x = (", progress, "  # end").plain
    assert drawn == f"    x = (return total{MASK * 3})  # end\nstep 3  confidence 0.50"


def test_confidence_chooses_the_colour() -> None:
    styles = [
        piece_text(ProgressPiece(state="draft", text="x", num_tokens=1, confidence=value)).style
        for value in (0.95, 0.7, 0.1, -1.0, float("nan"))
    ]
    assert styles == ["green", "yellow", "red", "red", "red"]


def test_model_text_cannot_drive_the_terminal() -> None:
    piece = ProgressPiece(state="draft", text="\x1b[31mred\u202e", num_tokens=2, confidence=0.9)
    assert piece_text(piece).plain == "\\x1b[31mred\\u202e"
