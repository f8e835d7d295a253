"""Blocks denoised by the device's step against the host's rules on the host's passes: fp32, equal after every step."""

import random

import pytest
import torch

from kernels.ops import ops_for
from model.diffusion.block import Block, asks_of, make_block, make_row, mask_rows
from model.diffusion.device_blocks import BlockStart, DeviceBlocks
from model.diffusion.moves import apply, decide
from model.diffusion.policy import Policy
from model.diffusion.reading import Request, read_logits
from model.diffusion.states import DRAFT
from model.network.config import tiny_test
from model.network.cuda_graphs import Graphs, SequencePart
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.network.paged import PagedNetwork, PagePool
from model.tokenizer import EOM

CAPACITY, NUM_STEPS = 16, 8


class Host:
    """A block behind a prompt, denoised by the host's rules."""

    def __init__(self, network, prompt: list[int], block: Block, policy: Policy) -> None:
        self._network, self.block, self._policy = network, block, policy
        self._cache = KVCache(network.config)
        one_pass(network, self._cache, Rows(torch.tensor([prompt])), None, want_clean=0)
        self._cache.advance(len(prompt))
        self.ended = False

    @torch.inference_mode()
    def step(self) -> None:
        rows = self.block.rows
        for row in rows:
            row.banned = -1  # the device bans no single token
        asks = asks_of(self.block, self._policy.edits)
        if self.ended or not asks:
            return
        tokens, states = [row.token for row in rows], [row.state for row in rows]
        noisy = Rows(torch.tensor([tokens]), torch.tensor([states]))
        _, hidden_1ND = one_pass(self._network, self._cache, None, noisy)
        assert hidden_1ND is not None
        logits = self._network.logits(hidden_1ND[0, [ask.index for ask in asks]])
        (reading,) = read_logits(logits, [Request([], tokens, states, asks, None, None, 0)])
        self.ended = apply(self.block, decide(self.block, asks, reading, self._policy, room=CAPACITY))


@pytest.mark.parametrize("edits", ["none", "substitute"])
def test_every_step_is_the_hosts(make_network, edits) -> None:
    rng = random.Random(11)
    network = make_network(tiny_test(vocab_size=96))
    with torch.no_grad():
        network.embed.weight[EOM] = (
            1.5 * network.embed.weight[70] + 1.5 * network.embed.weight[80]
        )  # often the best label
    policy = Policy(edits=edits, tau_mask=0.04, tau_edit=0.03, own_max=0.5, tau_remask=0.005)
    pool = PagePool(network.config, 8, dtype=torch.float32)
    paged = PagedNetwork(network, pool, max_rows=64, ops=ops_for(torch.device("cpu"), "torch"))
    prefill = Graphs(paged, paged.hidden)
    device = DeviceBlocks(paged, policy, num_blocks=5, capacity=CAPACITY)
    hosts, starts = [], []
    for num_rows in (16, 9, 1, 12):
        prompt = [rng.randrange(64, 96) for _ in range(rng.randint(1, 30))]
        rows = [
            make_row(rng.randrange(64, 96), DRAFT) if rng.random() < 0.3 else mask_rows(1)[0] for _ in range(num_rows)
        ]
        block = make_block(rows, prev_locked=True, end_open=num_rows != 9)
        pages = pool.take(64)
        assert pages is not None
        prefill.run([SequencePart(prompt, [0] * len(prompt), len(prompt), 0, pages)])
        tokens, states = [row.token for row in rows], [row.state for row in rows]
        starts.append(BlockStart(tokens, states, block.end_open, len(prompt), pages))
        hosts.append(Host(network, prompt, block, policy))
    device.begin(starts)
    for _ in range(NUM_STEPS):
        device.step()
        for host, now in zip(hosts, device.read(), strict=False):
            host.step()
            assert now.tokens == [row.token for row in host.block.rows]
            assert now.states == [row.state for row in host.block.rows]
            assert now.ended == host.ended
    assert any(host.ended for host in hosts)
    assert not all(row.state == DRAFT and row.edits_left == 2 for host in hosts for row in host.block.rows)
