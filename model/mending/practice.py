"""Damaged and sound lines of training text, to fit the ranking on: what the edit stage of training also sees.

A third of the damage is a slip of syntax or naming (training/syntax_slips.py), a third a token of the tokenizer lost,
put in or exchanged with one from nearby (the noise of training/mistakes.py), a third a bracket, colon, quote or keyword
lost or written twice, such that the parser stumbles (mark_slips.py). Documents that are tables and lines without code
are passed over. Source: this project's own design. Left out: held-out text, which only evaluations may touch.
"""

from collections.abc import Sequence
from random import Random

import msgspec

from model.lines import lines_of
from model.mending.mark_slips import KINDS, mark_slips
from model.mending.words import quiet_rows, words_of
from model.syntax.python import parses
from model.tokenizer import Tokenizer
from model.training.shards import Shards
from model.training.syntax_slips import apply_slip, draw_slip, syntax_slips

MAX_TRIES = 20
MAX_CHARS = 60_000
MIN_LINES = 20
NEAR_TOKENS = 64
NUM_KINDS = 4


class Exercise(msgspec.Struct, frozen=True):
    """A text, one of its rows, and what that row's line should read; it may read so already."""

    path: str
    text: str
    row: int
    wanted: str

    @property
    def is_damaged(self) -> bool:
        return lines_of(self.text)[self.row] != self.wanted


def exercises(shards: Shards, *, num: int, seed: int) -> list[Exercise]:
    """`num` exercises, three in four of them damaged; a pure function of shards and seed."""
    rng = Random(f"practice/{seed}")
    found: list[Exercise] = []
    for number in range(num):
        for _ in range(MAX_TRIES):
            index = rng.randrange(shards.num_documents)
            text = shards.tokenizer.decode(shards.document(index).tolist())
            if len(text) > MAX_CHARS or text.count("\n") < MIN_LINES:
                continue
            exercise = _exercise(shards.paths[index], text, shards.tokenizer, rng, kind=number % NUM_KINDS)
            if exercise is not None:
                found.append(exercise)
                break
    return found


def _exercise(path: str, text: str, tokenizer: Tokenizer, rng: Random, *, kind: int) -> Exercise | None:
    """kind: 0 = a slip, 1 = a token, 2 = none, 3 = a mark."""
    lines = lines_of(text)
    quiet = quiet_rows(text)
    rows = [row for row, line in enumerate(lines) if row not in quiet and len(words_of(line)) > 1]
    if not rows:
        return None
    if kind == 2:
        row = rng.choice(rows)
        return Exercise(path, text, row, lines[row])
    if kind == 3:
        damaged = _mismarked(text, rng)
    else:
        damaged = _slipped(text, rng) if kind == 0 else _noisy(lines, rng.choice(rows), tokenizer, rng)
    if damaged is None or damaged.count("\n") != text.count("\n"):
        return None
    differing = [row for row, pair in enumerate(zip(lines, lines_of(damaged), strict=False)) if pair[0] != pair[1]]
    if len(differing) != 1 or differing[0] not in rows:
        return None
    row = differing[0]
    if _indent(lines[row]) != _indent(lines_of(damaged)[row]) or not lines_of(damaged)[row].strip():
        return None
    return Exercise(path, damaged, row, lines[row])


def _slipped(text: str, rng: Random) -> str | None:
    slip = draw_slip(syntax_slips(text, rng), rng)
    return None if slip is None else apply_slip(text, slip)


def _mismarked(text: str, rng: Random) -> str | None:
    """Every kind with the same chance; None if the parser reads the text all the same."""
    slips = mark_slips(text)
    kind = rng.choice(KINDS)
    of_kind = [slip for slip in slips if slip.kind == kind]
    damaged = apply_slip(text, rng.choice(of_kind)) if of_kind else text
    return None if parses(damaged) else damaged


def _noisy(lines: Sequence[str], row: int, tokenizer: Tokenizer, rng: Random) -> str | None:
    ids = tokenizer.encode(lines[row])
    near = tokenizer.encode("".join(lines[max(0, row - 4) : row + 4]))[:NEAR_TOKENS]
    inside = [i for i, token in enumerate(ids) if tokenizer.token_bytes[token].strip()]
    if not inside:
        return None
    at, form = rng.choice(inside), rng.randrange(3)
    new = [[], [rng.choice(near), ids[at]], [rng.choice(near)]][form]
    try:
        line = tokenizer.decode_bytes([*ids[:at], *new, *ids[at + 1 :]]).decode()
    except UnicodeDecodeError:
        return None
    return "".join([*lines[:row], line, *lines[row + 1 :]])


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
