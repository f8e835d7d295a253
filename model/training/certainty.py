"""The certainty stage: the noisy stream learns to say at once what the clean stream writes token by token.

The teacher is a frozen copy of the checkpoint's own clean stream, greedy, from random places of true texts. Its text is
a function of what stands before it, so, unlike the true text, it can be known, and a network that is sure of it writes
several right tokens a pass. One step in three replays the edit stage; the clean stream goes on with true text only.
Source: certainty forcing (dParallel, arXiv 2509.26488) and sequence-level distillation (arXiv 1606.07947); a teacher
that shares the weights is this project's. Left out: a verifier and a cost (on_policy.py), orders
(constrained_order.py).
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random

import msgspec
import numpy as np
import torch
from torch import Tensor

from model.diffusion.states import MASKED
from model.network.transformer import Transformer
from model.training.fine_tune import FineTuneOptions, FineTuner, frozen_copy
from model.training.packing import Batch
from model.training.shards import Shards, open_shards
from model.training.twin_text import twin_texts
from model.training.twin_views import Row, draw_starts, with_twin_texts, without_noise
from model.training.two_stream import Forward, hidden_rows, rows_of, two_stream_hidden

REPLAY_EVERY = 3
NUM_AHEAD = 4
"""Batches whose texts are written in one go: a step of the twin has few rows."""
NUM_FIGURE_PACKETS = 2
MEASURE_EVERY = 150
MEASURED_OFFSETS = (1, 2, 4, 8)
SURE = 0.5


class CertaintyFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Masked rows of held-out blocks against the twin's text, after `step` steps.

    lead = mean number of rows, from the first mask on, whose best label is the twin's token. agreement = share of right
    rows by offset from the first mask (1, 2, 4, 8). sure = share of rows with a probability above 0.5; sure_right = of
    those, the right ones.
    """

    step: int
    lead: float
    agreement: tuple[float, ...]
    sure: float
    sure_right: float


def force_certainty(
    options: FineTuneOptions, say: Callable[[str], None], forward: Forward = two_stream_hidden
) -> list[CertaintyFigures]:
    """Runs the stage, writes the checkpoint to `options.out`, and gives the curve. Raises TrainError or ShardError."""
    tuner = FineTuner(options, forward)
    teacher = frozen_copy(tuner.network)
    development = list(_development(teacher, options, tuner.allowed_KV))
    curve = [measure(tuner, development)]
    say(_line(curve[-1], tuner))
    batches = twin_batches(teacher, tuner.shards, options, tuner.allowed_KV)
    while tuner.num_steps == 0 or tuner.share() < 1.0:
        is_replay = tuner.num_steps % REPLAY_EVERY == REPLAY_EVERY - 1
        noisy, clean = tuner.learn(tuner.replay(tuner.num_steps) if is_replay else next(batches))
        if tuner.num_steps % 20 == 0:
            say(f"step {tuner.num_steps}, {100 * tuner.share():.0f} %: noisy {noisy:.3f}, clean {clean:.3f}")
        if tuner.num_steps % MEASURE_EVERY == 0:
            curve.append(measure(tuner, development))
            say(_line(curve[-1], tuner))
            _save(tuner)
    _save(tuner)
    curve.append(measure(tuner, development))
    say(_line(curve[-1], tuner))
    return curve


def _save(tuner: FineTuner) -> None:
    tuner.save({"stage": "certainty", "certainty_steps": tuner.num_steps})


def twin_batches(
    teacher: Transformer, shards: Shards, options: FineTuneOptions, allowed_KV: Tensor, *, seed: str = "train"
) -> Iterator[Batch]:
    """Labelled batches without end: a pure function of the arguments."""
    number = 0
    while True:
        rows = draw_starts(
            shards,
            seed=options.seed,
            number=number,
            num_rows=NUM_AHEAD * options.num_rows,
            clean_tokens=options.clean_tokens,
            noisy_tokens=options.noisy_tokens,
        )
        yield from _batches(rows, teacher, options, allowed_KV, Random(f"{seed}/{options.seed}/{number}"))
        number += 1


def _batches(
    rows: Sequence[Row], teacher: Transformer, options: FineTuneOptions, allowed_KV: Tensor, rng: Random
) -> Iterator[Batch]:
    clean = without_noise(rows, clean_tokens=options.clean_tokens)
    starts = [start for _, starts in rows for start in starts]
    texts = iter(twin_texts(teacher, clean, starts, allowed_KV, bf16=options.bf16))
    for low in range(0, len(rows), options.num_rows):
        part = rows[low : low + options.num_rows]
        own = [next(texts) for _, starts in part for _ in starts]
        yield with_twin_texts(part, own, rng, clean_tokens=options.clean_tokens, noisy_tokens=options.noisy_tokens)


def _development(teacher: Transformer, options: FineTuneOptions, allowed_KV: Tensor) -> Iterator[Batch]:
    batches = twin_batches(teacher, open_shards(options.shards, "heldout"), options, allowed_KV, seed="heldout")
    for _ in range(NUM_FIGURE_PACKETS * NUM_AHEAD):
        yield next(batches)


@torch.no_grad()
def measure(tuner: FineTuner, batches: Sequence[Batch]) -> CertaintyFigures:
    """The figures of held-out batches."""
    leads: list[int] = []
    by_offset: dict[int, list[bool]] = {offset: [] for offset in MEASURED_OFFSETS}
    sure: list[bool] = []
    right_if_sure: list[bool] = []
    for batch in batches:
        best, p = _reading(tuner, batch)
        right = (best == batch.noisy_labels) & (batch.noisy_states == MASKED)
        for places in _blocks(batch):
            masked = places[batch.noisy_states[places[:, 0], places[:, 1]] == MASKED]
            hits = right[masked[:, 0], masked[:, 1]].tolist()
            is_sure = (p[masked[:, 0], masked[:, 1]] > SURE).tolist()
            leads.append(hits.index(False) if False in hits else len(hits))
            for offset in MEASURED_OFFSETS:
                by_offset[offset] += hits[offset - 1 : offset]
            sure += is_sure
            right_if_sure += [hit for hit, is_one in zip(hits, is_sure, strict=True) if is_one]
    return CertaintyFigures(
        step=tuner.num_steps,
        lead=sum(leads) / len(leads),
        agreement=tuple(sum(hits) / max(1, len(hits)) for hits in by_offset.values()),
        sure=sum(sure) / len(sure),
        sure_right=sum(right_if_sure) / max(1, len(right_if_sure)),
    )


def _reading(tuner: FineTuner, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Best label of each noisy row (B, N) as a mask would have it, and its probability."""
    options = tuner.options
    hidden_BTD = hidden_rows(tuner.network, rows_of(batch, options.device), bf16=options.bf16)
    hidden_BND = hidden_BTD[:, batch.clean_tokens.shape[1] :]
    best, p = [], []
    for hidden_ND in hidden_BND:
        logits_NV = torch.nn.functional.linear(hidden_ND, tuner.network.head_weight.to(hidden_ND.dtype)).float()
        top = logits_NV.masked_fill(~tuner.allowed_KV[MASKED], float("-inf")).softmax(-1).max(-1)
        best.append(top.indices.cpu().numpy())
        p.append(top.values.cpu().numpy())
    return np.stack(best), np.stack(p)


def _blocks(batch: Batch) -> Iterator[np.ndarray]:
    """The places (row, column) of each block."""
    for row, blocks in enumerate(batch.noisy_block):
        for number in range(blocks.max() + 1):
            columns = np.flatnonzero(blocks == number)
            yield np.stack((np.full_like(columns, row), columns), 1)


def _line(figures: CertaintyFigures, tuner: FineTuner) -> str:
    agreement = ", ".join(f"{100 * share:.0f}" for share in figures.agreement)
    return (
        f"step {figures.step}, {100 * tuner.share():.0f} %: {figures.lead:.2f} right rows in a row, {agreement} % "
        f"right at offsets 1, 2, 4, 8; sure of {100 * figures.sure:.0f} %, "
        f"{100 * figures.sure_right:.0f} % of them right"
    )
