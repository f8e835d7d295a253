"""The canvas: the editable stretch of code as tokens, and how it is cut into blocks.

A canvas either *grows* (masks are appended block by block until `<eom>` or `max_tokens`) or is *closed* (its given
tokens form a queue that ends in a locked `<eom>`). Given tokens are masks, drafts or locked text in any order.
Source: this project's own design (block diffusion papers know masks only: no drafts, no locked text).
Left out: what a step does to a block (moves.py) and the order of blocks, steps and commits (run.py).
"""

from collections.abc import Sequence

import msgspec

from model.diffusion.policy import MAX_BLOCK
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.tokenizer import EOM, MASK, NUM_RESERVED

MAX_HOLE = 48
"""Most masks of one hole in one block, so that 16 tokens of the text behind it still fit."""
LOOKAHEAD = 16
"""Visible tokens behind a hole that its block takes along."""
HOLE_MASKS = 16
"""Masks a hole of unknown length starts with; `<del>` and `<ins>` then find its length."""
CAPACITIES = (16, 32, 64)

Part = tuple[int, Sequence[int]]
"""(state, token ids); for MASKED only the number of ids counts."""


class Canvas(msgspec.Struct, frozen=True):
    """Tokens and states as given, before the first step.

    ids, states: equally long; MASKED stands exactly on `<mask>`, DRAFT and LOCKED on text tokens. A closed canvas
    ends in a LOCKED `<eom>`, a growing one holds none. max_tokens: most text tokens of the result.
    boundaries: indices into ids where a block should begin (statement starts); hints for drafts only.
    Raises ValueError with one sentence when these do not hold.
    """

    ids: tuple[int, ...]
    states: tuple[int, ...]
    max_tokens: int
    grows: bool = False
    boundaries: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.states):
            raise ValueError(f"a canvas needs one state a token, got {len(self.ids)} tokens, {len(self.states)} states")
        text = self.ids
        if not self.grows:
            if not self.ids or self.ids[-1] != EOM or self.states[-1] != LOCKED:
                raise ValueError("a canvas that does not grow must end in a locked <eom>")
            text = self.ids[:-1]
        for token, state in zip(text, self.states, strict=False):
            if state == MASKED and token != MASK:
                raise ValueError(f"a masked position must hold <mask>, not token {token}")
            if state in (DRAFT, LOCKED) and token < NUM_RESERVED:
                raise ValueError(f"a visible position must hold text, not the special token {token}")
            if state not in (MASKED, DRAFT, LOCKED):
                raise ValueError(f"a position must be masked, draft or locked, not state {state}")
        if self.max_tokens < len(text):
            raise ValueError(f"the canvas holds {len(text)} tokens but allows only {self.max_tokens}")
        if any(not 0 <= b <= len(text) for b in self.boundaries):
            raise ValueError("every boundary must be an index into the canvas")


def masked_canvas(max_tokens: int) -> Canvas:
    """A canvas of masks that grows until `<eom>`, at most `max_tokens` text tokens: a completion."""
    return Canvas(ids=(), states=(), max_tokens=max_tokens, grows=True)


def draft_canvas(
    ids: Sequence[int],
    *,
    locked: Sequence[bool] | None = None,
    max_tokens: int | None = None,
    boundaries: Sequence[int] = (),
) -> Canvas:
    """A closed canvas of visible text: draft where it may be corrected, locked where `locked` says so.

    max_tokens defaults to twice the draft and 64 more.
    """
    marks = [False] * len(ids) if locked is None else locked
    if len(marks) != len(ids):
        raise ValueError(f"locked needs one mark a token, got {len(marks)} for {len(ids)}")
    states = tuple(LOCKED if mark else DRAFT for mark in marks)
    limit = 2 * len(ids) + 64 if max_tokens is None else max_tokens
    return Canvas(ids=(*ids, EOM), states=(*states, LOCKED), max_tokens=limit, boundaries=tuple(boundaries))


def known_length_canvas(num_tokens: int) -> Canvas:
    """`num_tokens` masks and a locked `<eom>`: the oracle-length protocol of infilling benchmarks."""
    return Canvas(ids=(MASK,) * num_tokens + (EOM,), states=(MASKED,) * num_tokens + (LOCKED,), max_tokens=num_tokens)


def mixed_canvas(parts: Sequence[Part], *, max_tokens: int | None = None, boundaries: Sequence[int] = ()) -> Canvas:
    """A canvas of holes, drafts and locked text in order.

    A hole at the end grows (its ids then only bound `max_tokens`); any other hole starts with at most HOLE_MASKS
    masks, and finds its length only with a checkpoint trained for insert-delete.
    """
    ids: list[int] = []
    states: list[int] = []
    room = 64
    grows = bool(parts) and parts[-1][0] == MASKED
    for index, (state, tokens) in enumerate(parts):
        if state == MASKED:
            room += len(tokens)
            if index == len(parts) - 1:
                continue
            tokens = (MASK,) * min(len(tokens), HOLE_MASKS)
        else:
            room += 2 * len(tokens) if state == DRAFT else len(tokens)
        ids.extend(tokens)
        states.extend([state] * len(tokens))
    if not grows:
        ids.append(EOM)
        states.append(LOCKED)
    limit = room if max_tokens is None else max_tokens
    return Canvas(tuple(ids), tuple(states), limit, grows=grows, boundaries=tuple(boundaries))


def block_length(states: Sequence[int], limit: int, boundaries: Sequence[int] = ()) -> int:
    """How many of the queued positions the next block takes; at least 1 of a queue that is not empty.

    states: of the queue, in order, `<eom>` included. boundaries: indices into the queue where a block may begin.
    """
    total = len(states)
    length = min(limit, total)
    if length < total:
        fitting = [b for b in boundaries if 0 < b <= length]
        length = max(fitting, default=length)
    length = _with_text_behind_hole(states, length)
    # More locked text than that at the end tells the block little and would cost rows; it is committed unread.
    num_locked = 0
    while num_locked < length and states[length - 1 - num_locked] == LOCKED:
        num_locked += 1
    length -= max(num_locked - LOOKAHEAD, 0) if num_locked < length else 0
    # A lone <eom> as a block of its own would cost a whole step only to ask for tokens missing before it.
    if length == total - 1 and total <= MAX_BLOCK:
        length = total
    return length


def _with_text_behind_hole(states: Sequence[int], length: int) -> int:
    """`length`, moved so that the last hole is whole and followed by up to LOOKAHEAD tokens of the text behind it.

    Without a visible token to its right in the block a surplus mask could not be deleted. A hole of more than
    MAX_HOLE masks is cut anywhere.
    """
    last_mask = length - 1
    while last_mask >= 0 and states[last_mask] != MASKED:
        last_mask -= 1
    if last_mask < 0:
        return length
    start = end = last_mask
    while start > 0 and states[start - 1] == MASKED:
        start -= 1
    while end < len(states) and states[end] == MASKED:
        end += 1
    if end - start > MAX_HOLE:
        return length
    behind = end
    while behind < len(states) and states[behind] != MASKED and behind - end < LOOKAHEAD:
        behind += 1
    if behind <= MAX_BLOCK:
        return max(length, behind)
    return start  # hole and text do not fit behind what stands before them: the next block begins with the hole


def capacity_of(num_rows: int) -> int:
    """Rows a block of `num_rows` may grow to: the next bucket with room for a quarter more, at most 64."""
    wanted = min(num_rows + num_rows // 4, CAPACITIES[-1])
    return next(c for c in CAPACITIES if c >= wanted)
