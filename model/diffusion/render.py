"""A run for the eyes: a rich text for the terminal, and an SVG (animated or as a strip of frames) for documents.

Masks are ░, colour tells confidence, a step's changes stand out, committed text is dim. All text passes
`trajectory.visible` first and is escaped for XML; the SVG holds no script, link or foreign object.
Left out: the live loop (model/cli.py) and recording (trajectory.py).
"""

from collections.abc import Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from rich.text import Text

from model.diffusion.frames import Frame
from model.diffusion.trajectory import BytesOf, Cell, Trajectory, bytes_of, cells_of, frames_of, summary, visible

FONT_SIZE = 15
LINE_HEIGHT = 21
CHAR_WIDTH = 9.05  # of the usual monospace fonts at FONT_SIZE; only the picture's width depends on it
PADDING = 14
STYLE_OF = {"substituted": "underline", "inserted": "underline", "remasked": "underline", "unmasked": "bold"}
COLOURS = {"back": "#10141b", "dim": "#7d8794", "plain": "#d5dbe3", "mask": "#4b5563", "change": "#e8a33d"}


def terminal_view(frame: Frame, bytes_of: BytesOf, *, before: str = "") -> Text:
    """The canvas after a step, below a line that says what happened. `bytes_of`: the bytes of a token."""
    text = Text(no_wrap=False)
    text.append(f"step {frame.step}: {summary(frame)}\n", style="dim italic")
    text.append(visible(before), style="dim")
    for cell in cells_of(frame, bytes_of):
        text.append(cell.text, style=_terminal_style(cell))
    return text


def _terminal_style(cell: Cell) -> str:
    if cell.kind in ("committed", "locked"):
        return "dim"
    if cell.kind == "masked":
        return "bright_black"
    emphasis = STYLE_OF.get(cell.kind, "")
    return f"{emphasis} {confidence_colour(cell.confidence)}".strip()


def confidence_colour(confidence: float) -> str:
    """Red (0) over yellow (0.5) to green (1), as #rrggbb, to be read on a dark ground."""
    stops = ((0xE0, 0x5A, 0x4F), (0xD9, 0xB4, 0x4A), (0x6C, 0xC0, 0x70))
    place = 2 * min(max(confidence, 0.0), 1.0)
    index = min(int(place), 1)
    low, high = stops[index], stops[index + 1]
    red, green, blue = (round(a + (b - a) * (place - index)) for a, b in zip(low, high, strict=True))
    return f"#{red:02x}{green:02x}{blue:02x}"


def svg(trajectory: Trajectory, *, animated: bool = True, step_ms: int = 700, hold_ms: int = 2500) -> str:
    """The whole run as one SVG document.

    animated: the frames replace each other for ever (SMIL, so it plays inside an <img>; where it does not, the last
    frame stands); else they stand below each other. step_ms: time of a frame, hold_ms: of the last one.
    """
    of = bytes_of(trajectory)
    frames = frames_of(trajectory)
    pictures = [_lines([Cell(visible(trajectory.before), "committed", 1.0), *cells_of(f, of)]) for f in frames]
    titles = [f"step {frame.step}: {summary(frame)}" for frame in frames]
    num_lines = [len(lines) + 1 for lines in pictures]
    widest = max(
        [len(title) for title in titles]
        + [sum(len(cell.text) for cell in line) for lines in pictures for line in lines]
    )
    width = round(widest * CHAR_WIDTH + 2 * PADDING)
    rows = max(num_lines) if animated else sum(num_lines) + len(frames) - 1
    height = rows * LINE_HEIGHT + 2 * PADDING
    body: list[str] = []
    top = 0
    for index, (title, lines) in enumerate(zip(titles, pictures, strict=True)):
        fade = _animation(index, len(frames), step_ms, hold_ms) if animated else ""
        shown = not animated or index == len(frames) - 1
        body.append(f'<g opacity="{int(shown)}">{fade}{_picture(title, lines, top)}</g>')
        top += 0 if animated else num_lines[index] + 1
    label = escape(f"{trajectory.result.steps} denoising steps, {len(trajectory.result.ids)} tokens")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img"><title>{label}</title>'
        f'<rect width="{width}" height="{height}" rx="8" fill="{COLOURS["back"]}"/>'
        f'<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="{FONT_SIZE}">'
        + "".join(body)
        + "</g></svg>\n"
    )


def _lines(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells cut at newlines; neighbours that look alike are joined, which keeps the document small."""
    lines: list[list[Cell]] = [[]]
    for cell in cells:
        for index, text in enumerate(cell.text.split("\n")):
            if index:
                lines.append([])
            if not text:
                continue
            line = lines[-1]
            if line and _svg_style(line[-1]) == _svg_style(cell):
                line[-1] = Cell(line[-1].text + text, cell.kind, cell.confidence)
            else:
                line.append(Cell(text, cell.kind, cell.confidence))
    return lines


def _picture(title: str, lines: Sequence[Sequence[Cell]], top: int) -> str:
    parts = [_text_line(top, f'<tspan fill="{COLOURS["dim"]}" font-style="italic">{escape(title)}</tspan>')]
    for number, line in enumerate(lines):
        spans = "".join(f"<tspan {_svg_style(cell)}>{escape(cell.text)}</tspan>" for cell in line)
        if spans:
            parts.append(_text_line(top + number + 1, spans))
    return "".join(parts)


def _text_line(number: int, spans: str) -> str:
    y = PADDING + number * LINE_HEIGHT + FONT_SIZE
    return f'<text x="{PADDING}" y="{y}" xml:space="preserve">{spans}</text>'


def _svg_style(cell: Cell) -> str:
    if cell.kind in ("committed", "locked"):
        return f'fill="{COLOURS["plain" if cell.kind == "locked" else "dim"]}"'
    if cell.kind == "masked":
        return f'fill="{COLOURS["mask"]}"'
    if cell.kind in ("inserted", "remasked"):
        return f'fill="{COLOURS["change"]}"'
    mark = ' text-decoration="underline"' if cell.kind == "substituted" else ""
    weight = ' font-weight="bold"' if cell.kind == "unmasked" else ""
    return f'fill="{confidence_colour(cell.confidence)}"{mark}{weight}'


def _animation(index: int, num_frames: int, step_ms: int, hold_ms: int) -> str:
    """SMIL that shows frame `index` for its own time of the loop."""
    total = step_ms * (num_frames - 1) + hold_ms
    times = [min(step_ms * k, total) / total for k in range(num_frames)] + [1.0]
    start, stop = list(pairwise(times))[index]
    keys = [(0.0, int(start == 0.0))]
    if start > 0.0:
        keys.append((start, 1))
    if stop < 1.0:
        keys.append((stop, 0))
    values = ";".join(str(value) for _, value in keys)
    key_times = ";".join(f"{time:.4f}" for time, _ in keys)
    return (
        f'<animate attributeName="opacity" calcMode="discrete" dur="{total}ms" repeatCount="indefinite" '
        f'values="{values}" keyTimes="{key_times}"/>'
    )
