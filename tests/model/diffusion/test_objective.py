"""The loss of packed batches: packing and the number of views change nothing, sub-sampling changes nothing on
average."""

from random import Random

import numpy as np
import pytest
import torch

from model.diffusion.corruption import mask_block, partition
from model.diffusion.objective import allowed_labels, batch_loss, choose_rows
from model.diffusion.states import CLEAN, DRAFT, LOCKED, MASKED
from model.network.config import tiny_test
from model.tokenizer import BOS, CUR, DEL, EOM, FILE, INS, LAYOUT_IDS, MASK, PAD, PRE, SUF, TAIL
from model.training.packing import pack
from model.training.samples import Sample
from model.training.two_stream import hidden_rows, rows_of

LAMBDA = 0.5


def sample_of(rng: Random, num_prompt: int, num_canvas: int) -> Sample:
    def text(n: int) -> list[int]:
        return [64 + rng.randrange(256) for _ in range(n)]

    prompt = [BOS, FILE, *text(5), SUF, *text(num_prompt), PRE, *text(num_prompt), TAIL, *text(3), CUR, *text(2)]
    return Sample([*prompt, *text(num_canvas), EOM], len(prompt), 7, "span")


def views_of(sample: Sample, rng: Random, number: int):
    canvas = sample.ids[sample.canvas_start :]
    return [
        [
            mask_block(canvas[start : start + size], start=start, drawn_size=size, level=rng.random(), rng=rng)
            for start, size in partition(len(canvas), rng)
        ]
        for _ in range(number)
    ]


def loss_of(network, rows, *, clean_tokens=160, noisy_tokens=256, lambda_ar=LAMBDA, num_rows=None, seed=0):
    batch = pack(rows, clean_tokens=clean_tokens, noisy_tokens=noisy_tokens)
    chosen = choose_rows(batch, lambda_ar=lambda_ar, num_rows=num_rows or len(rows) * 416, seed=seed)
    hidden = hidden_rows(network, rows_of(batch), bf16=False)
    return batch_loss(hidden, network.head_weight, chosen, allowed_labels(network.config.vocab_size), lambda_ar)


def total_of(loss) -> float:
    return float(loss.total.detach())


@pytest.fixture
def two_samples():
    rng = Random(5)
    samples = [sample_of(rng, 6, 20), sample_of(rng, 12, 9)]
    return samples, [views_of(sample, rng, 2) for sample in samples]


def test_packed_loss_is_the_unpacked_loss(tiny_network, two_samples):
    samples, views = two_samples
    blocks = [[block for view in of for block in view] for of in views]
    packed = loss_of(tiny_network, [(samples, [(0, b) for b in blocks[0]] + [(1, b) for b in blocks[1]])])
    apart = loss_of(
        tiny_network, [([s], [(0, b) for b in of]) for s, of in zip(samples, blocks, strict=True)], clean_tokens=100
    )
    assert total_of(packed) == pytest.approx(total_of(apart), abs=2e-5)
    assert float(packed.noisy) == pytest.approx(float(apart.noisy), abs=2e-5)
    assert float(packed.clean) == pytest.approx(float(apart.clean), abs=2e-5)


def test_two_views_are_the_mean_of_their_single_losses(tiny_network, two_samples):
    samples, views = two_samples
    sample, (first, second) = samples[0], views[0]
    both = loss_of(tiny_network, [([sample], [(0, b) for b in first + second])])
    single = [loss_of(tiny_network, [([sample], [(0, b) for b in view])]) for view in (first, second)]
    assert float(both.noisy) == pytest.approx(sum(float(s.noisy) for s in single) / 2, abs=2e-5)
    assert float(single[0].noisy) != pytest.approx(float(single[1].noisy), abs=1e-3)


def test_a_block_weighs_as_its_tokens_at_a_flat_prediction(tiny_network, two_samples):
    """n/m times m cross-entropies of log A nats each, divided by n tokens: log A, A = labels a masked row can have."""
    samples, views = two_samples
    for parameter in tiny_network.parameters():
        torch.nn.init.zeros_(parameter)
    sample, view = samples[1], views[1][0]
    whole = [block for block in view if DEL not in block.labels]
    loss = loss_of(tiny_network, [([sample], [(0, b) for b in whole])])
    allowed = allowed_labels(tiny_network.config.vocab_size)
    assert float(loss.noisy) == pytest.approx(float(allowed[MASKED].sum().float().log()), rel=1e-5)
    assert float(loss.clean) == pytest.approx(float(allowed[CLEAN].sum().float().log()), rel=1e-5)
    assert total_of(loss) == pytest.approx(float(loss.noisy + LAMBDA * loss.clean), rel=1e-5)


def test_gradients_are_finite_in_both_precisions(tiny_network, two_samples):
    samples, views = two_samples
    rows = [([s], [(0, b) for view in of for b in view]) for s, of in zip(samples, views, strict=True)]
    loss_of(tiny_network, rows).total.backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in tiny_network.parameters())
    assert float(tiny_network.state_table.grad.abs().sum()) > 0


def test_sub_sampled_clean_rows_have_the_same_mean(tiny_network, two_samples):
    samples, views = two_samples
    rows = [([samples[0]], [(0, b) for b in views[0][0]])]
    whole = loss_of(tiny_network, rows)
    num_noisy = sum(w > 0 for b in views[0][0] for w in b.weights)
    parts = [loss_of(tiny_network, rows, num_rows=num_noisy + 15, seed=s) for s in range(60)]
    assert all(float(p.noisy) == pytest.approx(float(whole.noisy), abs=1e-4) for p in parts)
    clean = [float(p.clean) for p in parts]
    assert np.mean(clean) == pytest.approx(float(whole.clean), abs=4 * np.std(clean) / len(clean) ** 0.5)


def test_too_few_rows_for_the_noisy_ones_are_refused(tiny_network, two_samples):
    samples, views = two_samples
    with pytest.raises(ValueError, match="noisy rows"):
        loss_of(tiny_network, [([samples[0]], [(0, b) for b in views[0][0]])], num_rows=2)


def test_no_loss_on_layout_and_path(two_samples):
    samples, _ = two_samples
    batch = pack([([samples[0]], [])], clean_tokens=120, noisy_tokens=0)
    labels = batch.clean_labels[0]
    assert not set(LAYOUT_IDS) & set(labels.tolist())
    assert (labels[:7] < 0).all()
    assert EOM in labels
    assert batch.num_text_tokens == sum(t not in LAYOUT_IDS for t in samples[0].ids[7:])


def test_labels_that_can_never_be():
    allowed = allowed_labels(tiny_test().vocab_size)
    never = {MASK, PAD, *LAYOUT_IDS, 13, 63}
    for state in (CLEAN, MASKED, DRAFT, LOCKED):
        assert not any(bool(allowed[state, i]) for i in never)
        assert bool(allowed[state, EOM])
        assert bool(allowed[state, 64:].all())
    assert [bool(allowed[s, INS]) for s in (CLEAN, MASKED, DRAFT, LOCKED)] == [False, False, True, True]
    assert [bool(allowed[s, DEL]) for s in (CLEAN, MASKED, DRAFT, LOCKED)] == [False, True, True, True]
