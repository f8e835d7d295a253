"""The confidence head in Triton against the reference: odd shapes, every form of allowed labels, asked ids."""

import pytest
import torch

from kernels.confidence_head import kernel, reference
from tests.kernels.moved_bytes import Counted

SHAPES = [(1, 16, 2), (1, 64, 1009), (5, 67, 311), (17, 33, 256), (37, 128, 523), (67, 64, 300)]  # R D V


def case(shape, device, dtype):
    R, D, V = shape
    generator = torch.Generator().manual_seed(R * V)
    hidden = (torch.randn(R, D, generator=generator) * D**-0.5).to(device, dtype)
    head = (3 * torch.randn(V, D, generator=generator)).to(device, dtype)
    allowed = torch.rand(R, V, generator=generator) < 0.5
    allowed[:, V // 2] = True
    asked = torch.randint(0, V, (R, 3), generator=generator)
    return hidden, head, allowed.to(device), asked.to(device)


def check(got, hidden, head, allowed=None, sets=None, gather=None) -> None:
    """Against the reference in fp32, as the kernel never rounds a logit; ids by their logits, as near ones may swap."""
    hidden, head = hidden.float(), head.float()
    expected = reference.confidence_head(hidden, head, allowed, sets, gather)
    logits = reference.label_logits(hidden, head, allowed, sets)
    best = logits.gather(1, got.ids_R[:, None])[:, 0]
    torch.testing.assert_close(best, logits.max(1).values, atol=1e-4, rtol=1e-4)
    for name in ("probs_R", "logsumexp_R", "entropy_R", "gathered"):
        value, wanted = getattr(got, name), getattr(expected, name)
        assert (value is None) == (wanted is None)
        if wanted is not None:
            torch.testing.assert_close(value, wanted, atol=1e-4, rtol=1e-4)


@pytest.fixture(autouse=True)
def exact_products():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_the_reference(shape, device, dtype) -> None:
    hidden, head, allowed, asked = case(shape, device, dtype)
    check(kernel.confidence_head(hidden, head, allowed, gather=asked), hidden, head, allowed, gather=asked)


def test_every_form_of_allowed_labels(device, dtype) -> None:
    hidden, head, allowed, asked = case(SHAPES[2], device, dtype)
    sets = torch.tensor([1, 0, 0, 1, 2], device=device)
    for labels, chosen in ((None, None), (allowed[0], None), (allowed, None), (allowed[:3], sets)):
        got = kernel.confidence_head(hidden, head, labels, chosen, asked[:, 0])
        check(got, hidden, head, labels, chosen, asked[:, 0])
        assert got.gathered is not None
        assert got.gathered.shape == (5,)


def test_whole_stretches_may_be_banned(device) -> None:
    hidden, head, _, _ = case((3, 16, 700), device, torch.float32)
    allowed = torch.zeros(700, dtype=torch.bool, device=device)
    allowed[[431, 433]] = True
    asked = torch.tensor([[431, 0], [433, 699], [5, 431]], device=device)
    got = kernel.confidence_head(hidden, head, allowed, gather=asked)
    check(got, hidden, head, allowed, gather=asked)
    assert set(got.ids_R.tolist()) <= {431, 433}


def test_the_smallest_of_equal_labels_wins(device) -> None:
    head = torch.ones(900, 16, device=device)
    got = kernel.confidence_head(torch.ones(2, 16, device=device), head)
    assert got.ids_R.tolist() == [0, 0]
    torch.testing.assert_close(got.probs_R.cpu(), torch.full((2,), 1 / 900))
    allowed = torch.arange(900, device=device) > 600
    assert kernel.confidence_head(torch.ones(2, 16, device=device), head, allowed).ids_R.tolist() == [601, 601]


def test_a_certain_row_has_no_entropy_and_no_nan(device) -> None:
    hidden = torch.full((1, 16), 100.0, device=device)
    head = torch.tensor([1.0, -1.0, 0.5], device=device)[:, None].expand(3, 16).contiguous()
    got = kernel.confidence_head(hidden, head)
    assert (int(got.ids_R), float(got.probs_R), float(got.entropy_R)) == (0, 1.0, 0.0)


@pytest.mark.parametrize("shape", [(32, 256, 1024), (16, 512, 1000), (31, 320, 2048)], ids=str)
def test_a_launch_moves_the_bytes_that_the_readme_counts(shape, device, monkeypatch) -> None:
    if device.type == "cuda":
        pytest.skip("counted by the interpreter")
    hidden, head, allowed, _ = case(shape, device, torch.float16)
    counted = Counted(monkeypatch)
    kernel.confidence_head(hidden, head, allowed)
    R, D, V = shape
    expected = (V + R) * D * 2 + R * V
    assert expected <= counted.num_bytes <= 1.15 * expected


def test_no_rows_are_no_launch(device) -> None:
    got = kernel.confidence_head(torch.empty(0, 16, device=device), torch.ones(3, 16, device=device))
    assert got.ids_R.shape == (0,)
