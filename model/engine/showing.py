"""What is shown of a request on its way: its canvas after each step, and text that has become final.

Of a chat only the code is shown, never what the model says about it. Source: the border's events (api.py). Left out:
the last event (generation.py).
"""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from model.diffusion.frames import Frame
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.engine import api
from model.engine.answers import Answer
from model.engine.stopping import whole_characters
from model.tokenizer import EOM

ShownState = Literal["masked", "draft", "locked", "committed"]

_STATE_NAMES: dict[int, ShownState] = {MASKED: "masked", DRAFT: "draft", LOCKED: "locked"}


class _ShownRow(NamedTuple):
    state: ShownState
    token: int
    confidence: float


def progress_of(frame: Frame, token_bytes: Sequence[bytes], num_typed: int, index: int) -> api.Progress:
    """The canvas after a step. num_typed: bytes of a healed token that the user has typed."""
    rows = [_ShownRow("committed", i, 1.0) for i in frame.committed]
    rows += [
        _ShownRow(_STATE_NAMES[state], i, confidence)
        for i, state, confidence in zip(frame.block_ids, frame.block_states, frame.confidences, strict=True)
        if i != EOM
    ]
    pieces: list[api.ProgressPiece] = []
    # A healed canvas begins with the typed bytes, from the moment its first row is written.
    skip = num_typed if rows and rows[0].state != "masked" else 0
    for state, run in groupby(rows, key=_state_of):
        tokens = list(run)
        data = b"" if state == "masked" else b"".join(token_bytes[row.token] for row in tokens)
        data, skip = data[skip:], max(0, skip - len(data))
        pieces.append(
            api.ProgressPiece(
                state=state,
                text=data.decode("utf-8", "replace"),
                num_tokens=len(tokens),
                confidence=_geometric_mean([row.confidence for row in tokens]),
            )
        )
    block = [row.confidence for row in rows[len(frame.committed) :]]
    return api.Progress(step=frame.step, pieces=tuple(pieces), confidence=_geometric_mean(block), index=index)


def chat_progress(frame: Frame, token_bytes: Sequence[bytes], answer: Answer, index: int) -> api.Progress:
    """The code of an answer up to its first mask, between the texts that stay; what is behind that mask counts as
    masks.
    """
    ids, states = (*frame.committed, *frame.block_ids), (*[DRAFT] * len(frame.committed), *frame.block_states)
    num_written = next((i for i, state in enumerate(states) if state == MASKED or ids[i] == EOM), len(ids))
    written = b"".join([token_bytes[i] for i in ids[:num_written]])
    text = written[: whole_characters(written)].decode("utf-8", "replace")
    confidences = [*[1.0] * len(frame.committed), *frame.confidences]
    confidence = _geometric_mean(confidences[:num_written])
    num_masks = 0 if answer.is_closed(text) else len(ids) - num_written
    before, after = answer.locked
    pieces = [
        api.ProgressPiece(state="locked", text=before, num_tokens=0, confidence=1.0),
        api.ProgressPiece(state="draft", text=answer.shown(text), num_tokens=num_written, confidence=confidence),
        api.ProgressPiece(state="masked", text="", num_tokens=num_masks, confidence=0.0),
        api.ProgressPiece(state="locked", text=after, num_tokens=0, confidence=1.0),
    ]
    kept = tuple(piece for piece in pieces if piece.text or (piece.state == "masked" and piece.num_tokens))
    return api.Progress(step=frame.step, pieces=kept, confidence=confidence, index=index)


class Utf8Pieces:
    """Pieces of bytes to pieces of text: a character is held back until it is whole; `skip` first bytes are dropped."""

    def __init__(self, *, skip: int) -> None:
        self._skip = skip
        self._held = b""

    def add(self, data: bytes) -> str:
        dropped = min(self._skip, len(data))
        self._skip -= dropped
        data = self._held + data[dropped:]
        num_whole = whole_characters(data)
        self._held = data[num_whole:]
        return data[:num_whole].decode("utf-8", "replace")


def _state_of(row: _ShownRow) -> ShownState:
    return row.state


def _geometric_mean(probabilities: list[float]) -> float:
    if not probabilities:
        return 1.0
    return math.exp(sum(math.log(max(p, 1e-12)) for p in probabilities) / len(probabilities))
