"""The confidence head against a loop that takes one soft-max at a time."""

import math

import pytest
import torch

from kernels.confidence_head.reference import confidence_head, label_logits


def by_hand(logits: list[float], allowed: list[bool], asked: list[int]):
    kept = {i: value for i, value in enumerate(logits) if allowed[i]}
    top = max(kept.values())
    total = sum(math.exp(value - top) for value in kept.values())
    probs = {i: math.exp(value - top) / total for i, value in kept.items()}
    best = max(kept, key=kept.__getitem__)
    entropy = -sum(p * math.log(p) for p in probs.values() if p > 0)
    return best, probs[best], top + math.log(total), entropy, [probs.get(i, 0.0) for i in asked]


def case(rows: int, width: int, vocab: int, dtype: torch.dtype):
    generator = torch.Generator().manual_seed(rows * vocab)
    hidden = torch.randn(rows, width, generator=generator).to(dtype)
    head = torch.randn(vocab, width, generator=generator).to(dtype)
    allowed = torch.rand(rows, vocab, generator=generator) < 0.5
    allowed[:, vocab // 2] = True
    asked = torch.randint(0, vocab, (rows, 3), generator=generator)
    return hidden, head, allowed, asked


@pytest.mark.parametrize("shape", [(1, 1, 2), (5, 7, 31), (3, 16, 257)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_equals_a_loop(shape, dtype):
    hidden, head, allowed, asked = case(*shape, dtype)
    got = confidence_head(hidden, head, allowed, gather=asked)
    logits = (hidden @ head.t()).float()
    assert got.gathered is not None
    for r in range(shape[0]):
        best, prob, total, entropy, probs = by_hand(logits[r].tolist(), allowed[r].tolist(), asked[r].tolist())
        assert int(got.ids_R[r]) == best
        assert float(got.probs_R[r]) == pytest.approx(prob, abs=1e-5)
        assert float(got.logsumexp_R[r]) == pytest.approx(total, abs=1e-4)
        assert float(got.entropy_R[r]) == pytest.approx(entropy, abs=1e-4)
        assert got.gathered[r].tolist() == pytest.approx(probs, abs=1e-5)
    assert all(x.dtype == torch.float32 for x in (got.probs_R, got.logsumexp_R, got.entropy_R, got.gathered))


def test_allowed_labels_may_be_one_set_or_a_table_of_sets():
    hidden, head, allowed, asked = case(4, 6, 19, torch.float32)
    table, sets = allowed[:2], torch.tensor([1, 0, 0, 1])
    by_table = confidence_head(hidden, head, table, sets, gather=asked[:, 0])
    by_row = confidence_head(hidden, head, table[sets], gather=asked[:, 0])
    for left, right in zip(by_table, by_row, strict=True):
        assert left is not None
        assert right is not None
        assert torch.equal(left, right)
    one_set = label_logits(hidden, head, allowed[0])
    assert torch.equal(one_set.isinf(), ~allowed[:1].expand(4, -1))


def test_a_certain_row_has_no_entropy_and_no_nan():
    hidden = torch.tensor([[1000.0]])
    got = confidence_head(hidden, torch.tensor([[1.0], [-1.0], [0.5]]), torch.tensor([True, True, False]))
    assert got.gathered is None
    assert (int(got.ids_R), float(got.probs_R), float(got.entropy_R)) == (0, 1.0, 0.0)
