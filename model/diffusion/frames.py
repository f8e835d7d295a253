"""What a run shows after each step, and what it ends with.

Source: this project's own design. Left out: the run itself (run.py), and frames on disk (trajectory.py).
"""

from typing import Literal

import msgspec

from model.diffusion.moves import Move

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
