"""The loss and its gradients against plain autograd on whole logits and against a loop in Python floats."""

import math

import pytest
import torch
import torch.nn.functional as F

from kernels.diffusion_loss.reference import diffusion_loss, label_sets

VOCAB, BANNED, INS, DEL = 29, (0, 3, 6), 5, 4


def case(rows: int, width: int, dtype: torch.dtype = torch.float32):
    generator = torch.Generator().manual_seed(rows)
    hidden = torch.randn(rows, width, generator=generator).to(dtype).requires_grad_()
    head = torch.randn(VOCAB, width, generator=generator).to(dtype).requires_grad_()
    labels = torch.randint(7, VOCAB, (rows,), generator=generator)
    weights = torch.rand(rows, generator=generator)
    weights[:: max(rows // 3, 2)] = 0.0
    sets = torch.randint(0, 4, (rows,), generator=generator)
    allowed = label_sets(VOCAB, banned=BANNED, banned_when_masked=(INS,), banned_when_clean=(INS, DEL))
    return hidden, head, labels, weights, allowed, sets


def whole_logits_loss(hidden, head, labels, weights, allowed, sets):
    logits = F.linear(hidden, head).float().masked_fill(~allowed[sets], float("-inf"))
    each = F.cross_entropy(logits, labels, reduction="none")
    return (torch.where(weights != 0, each, 0) * weights).sum()


def test_label_sets_ban_what_the_rules_ban():
    allowed = label_sets(VOCAB, banned=BANNED, banned_when_masked=(INS,), banned_when_clean=(INS, DEL))
    for state, extra in ((0, {INS, DEL}), (1, {INS}), (2, set()), (3, set())):
        assert {i for i in range(VOCAB) if not allowed[state, i]} == set(BANNED) | extra


def test_equals_a_loop():
    hidden, head, labels, weights, allowed, sets = case(11, 5)
    logits = (hidden @ head.t()).tolist()
    expected = 0.0
    for r in range(11):
        if weights[r] == 0:
            continue
        kept = [value for i, value in enumerate(logits[r]) if allowed[sets[r], i]]
        expected += float(weights[r]) * (math.log(sum(map(math.exp, kept))) - logits[r][int(labels[r])])
    loss, _ = diffusion_loss(hidden, head, labels, weights, allowed, sets, chunk_rows=4)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("chunk_rows", [1, 4, 13, 100])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 5e-2)])
def test_gradients_equal_autograd_on_whole_logits(chunk_rows, dtype, tolerance):
    ours, theirs = case(13, 7, dtype), case(13, 7, dtype)
    loss, each = diffusion_loss(*ours, chunk_rows=chunk_rows)
    expected = whole_logits_loss(*theirs)
    (3.0 * loss).backward()
    (3.0 * expected).backward()
    torch.testing.assert_close(loss, expected, atol=tolerance, rtol=tolerance)
    for i in (0, 1):
        assert ours[i].grad is not None
        assert ours[i].grad.dtype == dtype
        torch.testing.assert_close(ours[i].grad, theirs[i].grad, atol=tolerance, rtol=tolerance)
    assert not each.requires_grad
    torch.testing.assert_close((each * ours[3]).sum(), loss.detach())


def test_rows_of_weight_zero_count_for_nothing_whatever_they_hold():
    hidden, head, labels, weights, allowed, sets = case(9, 6)
    used = weights != 0
    for junk in (-100, BANNED[0]):
        loss, each = diffusion_loss(hidden, head, torch.where(used, labels, junk), weights, allowed, sets)
        grad = torch.autograd.grad(loss, hidden)[0]
        assert math.isfinite(loss.item())
        assert not each[~used].any()
        assert not grad[~used].any()
        assert grad[used].abs().sum(1).min() > 0


def test_a_banned_label_costs_infinity():
    hidden, head, labels, weights, allowed, sets = case(4, 6)
    labels[1], weights[1] = BANNED[0], 1.0
    assert diffusion_loss(hidden, head, labels, weights, allowed, sets)[0].item() == math.inf


def test_without_gradient_it_only_measures():
    hidden, head, *rest = case(5, 6)
    with torch.no_grad():
        loss, _ = diffusion_loss(hidden, head, *rest)
    torch.testing.assert_close(loss, whole_logits_loss(hidden, head, *rest).detach())


def test_the_same_under_autocast():
    ours, theirs = case(13, 8), case(13, 8)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = diffusion_loss(*ours, chunk_rows=5)
        expected = whole_logits_loss(*theirs)
    loss.backward()
    expected.backward()
    assert loss.dtype == torch.float32
    for i in (0, 1):
        assert ours[i].grad is not None
        assert ours[i].grad.dtype == torch.float32
        torch.testing.assert_close(ours[i].grad, theirs[i].grad, atol=3e-2, rtol=3e-2)


def test_one_graph_when_compiled():
    ours, theirs = case(13, 7), case(13, 7)
    compiled = torch.compile(diffusion_loss, backend="aot_eager", fullgraph=True)
    compiled(*ours, chunk_rows=4)[0].backward()
    diffusion_loss(*theirs, chunk_rows=4)[0].backward()
    for i in (0, 1):
        torch.testing.assert_close(ours[i].grad, theirs[i].grad)
