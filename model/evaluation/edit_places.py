"""Places in held-out text where an edit is asked for in words: old code, instruction, and the code as it stands.

Every document is cut into stretches of whole lines, as long as a training window; each kind of edit gets places spread
over all of them, at most one a stretch and turn. A pure function of the documents and the seed. Source: the old code is
made as in training (model/training/rewrite_edits.py), from projects that training never saw. Left out: instructions
in other words than training has seen, and edits that people made.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

import msgspec

from model.evaluation.decode import Place
from model.lines import lines_of
from model.training.rewrite_edits import find_rewrite, may_have

STRETCH_LINES = 70
MAX_SPAN_TOKENS = 120
"""What fits a context of 512 twice, with room to grow; training shows a little more."""
CHARS_PER_TOKEN = 3
NUM_TURNS = 3


class EditPlace(msgspec.Struct, frozen=True):
    """At `place` stands `old`; the answer should be place.gold."""

    kind: str
    place: Place
    old: str
    instruction: str


def edit_places(
    documents: Sequence[tuple[str, str]], kind: str, *, num: int, seed: int, num_tokens: Callable[[str], int]
) -> list[EditPlace]:
    """At most `num` places for a kind, in random order."""
    rng = Random(f"{kind}/{seed}")
    stretches = [(path, text, start, end) for path, text in sorted(documents) for start, end in _stretches(text)]
    stretches = [stretch for stretch in stretches if may_have(kind, stretch[1][stretch[2] : stretch[3]])]
    found: dict[tuple[str, int, int], EditPlace] = {}
    for _ in range(NUM_TURNS):
        rng.shuffle(stretches)
        for path, text, start, end in stretches:
            if len(found) == num:
                return list(found.values())
            rewrite = find_rewrite(kind, text[start:end], MAX_SPAN_TOKENS * CHARS_PER_TOKEN, rng)
            if rewrite is None:
                continue
            low, high = start + rewrite.start, start + rewrite.end
            if max(num_tokens(rewrite.old), num_tokens(text[low:high])) > MAX_SPAN_TOKENS:
                continue
            place = Place(path=path, before=text[:low], after=text[high:], gold=text[low:high])
            found.setdefault((path, low, high), EditPlace(kind, place, rewrite.old, rewrite.instruction))
    return list(found.values())


def _stretches(text: str) -> list[tuple[int, int]]:
    """Characters of each stretch."""
    lines = lines_of(text)
    borders = [0]
    for first in range(0, len(lines), STRETCH_LINES):
        borders.append(borders[-1] + sum(map(len, lines[first : first + STRETCH_LINES])))
    return list(pairwise(borders))
