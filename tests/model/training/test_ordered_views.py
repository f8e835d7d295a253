"""Views along an order show what was revealed before, and ask for what comes next."""

from random import Random

import numpy as np

from model.diffusion.corruption import IGNORE
from model.diffusion.states import DRAFT, MASKED
from model.tokenizer import DEL
from model.training.block_runs import draw_runs
from model.training.ordered_views import LATER_WEIGHT, ordered_views
from model.training.reveal_order import Order, num_revealed

SIZES = {"num_rows": 2, "clean_tokens": 256, "noisy_tokens": 256, "copies": 4}
NUM_STEPS = 4


def left_order(num_tokens: int) -> Order:
    steps = [step for step in range(NUM_STEPS) for _ in range(num_revealed(num_tokens, step, NUM_STEPS))]
    return Order(bytes(steps), 0.0, "left")


def test_views(toy_shards) -> None:
    runs = draw_runs(toy_shards, seed=0, number=0, **SIZES)
    orders = [left_order(len(run.clean)) for run in runs.runs[:: SIZES["copies"]]]
    batch = ordered_views(runs, orders, Random(1))
    num_wrong = num_visible = num_surplus = 0
    shown: dict[int, list[int]] = {}
    for run in runs.runs:
        row, place = run.place
        n = len(run.clean)
        steps = np.frombuffer(orders[run.group].steps, np.uint8)
        tokens, states = batch.noisy_tokens[row, place], batch.noisy_states[row, place]
        labels, weights = batch.noisy_labels[row, place], batch.noisy_weights[row, place]
        is_masked = states[:n] == MASKED
        step = int(steps[is_masked].min())
        shown.setdefault(run.group, []).append(step)
        assert (is_masked == (steps >= step)).all()
        assert (labels[:n][is_masked] == np.array(run.clean)[is_masked]).all()
        weight = n / (steps == step).sum()
        np.testing.assert_allclose(weights[:n][steps == step], weight, rtol=1e-6)
        np.testing.assert_allclose(weights[:n][steps > step], LATER_WEIGHT * weight, rtol=1e-6)
        assert (states[:n][~is_masked] == DRAFT).all()
        for i in np.flatnonzero(~is_masked):
            num_visible += 1
            if tokens[i] != run.clean[i] or labels[i] != IGNORE:
                num_wrong += 1
                assert labels[i] == run.clean[i]
            else:
                assert weights[i] == 0
        if run.width > n:
            num_surplus += 1
            assert (labels[n:] == DEL).all()
            np.testing.assert_allclose(weights[n:].sum(), LATER_WEIGHT * weight, rtol=1e-5)
    assert 0.03 < num_wrong / num_visible < 0.25
    assert num_surplus > 0
    # Copies of one block show different steps.
    assert all(len(set(steps)) == min(NUM_STEPS, len(steps)) for group, steps in shown.items() if _is_long(runs, group))


def _is_long(runs, group: int) -> bool:
    return all(len(run.clean) >= NUM_STEPS for run in runs.runs if run.group == group)
