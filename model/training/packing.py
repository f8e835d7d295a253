"""Static rows for the trainer: several samples and their noisy views side by side, as plain integer vectors.

A row has `clean_tokens` rows of the clean stream and `noisy_tokens` noisy rows. Attention is block-diagonal by
sample, positions restart in each sample, a view repeats the positions of its canvas. The vectors are enough to build
the mask (two_stream.py). Views take turns until the noisy rows are used up; of a canvas longer than a turn random
blocks are taken. Source: two-stream training after Block Diffusion (arXiv 2503.09573, section 3); random partitions
and views are this project's.

Shapes: B rows, C clean places, N noisy places.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

import numpy as np

from model.diffusion.corruption import IGNORE, NoisyBlock, edit_stage_block, mask_block, partition
from model.diffusion.states import CLEAN, LOCKED
from model.tokenizer import PAD
from model.training.mistakes import SlipTable, mistake_sources
from model.training.rewrites import draw_rewrite
from model.training.samples import Sample, draw_sample
from model.training.shards import Shards

Stage = Literal["warm-up", "mask", "edit"]
MAX_VIEWS = 16
MIN_SAMPLE_TOKENS = 64
REWRITE_SHARE = 0.14  # of the draws; those with too little room for one leave about 0.1 of the samples
REWRITE_TOKENS = (224, 320, 1024)
"""Most tokens of a rewrite with what stands around it: an edit needs little to be understood, and many are needed."""
MIN_REWRITE_BLOCK = 12
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class OwnMistakes:
    """A block that waits for the model's own mistakes or draft: noisy places [offset, offset + length) of a row."""

    row: int
    offset: int
    block: NoisyBlock


@dataclass(frozen=True)
class Batch:
    """One packed batch, all int64 but `noisy_weights` (float32).

    `*_sample` = number of the sample within its row, -1 for padding; `noisy_block` = number of the block within its
    row, -1 for padding; `noisy_start` = position of the block's first token: a noisy row sees the clean rows of its
    sample before it. Labels are IGNORE where there is no loss. `num_canvas_tokens` = real tokens of all noisy blocks
    (the loss is a mean over them); `own` = blocks waiting for the model's own mistakes, all in the first half of the
    rows.
    """

    clean_tokens: np.ndarray
    clean_positions: np.ndarray
    clean_sample: np.ndarray
    clean_labels: np.ndarray
    noisy_tokens: np.ndarray
    noisy_positions: np.ndarray
    noisy_states: np.ndarray
    noisy_labels: np.ndarray
    noisy_weights: np.ndarray
    noisy_sample: np.ndarray
    noisy_block: np.ndarray
    noisy_start: np.ndarray
    num_canvas_tokens: int
    num_text_tokens: int
    own: tuple[OwnMistakes, ...] = ()


def make_batch(
    shards: Shards,
    table: SlipTable,
    *,
    stage: Stage,
    seed: int,
    step: int,
    num_rows: int,
    clean_tokens: int = 512,
    noisy_tokens: int = 256,
    rewrite_share: float = REWRITE_SHARE,
) -> Batch:
    """The batch of a step: a pure function of its arguments (no state is carried from step to step). `rewrite_share` =
    share of the draws of the edit stage that are rewrites.
    """
    rows: list[tuple[list[Sample], list[tuple[int, NoisyBlock]]]] = []
    for row in range(num_rows):
        rng = Random(f"{seed}/{step}/{row}")
        samples = _fill_row(shards, rng, clean_tokens, stage, rewrite_share)
        own = stage == "edit" and row < num_rows // 2
        blocks = [] if stage == "warm-up" else _draw_views(samples, table, stage, own, rng, noisy_tokens)
        rows.append((samples, blocks))
    return pack(rows, clean_tokens=clean_tokens, noisy_tokens=0 if stage == "warm-up" else noisy_tokens)


def pack(
    rows: list[tuple[list[Sample], list[tuple[int, NoisyBlock]]]], *, clean_tokens: int, noisy_tokens: int
) -> Batch:
    """Rows of (samples, (sample number, noisy block) pairs) as one static batch. Everything must fit."""
    clean = {name: _full(len(rows), clean_tokens, fill) for name, fill in _CLEAN_FILL.items()}
    noisy = {name: _full(len(rows), noisy_tokens, fill) for name, fill in _NOISY_FILL.items()}
    weights = np.zeros((len(rows), noisy_tokens), np.float32)
    own: list[OwnMistakes] = []
    num_canvas_tokens = 0
    for b, (samples, blocks) in enumerate(rows):
        at = 0
        for number, sample in enumerate(samples):
            n = len(sample.ids)
            place = slice(at, at + n)
            clean["tokens"][b, place] = sample.ids
            clean["positions"][b, place] = np.arange(n)
            clean["sample"][b, place] = number
            clean["labels"][b, place] = [sample.ids[i + 1] if sample.has_text_label(i) else IGNORE for i in range(n)]
            at += n
        at = 0
        for number, (owner, block) in enumerate(blocks):
            n = len(block.tokens)
            place = slice(at, at + n)
            start = samples[owner].canvas_start + block.start
            noisy["tokens"][b, place] = block.tokens
            noisy["positions"][b, place] = np.arange(start, start + n)
            noisy["states"][b, place] = block.states
            noisy["labels"][b, place] = block.labels
            noisy["sample"][b, place] = owner
            noisy["block"][b, place] = number
            noisy["start"][b, place] = start
            weights[b, place] = block.weights
            num_canvas_tokens += len(block.clean)
            if block.own:
                own.append(OwnMistakes(b, at, block))
            at += n
    return Batch(
        **{f"clean_{name}": values for name, values in clean.items()},
        **{f"noisy_{name}": values for name, values in noisy.items()},
        noisy_weights=weights,
        num_canvas_tokens=num_canvas_tokens,
        num_text_tokens=int((clean["labels"] != IGNORE).sum()),
        own=tuple(own),
    )


_CLEAN_FILL = {"tokens": PAD, "positions": 0, "sample": -1, "labels": IGNORE}
_NOISY_FILL = {
    "tokens": PAD,
    "positions": 0,
    "states": LOCKED,
    "labels": IGNORE,
    "sample": -1,
    "block": -1,
    "start": CLEAN,
}


def _full(num_rows: int, num_places: int, fill: int) -> np.ndarray:
    return np.full((num_rows, num_places), fill, np.int64)


def _fill_row(shards: Shards, rng: Random, num_places: int, stage: Stage, rewrite_share: float) -> list[Sample]:
    """Samples until the row is full: half of the first ones may take the whole row, the others half of it at most.
    From the edit stage on some are rewrites."""
    samples: list[Sample] = []
    left = num_places
    while left >= MIN_SAMPLE_TOKENS:
        size = left if rng.random() < 0.5 else max(MIN_SAMPLE_TOKENS, min(left, num_places // 2))
        is_rewrite = stage == "edit" and rng.random() < rewrite_share
        rewrite = draw_rewrite(shards, rng, min(size, rng.choice(REWRITE_TOKENS))) if is_rewrite else None
        sample = rewrite or draw_sample(shards, rng, size, with_lines=stage == "edit")
        samples.append(sample)
        left -= len(sample.ids)
    return samples


def _draw_views(
    samples: list[Sample], table: SlipTable, stage: Stage, own: bool, rng: Random, num_places: int
) -> list[tuple[int, NoisyBlock]]:
    """Noisy blocks of up to MAX_VIEWS views of each sample's canvas, views taking turns, at most `num_places` rows."""
    turn = max(64, num_places // max(1, len(samples)))
    makers = [_block_maker(sample, table, stage, own, rng) for sample in samples]
    taken: list[tuple[int, NoisyBlock]] = []
    left = num_places
    order = list(range(len(samples)))
    for _ in range(MAX_VIEWS):
        rng.shuffle(order)
        for number in order:
            sample = samples[number]
            blocks = _partition(sample, rng)
            spent = 0
            for start, size in blocks:
                if spent >= turn or left < 1:
                    break
                block = makers[number](start, size)
                if len(block.tokens) <= left:
                    taken.append((number, block))
                    spent += len(block.tokens)
                    left -= len(block.tokens)
        if left < 4:
            break
    return taken


def _partition(sample: Sample, rng: Random) -> list[tuple[int, int]]:
    """Blocks in random order; of a rewrite large ones, as the sampler takes them for a draft."""
    smallest = MIN_REWRITE_BLOCK if sample.old else 1
    blocks = partition(len(sample.ids) - sample.canvas_start, rng, smallest)
    rng.shuffle(blocks)
    return blocks


def _block_maker(
    sample: Sample, table: SlipTable, stage: Stage, own: bool, rng: Random
) -> Callable[[int, int], NoisyBlock]:
    """Makes the block of a given start and drawn size. Noise levels follow the golden ratio, so any number of blocks
    of one sample is spread evenly over (0, 1) while each level alone is uniform."""
    canvas = sample.ids[sample.canvas_start :]
    phase = rng.random()
    count = 0
    alpha = rng.uniform(0.0, 0.1)
    sources = mistake_sources(sample, table, own=own) if stage == "edit" else None

    def make(start: int, size: int) -> NoisyBlock:
        nonlocal count
        level = (phase + count * _GOLDEN) % 1.0
        count += 1
        clean = canvas[start : start + size]
        if sources is None:
            return mask_block(clean, start=start, drawn_size=size, level=level, rng=rng)
        # Rounding k at random block by block spreads the canvas's alpha * n edits over its blocks with the same mean.
        num_edits = int(alpha * len(clean) + rng.random())
        return edit_stage_block(
            clean, start=start, drawn_size=size, level=level, num_edits=num_edits, sources=sources, rng=rng
        )

    return make
