"""A whole pass over pages with Triton's kernels against the same pass with the references; on a GPU also in a graph.

In fp32 on a GPU both multiply without TF32, so that they may be compared closely.
"""

import random
from collections.abc import Iterator

import msgspec
import pytest
import torch

from kernels.ops import ops_for
from model.diffusion.device_blocks import BlockStart, DeviceBlocks
from model.diffusion.policy import Policy
from model.network.config import tiny_test
from model.network.cuda_graphs import Graphs, SequencePart
from model.network.paged import PagedNetwork, PagePool
from model.network.transformer import Transformer
from model.tokenizer import MASK

MAX_ROWS = 150
CONFIG = msgspec.structs.replace(tiny_test(), d_head=16)  # the kernels serve powers of two


@pytest.fixture
def network(device) -> Iterator[Transformer]:
    torch.manual_seed(0)
    network = Transformer(CONFIG).to(device)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield network.eval()
    torch.set_float32_matmul_precision(before)


def run_all(network: Transformer, kind) -> list[torch.Tensor]:
    """The real rows of some passes of two sequences out of step, and what they left in the pages."""
    device = network.embed.weight.device
    rng = random.Random(1)
    pool = PagePool(network.config, 9, device=device, dtype=torch.float32)
    paged = PagedNetwork(network, pool, max_rows=MAX_ROWS, ops=ops_for(device, kind))
    graphs = Graphs(paged, paged.hidden)
    pages = [pool.take(MAX_ROWS) or [] for _ in range(2)]
    cached, found = [0, 0], []
    for num_clean, num_noisy in ((66, 0), (3, 4)):
        parts = []
        for b in range(2):
            num_rows = num_clean + num_noisy - (b if num_clean > 2 else 0)
            clean = num_clean - (b if num_clean > 2 else 0)
            tokens = [rng.randrange(64, 512) for _ in range(num_rows)]
            states = [0] * clean + [rng.randrange(1, 4) for _ in range(num_noisy)]
            parts.append(SequencePart(tokens, states, clean, cached[b], pages[b]))
            cached[b] += clean
        hidden_BTD = graphs.run(parts)
        found += [hidden_BTD[b, : len(part.tokens)].clone() for b, part in enumerate(parts)]
    used = [pool.k_LPGWK[:, each[: -(-num // 64)]] for each, num in zip(pages, cached, strict=True)]
    return [*found, *used]


def test_equals_the_references(network) -> None:
    for got, expected in zip(run_all(network, "triton"), run_all(network, "torch"), strict=True):
        torch.testing.assert_close(got, expected, atol=2e-5, rtol=2e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_replayed_pass_never_waits_for_the_device(network) -> None:
    device = network.embed.weight.device
    pool = PagePool(network.config, 9, device=device, dtype=torch.float32)
    paged = PagedNetwork(network, pool, max_rows=MAX_ROWS)
    assert paged.ops.kind == "triton"
    graphs = Graphs(paged, paged.hidden)
    part = SequencePart([100] * 16, [1] * 16, 0, 0, pool.take(MAX_ROWS) or [])
    first = graphs.run([part]).clone()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        again = graphs.run([part])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(first, again)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_blocks_are_denoised_without_the_host(network) -> None:
    """Steps on the device, of which the host learns nothing before it asks, against the same steps by references."""
    found = []
    for kind in ("triton", "torch"):
        pool = PagePool(network.config, 9, device=network.embed.weight.device, dtype=torch.float32)
        ops = ops_for(network.embed.weight.device, kind)
        paged = PagedNetwork(network, pool, max_rows=MAX_ROWS, ops=ops)
        blocks = DeviceBlocks(paged, Policy(tau_mask=0.01), num_blocks=2, capacity=16)
        blocks.begin([BlockStart([MASK] * 16, [1] * 16, False, 0, pool.take(MAX_ROWS) or [])])
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error" if kind == "triton" else "default")
        try:
            for _ in range(16):
                blocks.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        found.append(blocks.read()[0])
    assert found[0] == found[1]
    assert MASK not in found[0].tokens
