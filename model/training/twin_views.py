"""Blocks at random places of true texts, to be filled with what the twin writes there, as the sampler would meet them.

A block is all masks (the first pass), or the twin's text up to some row, or that with further rows visible: the sampler
always writes the leftmost mask and, of the others, those that it is sure of. Rows near the first mask weigh most, since
a pass commits as many tokens as are right from there on. Source: this project; weights that fall with the distance
after Medusa (arXiv 2401.10774, section 2.2). Left out: the text itself (twin_text.py).
"""

import math
from collections.abc import Sequence
from random import Random

from model.diffusion.corruption import IGNORE, NoisyBlock
from model.diffusion.states import DRAFT, MASKED
from model.tokenizer import DEL, EOM, MASK
from model.training.block_runs import draw_row
from model.training.packing import Batch, pack
from model.training.samples import Sample
from model.training.shards import Shards
from model.training.twin_text import Start

MIN_BLOCK, MAX_BLOCK = 4, 32
ALL_MASKED_SHARE = 0.4
SCATTERED_SHARE = 0.3
SCATTERED_CHANCE = 0.3
DECAY = 0.9  # of the weight, a row further from the first mask

Row = tuple[list[Sample], list[Start]]


def draw_starts(
    shards: Shards, *, seed: int, number: int, num_rows: int, clean_tokens: int, noisy_tokens: int
) -> list[Row]:
    """The rows of packet `number`: samples, and where blocks of what size stand. A pure function of its arguments."""
    rows: list[Row] = []
    for row in range(num_rows):
        rng = Random(f"twin/{seed}/{number}/{row}")
        samples = draw_row(shards, rng, clean_tokens)
        rows.append((samples, _starts(samples, row, rng, noisy_tokens)))
    return rows


def _starts(samples: Sequence[Sample], row: int, rng: Random, num_places: int) -> list[Start]:
    """Blocks one behind the other over each canvas, again from another place until the row is full."""
    found: list[Start] = []
    left = num_places
    while left >= MIN_BLOCK:
        owner = rng.randrange(len(samples))
        sample = samples[owner]
        at = sample.canvas_start
        if any(start.sample == owner for start in found):
            at += rng.randrange(len(sample.ids) - at)
        while at < len(sample.ids) and left >= MIN_BLOCK:
            size = min(left, _size(rng))
            found.append(Start(row, owner, at, size))
            left -= size
            at += size
    return found


def _size(rng: Random) -> int:
    return int(MIN_BLOCK * math.exp(rng.random() * math.log((MAX_BLOCK + 1) / MIN_BLOCK)))


def without_noise(rows: Sequence[Row], *, clean_tokens: int) -> Batch:
    """The clean stream of the rows alone."""
    return pack([(samples, []) for samples, _ in rows], clean_tokens=clean_tokens, noisy_tokens=0)


def with_twin_texts(
    rows: Sequence[Row], texts: Sequence[Sequence[int]], rng: Random, *, clean_tokens: int, noisy_tokens: int
) -> Batch:
    """The labelled batch of some rows; `texts` = what the twin writes at their starts, in order."""
    waiting = iter(texts)
    packed: list[tuple[list[Sample], list[tuple[int, NoisyBlock]]]] = []
    for samples, starts in rows:
        blocks = [
            (start.sample, view(next(waiting), start.position - samples[start.sample].canvas_start, start, rng))
            for start in starts
        ]
        packed.append((samples, blocks))
    return pack(packed, clean_tokens=clean_tokens, noisy_tokens=noisy_tokens)


def view(text: Sequence[int], canvas_index: int, start: Start, rng: Random) -> NoisyBlock:
    """A state of the block on its way to `text`. Masked rows are labelled; those behind `<eom>` weigh as one token."""
    n = len(text)
    num_visible = 0 if rng.random() < ALL_MASKED_SHARE else rng.randrange(n)
    visible = set(range(num_visible))
    if rng.random() < SCATTERED_SHARE:
        visible |= {i for i in range(num_visible + 1, n) if text[i] != EOM and rng.random() < SCATTERED_CHANCE}
    num_surplus = start.num_tokens - n  # only behind an <eom>, which is a mask
    masked = [i for i in range(n) if i not in visible]
    fall = [DECAY ** (i - num_visible) for i in masked]
    surplus_fall = DECAY ** (n - num_visible) if num_surplus else 0.0
    scale = n / (sum(fall) + surplus_fall)
    weights = [0.0] * n
    for i, value in zip(masked, fall, strict=True):
        weights[i] = scale * value
    return NoisyBlock(
        start=canvas_index,
        clean=list(text),
        tokens=[token if i in visible else MASK for i, token in enumerate(text)] + [MASK] * num_surplus,
        states=[DRAFT if i in visible else MASKED for i in range(n)] + [MASKED] * num_surplus,
        labels=[IGNORE if i in visible else token for i, token in enumerate(text)] + [DEL] * num_surplus,
        weights=weights + [scale * surplus_fall / max(1, num_surplus)] * num_surplus,
    )
