"""Training views along kept orders: a block as the sampler that reveals so would see it, and what it should say next.

For a random step k of an order the rows of earlier steps are visible and the others masks. The rows revealed next weigh
n / (number of them), later ones a fifth of that; one visible token in ten is wrong and labelled with the true one.
Source: constrained-order training of Seed Diffusion (arXiv 2508.02193, §3.1); weights and edit noise are this
project's. Left out: finding orders (reveal_order.py), the loop (constrained_order.py).
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np

from model.diffusion.corruption import IGNORE
from model.diffusion.states import DRAFT
from model.tokenizer import DEL, EOM
from model.training.block_runs import BlockRuns, Run
from model.training.packing import Batch
from model.training.reveal_order import Order

LATER_WEIGHT = 0.2
WRONG_SHARE = 0.1


def ordered_views(runs: BlockRuns, orders: Sequence[Order], rng: Random) -> Batch:
    """A batch with one view of each run, drawn along the order of its group; the runs must be fresh, and are used up.

    Copies of a block get different steps as far as there are enough.
    """
    labels = np.full_like(runs.tokens, IGNORE)
    weights = np.zeros(runs.tokens.shape, np.float32)
    waiting: dict[int, list[int]] = {}
    for run in runs.runs:
        steps = np.frombuffer(orders[run.group].steps, np.uint8)
        if not waiting.get(run.group):
            waiting[run.group] = rng.sample(sorted(set(steps.tolist())), len(set(steps.tolist())))
        _show(runs, run, steps, waiting[run.group].pop(), rng, labels, weights)
    return replace(runs.view(), noisy_labels=labels, noisy_weights=weights)


def _show(
    runs: BlockRuns, run: Run, steps: np.ndarray, step: int, rng: Random, labels: np.ndarray, weights: np.ndarray
) -> None:
    visible = np.flatnonzero(steps < step).tolist()
    runs.write(run, visible, [run.clean[i] for i in visible])
    weight = len(steps) / int((steps == step).sum())
    for i in np.flatnonzero(steps >= step).tolist():
        labels[run.row, run.offset + i] = run.clean[i]
        weights[run.row, run.offset + i] = weight if steps[i] == step else LATER_WEIGHT * weight
    surplus = range(run.offset + len(run.clean), run.offset + run.width)
    if len(surplus) and runs.alive[run.row, surplus[0]]:  # the end is not revealed yet: they count as one token
        labels[run.row, surplus] = DEL
        weights[run.row, surplus] = LATER_WEIGHT * weight / len(surplus)
    for i in visible:
        if run.clean[i] != EOM and rng.random() < WRONG_SHARE:
            at = run.row, run.offset + i
            assert runs.states[at] == DRAFT, "only visible rows are made wrong"
            runs.tokens[at] = rng.choice([token for token in run.clean if token != EOM])
            labels[at], weights[at] = run.clean[i], LATER_WEIGHT * weight
