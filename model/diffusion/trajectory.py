"""A recorded run: its frames in a compact JSON file that needs no tokenizer to be shown again, and as plain text.

Source: the trajectories of Seed Diffusion (arXiv 2508.02193, §3.2) as data for people. Left out: terminal and SVG
(render.py), and training on trajectories (model/training), which keeps reveal orders only.
"""

import base64
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

from model.diffusion.frames import Frame, Result
from model.diffusion.moves import Move
from model.diffusion.states import LOCKED, MASKED
from model.tokenizer import NUM_RESERVED, Tokenizer

FORMAT = 1
MASK_CHAR = "░"

CellKind = Literal["committed", "locked", "draft", "masked", "unmasked", "substituted", "remasked", "inserted", "end"]
BytesOf = Callable[[int], bytes]


class TrajectoryError(ValueError):
    """A file that is no trajectory; the message is one sentence for the user."""


class Step(msgspec.Struct, frozen=True, array_like=True):
    """A frame with only the committed tokens that are new, and confidences in percent."""

    step: int
    committed: tuple[int, ...]
    block_ids: tuple[int, ...]
    block_states: tuple[int, ...]
    percents: tuple[int, ...]
    moves: tuple[Move, ...]


class Trajectory(msgspec.Struct, frozen=True, kw_only=True):
    """before: text that stands before the canvas (the typed line); texts: bytes of every token in it, in base64."""

    format: int
    before: str
    steps: tuple[Step, ...]
    texts: dict[int, str]
    result: Result


class Cell(msgspec.Struct, frozen=True):
    """A stretch of canvas to show: safe text, what it is, and how sure the model was (0..1)."""

    text: str
    kind: CellKind
    confidence: float


def record(tokenizer: Tokenizer, frames: Iterable[Frame], *, before: str = "") -> Trajectory:
    """Runs through the frames of one `denoise` (the last one has the result) and keeps them."""
    steps: list[Step] = []
    seen: set[int] = set()
    num_committed = 0
    result: Result | None = None
    for frame in frames:
        new = frame.committed[num_committed:]
        num_committed = len(frame.committed)
        percents = tuple(round(100 * c) for c in frame.confidences)
        moves = tuple(msgspec.structs.replace(move, p=round(move.p, 4)) for move in frame.moves)
        steps.append(Step(frame.step, new, frame.block_ids, frame.block_states, percents, moves))
        seen.update(new, frame.block_ids, (move.removed for move in frame.moves if move.removed >= 0))
        result = frame.result or result
    if result is None:
        raise ValueError("the frames of a run end with its result, but these have none")
    seen.update(result.ids)
    texts = {i: base64.b64encode(tokenizer.token_bytes[i]).decode() for i in sorted(seen) if i >= NUM_RESERVED}
    return Trajectory(format=FORMAT, before=before, steps=tuple(steps), texts=texts, result=result)


def encode_trajectory(trajectory: Trajectory) -> bytes:
    return msgspec.json.encode(trajectory)


def decode_trajectory(data: bytes, *, name: str = "the file") -> Trajectory:
    """The trajectory in a file's bytes. Raises TrajectoryError for anything else."""
    try:
        trajectory = msgspec.json.decode(data, type=Trajectory)
        bytes_of(trajectory)
    except (msgspec.MsgspecError, ValueError) as error:
        raise TrajectoryError(f"{name} is not a recorded trajectory ({error})") from None
    if trajectory.format != FORMAT:
        raise TrajectoryError(f"{name} is a trajectory of format {trajectory.format}; this version reads {FORMAT}")
    return trajectory


def bytes_of(trajectory: Trajectory) -> BytesOf:
    table = {i: base64.b64decode(text, validate=True) for i, text in trajectory.texts.items()}
    return lambda i: table.get(i, b"")


def frames_of(trajectory: Trajectory) -> list[Frame]:
    """The frames again, confidences to a percent."""
    frames: list[Frame] = []
    committed: tuple[int, ...] = ()
    for index, step in enumerate(trajectory.steps):
        committed += step.committed
        frames.append(
            Frame(
                step=step.step,
                committed=committed,
                block_ids=step.block_ids,
                block_states=step.block_states,
                confidences=tuple(percent / 100 for percent in step.percents),
                moves=step.moves,
                result=trajectory.result if index == len(trajectory.steps) - 1 else None,
            )
        )
    return frames


def cells_of(frame: Frame, bytes_of: BytesOf) -> list[Cell]:
    """What to show of a frame. A character whose bytes lie in several tokens is shown with the last of them."""
    kinds: list[CellKind] = ["committed"] * len(frame.committed)
    kinds.extend(_kind_of(state) for state in frame.block_states)
    for index, kind in changed_rows(frame.moves):
        if len(frame.committed) + index < len(kinds):
            kinds[len(frame.committed) + index] = kind
    ids = (*frame.committed, *frame.block_ids)
    confidences = [1.0] * len(frame.committed) + list(frame.confidences)
    cells: list[Cell] = []
    pending = b""
    for place, (token, kind, confidence) in enumerate(zip(ids, kinds, confidences, strict=True)):
        masked = place >= len(frame.committed) and frame.block_states[place - len(frame.committed)] == MASKED
        if masked:
            if pending:
                cells.append(Cell(visible(pending.decode("utf-8", errors="replace")), "draft", confidence))
                pending = b""
            cells.append(Cell(MASK_CHAR, kind, confidence))
            continue
        pending += bytes_of(token)
        is_last = place == len(ids) - 1
        cut = len(pending) if is_last else len(pending) - _cut_bytes(pending)
        text, pending = pending[:cut].decode("utf-8", errors="replace"), pending[cut:]
        cells.append(Cell(visible(text), kind, confidence))
    return cells


def _kind_of(state: int) -> CellKind:
    return "masked" if state == MASKED else "locked" if state == LOCKED else "draft"


def changed_rows(moves: Sequence[Move]) -> list[tuple[int, CellKind]]:
    """Rows of the block *after* the step that a move changed."""
    changed: list[tuple[int, CellKind]] = []
    shift = 0
    for move in moves:
        index = move.index + shift
        if move.kind == "delete":
            shift -= 1
        elif move.kind == "insert":
            changed.extend((index + k, "inserted") for k in range(move.count))
            shift += move.count
        elif move.kind == "unmask":
            changed.append((index, "unmasked"))
        elif move.kind == "substitute":
            changed.append((index, "substituted"))
        elif move.kind == "remask":
            changed.append((index, "remasked"))
        else:
            changed.append((index, "end"))
    return changed


def summary(frame: Frame) -> str:
    """The moves of a step in words: `3 unmasked, 1 substituted`."""
    names = {"unmask": "unmasked", "substitute": "substituted", "delete": "deleted", "remask": "remasked"}
    names |= {"insert": "inserted", "end": "end of text"}
    counts: dict[str, int] = {}
    for move in frame.moves:
        counts[move.kind] = counts.get(move.kind, 0) + (move.count if move.kind == "insert" else 1)
    return ", ".join(names[kind] if kind == "end" else f"{n} {names[kind]}" for kind, n in counts.items()) or "no move"


def plain_text(trajectory: Trajectory) -> str:
    """One paragraph a step: what happened, then the canvas with masks as ░. Safe to print on any terminal."""
    of = bytes_of(trajectory)
    parts = []
    for frame in frames_of(trajectory):
        canvas = "".join(cell.text for cell in cells_of(frame, of))
        parts.append(f"step {frame.step}: {summary(frame)}\n{visible(trajectory.before)}{canvas}\n")
    result = trajectory.result
    parts.append(
        f"{result.reason}: {len(result.ids)} tokens, {result.steps} steps, {result.forwards} forwards, "
        f"confidence {result.confidence:.2f}\n"
    )
    return "\n".join(parts)


def visible(text: str) -> str:
    """Untrusted text for a person's eyes: control, bidirectional, invisible characters named, tabs as four spaces."""
    return "".join(char if char == "\n" or char.isprintable() else _named(char) for char in text)


def _named(char: str) -> str:
    if char == "\t":
        return "    "
    if unicodedata.category(char) == "Zs":
        return " "
    return f"⟨U+{ord(char):04X}⟩"


def _cut_bytes(data: bytes) -> int:
    """How many bytes at the end are the beginning of a UTF-8 character that is not complete."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return back if needed > back else 0
    return 0
