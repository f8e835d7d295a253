"""Orders: their score is the sampler's likelihood, the best proposal is kept, and figures say what they look like."""

import numpy as np
import pytest
import torch

from model.diffusion.objective import allowed_labels
from model.network.config import tiny_test
from model.network.transformer import Transformer
from model.tokenizer import NUM_RESERVED
from model.training.block_runs import draw_runs
from model.training.reveal_order import (
    POLICIES,
    Order,
    best_orders,
    describe,
    name_ids,
    num_revealed,
    skeleton_ids,
)
from model.training.two_stream import hidden_rows, rows_of

SIZES = {"num_rows": 2, "clean_tokens": 192, "noisy_tokens": 160}


@pytest.fixture(scope="module")
def network() -> Transformer:
    torch.manual_seed(5)
    return Transformer(tiny_test(320)).eval().requires_grad_(False)


def score_of(network: Transformer, toy_shards, group: int, steps: bytes) -> float:
    """S of an order, one whole pass a step, on runs of its own."""
    runs = draw_runs(toy_shards, seed=2, number=0, copies=1, **SIZES | {"noisy_tokens": 640})
    run = next(r for r in runs.runs if r.clean == group_text(toy_shards, group))
    allowed_V = allowed_labels(320)[1]
    total = 0.0
    for step in range(max(steps) + 1):
        hidden = hidden_rows(network, rows_of(runs.view()), bf16=False)[:, runs.batch.clean_tokens.shape[1] :]
        log_p = network.logits(hidden).masked_fill(~allowed_V, -1e30).log_softmax(-1)
        rows = [i for i, s in enumerate(steps) if s == step]
        total += sum(float(log_p[run.row, run.offset + i, run.clean[i]]) for i in rows)
        runs.write(run, rows, [run.clean[i] for i in rows])
    return total


def group_text(toy_shards, group: int) -> tuple[int, ...]:
    runs = draw_runs(toy_shards, seed=2, number=0, copies=len(POLICIES), **SIZES)
    return next(run.clean for run in runs.runs if run.group == group)


@pytest.mark.parametrize("num_steps", [2, 4])
def test_scores_are_those_of_the_sampler(toy_shards, network, num_steps) -> None:
    runs = draw_runs(toy_shards, seed=2, number=0, copies=len(POLICIES), **SIZES)
    skeleton = skeleton_ids(toy_shards.tokenizer)
    orders = best_orders(network, runs, num_steps, allowed_labels(320), skeleton, seed=0, bf16=False)
    assert len(orders) == runs.runs[-1].group + 1
    for group, order in enumerate(orders):
        text = group_text(toy_shards, group)
        assert len(order.steps) == len(text)
        counts = np.bincount(np.frombuffer(order.steps, np.uint8), minlength=num_steps)
        assert counts.tolist() == [num_revealed(len(text), step, num_steps) for step in range(num_steps)]
        assert order.score == pytest.approx(score_of(network, toy_shards, group, order.steps), abs=1e-2)


def test_the_best_of_the_proposals_is_kept(toy_shards, network) -> None:
    skeleton = skeleton_ids(toy_shards.tokenizer)
    sizes = SIZES | {"noisy_tokens": 4 * SIZES["noisy_tokens"]}
    best, single = (
        best_orders(
            network,
            draw_runs(toy_shards, seed=2, number=0, copies=copies, **(sizes if copies == 4 else SIZES)),
            4,
            allowed_labels(320),
            skeleton,
            seed=0,
            bf16=False,
        )
        for copies in (4, 1)
    )
    assert {order.policy for order in single} == {POLICIES[0]}
    assert len({order.policy for order in best}) > 1
    shared = min(len(best), len(single))
    assert shared > 3
    assert sum(o.score for o in best[:shared]) > sum(o.score for o in single[:shared])


def test_equal_parts() -> None:
    for num_rows in range(1, 40):
        for num_steps in (1, 2, 4, 8):
            parts = [num_revealed(num_rows, step, num_steps) for step in range(num_steps)]
            assert sum(parts) == num_rows
            assert max(parts) - min(parts) <= 1


def test_figures(toy_shards) -> None:
    encode = toy_shards.tokenizer.encode
    skeleton, names = skeleton_ids(toy_shards.tokenizer), np.zeros(320, bool)
    names[encode("a")[0]] = True
    text = encode("a=a(")
    left = describe([Order(bytes([0, 1, 2, 3]), -8.0, "left")], [text], skeleton, names)
    assert (left.left_to_right, left.declared_first, left.nats_per_token) == (1.0, 1.0, 2.0)
    right = describe([Order(bytes([3, 2, 1, 0]), -8.0, "entropy")], [text], skeleton, names)
    assert (right.left_to_right, right.declared_first) == (0.0, 0.0)
    structure = describe([Order(bytes([1, 0, 1, 0]), -8.0, "skeleton")], [text], skeleton, names)
    assert structure.structure_first == 1.0
    assert structure.policies == {"confidence": 0, "entropy": 0, "left": 0, "skeleton": 1}


def test_what_is_structure(toy_shards) -> None:
    skeleton = skeleton_ids(toy_shards.tokenizer)
    for text, expected in (("(", True), ("\n", True), (" ", True), ("a", False), ("7", False)):
        assert skeleton[toy_shards.tokenizer.encode(text)[0]] == expected, text
    assert not skeleton[:NUM_RESERVED].any()
    assert not name_ids(toy_shards.tokenizer).any()  # single letters are no names
