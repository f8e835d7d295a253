"""diffusion_loss in Triton against the reference: the loss, each row's loss, and both gradients."""

import math

import pytest
import torch

from kernels.diffusion_loss import kernel, reference

NUM_SETS = 4


def case(num_rows: int, width: int, vocab_size: int, device: torch.device, dtype: torch.dtype):
    generator = torch.Generator().manual_seed(num_rows)
    hidden = torch.randn(num_rows, width, generator=generator)
    head = torch.randn(vocab_size, width, generator=generator)
    allowed = torch.rand(NUM_SETS, vocab_size, generator=generator) < 0.7
    allowed[:, 1] = True
    allowed[0] = False
    allowed[0, -1] = True  # long stretches of banned labels before the only one
    sets = torch.randint(0, NUM_SETS, (num_rows,), generator=generator)
    labels = torch.multinomial(allowed[sets].float(), 1, generator=generator).squeeze(1)
    weights = torch.rand(num_rows, generator=generator)
    weights[:: max(num_rows // 3, 2)] = 0.0
    labels[weights == 0] = -100
    hidden, head = (each.to(device, dtype).requires_grad_() for each in (hidden, head))
    return (hidden, head, *(each.to(device) for each in (labels, weights, allowed, sets)))


@pytest.mark.parametrize("chunk_rows", [1, 4, 100])
@pytest.mark.parametrize("vocab_size", [2, 29, 4099])
def test_loss_and_gradients_equal_the_reference(chunk_rows, vocab_size, device, dtype, tolerance) -> None:
    ours, theirs = (case(13, 8, vocab_size, device, dtype) for _ in range(2))
    loss, each = kernel.diffusion_loss(*ours, chunk_rows=chunk_rows)
    expected, expected_each = reference.diffusion_loss(*theirs, chunk_rows=chunk_rows)
    close = {"atol": 4 * tolerance, "rtol": 4 * tolerance}
    torch.testing.assert_close(each, expected_each, **close)
    torch.testing.assert_close(loss, expected, **close)
    (3.0 * loss).backward()
    (3.0 * expected).backward()
    for i in (0, 1):
        assert ours[i].grad.dtype == dtype
        torch.testing.assert_close(ours[i].grad, theirs[i].grad, **close)
    assert not each.requires_grad


def test_rows_of_weight_zero_count_for_nothing_even_as_nan(device, dtype) -> None:
    hidden, head, labels, weights, allowed, sets = case(9, 6, 29, device, dtype)
    unused = weights == 0
    poisoned = torch.where(unused.unsqueeze(1), torch.nan, hidden.detach()).requires_grad_()
    loss, each = kernel.diffusion_loss(poisoned, head, labels, weights, allowed, sets)
    (grad,) = torch.autograd.grad(loss, poisoned)
    assert math.isfinite(loss.item())
    assert not each[unused].any()
    assert not grad[unused].any()
    assert grad.isfinite().all()


def test_a_banned_label_costs_infinity(device, dtype) -> None:
    hidden, head, labels, weights, allowed, sets = case(4, 6, 29, device, dtype)
    sets[1], labels[1], weights[1] = 0, 5, 1.0
    assert kernel.diffusion_loss(hidden, head, labels, weights, allowed, sets)[0].item() == math.inf


def test_without_gradient_it_only_measures(device, dtype, tolerance) -> None:
    arguments = case(5, 6, 29, device, dtype)
    with torch.no_grad():
        loss, _ = kernel.diffusion_loss(*arguments)
        expected, _ = reference.diffusion_loss(*arguments)
    torch.testing.assert_close(loss, expected, atol=4 * tolerance, rtol=4 * tolerance)
