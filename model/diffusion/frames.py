"""What a run shows after each step, and what it ends with.

Source: this project's own design. Left out: the run itself (run.py), and frames on disk (trajectory.py).
"""

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from model.diffusion.block import Row
from model.diffusion.moves import Move
from model.diffusion.states import LOCKED, MASKED

Reason = Literal["eom", "stop", "length", "deadline", "max_steps", "cancelled"]
Interruption = Literal["deadline", "max_steps", "cancelled"]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a run ended with.

    ids: text tokens of the canvas, no special ones. complete: False when the run was interrupted; usable: False when
    ids is no answer at all (an interrupted edit that still held masks; ids is then empty).
    confidence: geometric mean probability of the tokens the model wrote or read, 1.0 if there are none.
    steps: denoising steps; forwards: all passes of the network. prompt_tokens: prompt as given; cached_tokens: of
    those, found in the cache. committed_tokens: canvas tokens whose rows stand in the cache behind the prompt's.
    """

    ids: tuple[int, ...]
    reason: Reason
    complete: bool
    usable: bool
    confidence: float
    steps: int
    forwards: int
    prompt_tokens: int
    cached_tokens: int
    committed_tokens: int


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """The canvas after one step. committed: its final tokens so far, all blocks; block_*: rows of the active block.

    confidences: last known probability of each row (1.0 locked, 0.0 never read). moves: indices are those before the
    step.
    result: only on the last frame.
    """

    step: int
    committed: tuple[int, ...]
    block_ids: tuple[int, ...]
    block_states: tuple[int, ...]
    confidences: tuple[float, ...]
    moves: tuple[Move, ...]
    result: Result | None = None


def frame_of(
    step: int,
    committed: Sequence[int],
    rows: Sequence[Row],
    moves: Iterable[Move],
    *,
    num_hidden: int = 0,
    result: Result | None = None,
) -> Frame:
    """The frame of these rows as they stand, without the first `num_hidden`."""
    shown = rows[num_hidden:]
    if num_hidden:
        moves = [msgspec.structs.replace(move, index=move.index - num_hidden) for move in moves]
    return Frame(
        step=step,
        committed=tuple(committed),
        block_ids=tuple(row.token for row in shown),
        block_states=tuple(row.state for row in shown),
        confidences=tuple(1.0 if row.state == LOCKED else row.confidence or 0.0 for row in shown),
        moves=tuple(moves),
        result=result,
    )


def confidence_of(row: Row) -> float | None:
    """What the row counts with in a result; None = not at all."""
    return None if row.state in (LOCKED, MASKED) else row.confidence


def mean_confidence(confidences: Iterable[float | None]) -> float:
    """The geometric mean of what is known, 1.0 of nothing."""
    known = [math.log(max(c, 1e-12)) for c in confidences if c is not None]
    return math.exp(sum(known) / len(known)) if known else 1.0
