"""Old versions with one to three slips of syntax or naming, and what an editor or a person would say of them.

Source: syntax_slips.py. Left out: faults of several places that belong together.
"""

from collections.abc import Iterator, Sequence
from random import Random

from model.training.rewrite_code import Code, Edit, Place, selection
from model.training.syntax_slips import Slip, draw_slip, syntax_slips

MAX_FIX_LINES = 24
SYNTAX_KINDS = frozenset(("missing-bracket", "missing-colon"))


def fix(code: Code, rng: Random) -> Iterator[Place]:
    """Some lines of the text with slips in them, once."""
    text = code.text
    starts = [0, *(i + 1 for i, char in enumerate(text) if char == "\n")]
    first = rng.randrange(len(starts))
    last = min(len(starts) - 1, first + int(MAX_FIX_LINES ** rng.random()))
    while last > first + 1 and starts[last] - starts[first] > code.max_chars:
        last -= 1
    start, end = selection(text, starts[first], starts[last] if last > first else len(text), rng)
    slips = [slip for slip in syntax_slips(text, rng) if start <= slip.start and slip.end <= end]
    taken: list[Slip] = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        slip = draw_slip(slips, rng)
        if slip is None:
            break
        taken.append(slip)
        slips = [other for other in slips if other.end < slip.start or other.start > slip.end]
    if taken:
        asks, words = _asked(taken, rng)
        edits = tuple(Edit(slip.start, slip.end, slip.replacement) for slip in taken)
        yield Place(start, end, edits, asks, words, widens=False)


def _asked(slips: Sequence[Slip], rng: Random) -> tuple[str, dict[str, str]]:
    """Half of the time what an editor's diagnostic would say, where it would say something."""
    if rng.random() < 0.5:
        if any(slip.kind in SYNTAX_KINDS for slip in slips):
            return "syntax-error", {}
        for slip in slips:
            if slip.kind == "undefined-name":
                return "undefined-name", {"name": slip.replacement}
    return "fix", {}
