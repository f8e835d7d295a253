"""Syntax errors in held-out text: one bracket, colon, quote or keyword deleted, or written twice.

Only what a parser rejects counts: Python's or the server's. The eight kinds take turns, so each weighs the same; a
document weighs by its places. The choice is a pure function of documents and seed. Source: this project's own protocol
over mending/mark_slips.py. Left out: two faults in a text, other tokens, indentation.
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import msgspec

from model.mending.mark_slips import KINDS, mark_slips
from model.syntax.errors import num_errors
from model.syntax.python import parses
from model.training.syntax_slips import apply_slip


class SyntaxFault(msgspec.Struct, frozen=True, kw_only=True):
    """A text and the same with one error, at character `start`."""

    kind: str
    path: str
    start: int
    text: str
    text_bad: str


class Faults(NamedTuple):
    """num_sound: of each kind, how many more were drawn that no parser rejects."""

    faults: list[SyntaxFault]
    num_sound: dict[str, int]


def make_syntax_faults(documents: Sequence[tuple[str, str]], *, num: int, seed: int) -> Faults:
    """At most `num` faults in (path, text) documents, each at a place of its own; fewer where there are too few.

    Documents that are no sound Python are passed over.
    """
    sound = [(path, text) for path, text in sorted(documents) if _is_sound(text)]
    places = [(path, text, slip) for path, text in sound for slip in mark_slips(text)]
    rng = Random(f"syntax/{seed}")
    of_kind = {kind: [place for place in places if place[2].kind == kind] for kind in KINDS}
    for waiting in of_kind.values():
        rng.shuffle(waiting)
    faults: list[SyntaxFault] = []
    num_sound = dict.fromkeys(KINDS, 0)
    for number in range(num):
        kind = KINDS[number % len(KINDS)]
        while of_kind[kind]:
            path, text, slip = of_kind[kind].pop()
            text_bad = apply_slip(text, slip)
            if _is_sound(text_bad):
                num_sound[kind] += 1
                continue
            faults.append(SyntaxFault(kind=kind, path=path, start=slip.start, text=text, text_bad=text_bad))
            break
    return Faults(faults, num_sound)


def _is_sound(text: str) -> bool:
    return parses(text) and not num_errors(text, "python")
