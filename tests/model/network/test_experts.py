"""A mixture against its equations, written out token by token; whatever pass runs it, the rows are the same."""

import random

import msgspec
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.ops import ops_for
from model.network.config import Experts, tiny_test
from model.network.cuda_graphs import Graphs, SequencePart
from model.network.experts import Mixture
from model.network.kv_cache import KVCache
from model.network.many_passes import Pass, many_passes
from model.network.one_pass import Rows, one_pass
from model.network.packed import can_pack
from model.network.paged import PagedNetwork, PagePool
from model.network.transformer import DenseLayer, ExpertLayer

D = 48
QWEN = Experts(num_experts=8, num_chosen=3, d_ff=16, router="softmax")
LING = Experts(
    num_experts=12, num_chosen=3, d_ff=16, router="sigmoid", d_shared=32, num_dense_layers=1, num_groups=4,
    num_chosen_groups=2, scale=2.5,
)  # fmt: skip
KINDS = {
    "qwen": QWEN,
    "qwen, not to one": msgspec.structs.replace(QWEN, sums_to_one=False),
    "ling": LING,
    "ling without groups": msgspec.structs.replace(LING, num_groups=1, num_chosen_groups=1, d_shared=0),
    "one expert": msgspec.structs.replace(QWEN, num_chosen=1),
}


def mixture_of(experts: Experts, seed: int = 0) -> Mixture:
    torch.manual_seed(seed)
    mixture = Mixture(D, experts)
    for parameter in mixture.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return mixture.requires_grad_(False)


def feed(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    gate, up = (gate_up @ x).chunk(2)
    return down @ (F.silu(gate) * up)


def by_the_equations(mixture: Mixture, x_D: Tensor) -> Tensor:
    """One row: arXiv 2412.19437, equations 12 to 16, and Qwen3-MoE's router."""
    experts = mixture.config
    logits = mixture.router.weight @ x_D
    scores = torch.softmax(logits, 0) if experts.router == "softmax" else torch.sigmoid(logits)
    wishes = scores if mixture.router_bias is None else scores + mixture.router_bias
    allowed = list(range(experts.num_experts))
    if experts.num_groups > 1:
        size = experts.num_experts // experts.num_groups
        groups = [allowed[start : start + size] for start in range(0, experts.num_experts, size)]
        groups.sort(key=lambda group: -sum(sorted((float(wishes[e]) for e in group), reverse=True)[:2]))
        allowed = [e for group in groups[: experts.num_chosen_groups] for e in group]
    chosen = sorted(allowed, key=lambda e: -float(wishes[e]))[: experts.num_chosen]
    total = sum(scores[e] for e in chosen) if experts.sums_to_one else 1.0
    answer = torch.zeros_like(x_D)
    for e in chosen:
        answer += experts.scale * scores[e] / total * feed(x_D, mixture.experts_gate_up[e], mixture.experts_out[e])
    if mixture.shared is not None:
        answer += feed(x_D, mixture.shared.gate_up.weight, mixture.shared.mlp_out.weight)
    return answer


@pytest.mark.parametrize("kind", KINDS)
def test_a_mixture_is_its_equations(kind: str) -> None:
    mixture = mixture_of(KINDS[kind])
    x_BTD = torch.randn(2, 17, D)
    wanted = torch.stack([by_the_equations(mixture, row) for row in x_BTD.flatten(0, 1)]).view_as(x_BTD)
    torch.testing.assert_close(mixture(x_BTD), wanted, atol=1e-5, rtol=1e-5)
    assert wanted.abs().max() > 0.1


def test_the_bias_chooses_but_does_not_weigh() -> None:
    mixture = mixture_of(KINDS["ling without groups"])
    assert mixture.router_bias is not None
    x_RD = torch.randn(40, D)
    _, before = mixture.route(x_RD)
    mixture.router_bias[:] = 0.0
    mixture.router_bias[5] = 10.0
    chosen, weights = mixture.route(x_RD)
    assert (chosen == 5).any(1).all()
    torch.testing.assert_close(weights.sum(1), before.sum(1))  # to one, times the scale
    assert weights.max() < 2.5


def test_experts_come_from_the_best_groups_alone() -> None:
    mixture = mixture_of(LING)
    chosen, _ = mixture.route(torch.randn(100, D))
    groups = chosen // 3
    assert all(len(set(row.tolist())) <= 2 for row in groups)
    assert len(set(groups.flatten().tolist())) == 4


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    mixture = mixture_of(LING)
    x_BTD = torch.randn(1, 30, D)
    together = mixture(x_BTD)
    for i in (0, 13, 29):
        torch.testing.assert_close(mixture(x_BTD[:, i : i + 1]), together[:, i : i + 1], atol=1e-6, rtol=1e-5)


def test_bf16_is_close_and_stays_bf16() -> None:
    mixture = mixture_of(QWEN)
    x_BTD = torch.randn(1, 20, D).bfloat16()
    wide = mixture(x_BTD.float())
    narrow = mixture.bfloat16()(x_BTD)
    assert narrow.dtype == torch.bfloat16
    assert (narrow.float() - wide).norm() < 0.05 * wide.norm()


@pytest.fixture
def network(make_network):
    config = msgspec.structs.replace(
        tiny_test(), num_layers=3, experts=LING, attention="block-causal", cache_unit=4, d_rotary=6, state_vectors=False
    )
    made = make_network(config)
    for layer in made.layers:
        if isinstance(layer, ExpertLayer):  # so that the choices are clear
            torch.nn.init.normal_(layer.mixture.router.weight)
    return made


def test_the_first_layers_are_dense(network) -> None:
    kinds = [type(layer) for layer in network.layers]
    assert kinds == [DenseLayer, ExpertLayer, ExpertLayer]
    assert not can_pack(network)


def test_every_kind_of_pass_gives_the_same_rows(network) -> None:
    rng = random.Random(1)
    tokens = [rng.randrange(64, 512) for _ in range(20)]
    seen = torch.arange(20)[:, None] // 4 >= torch.arange(20)[None] // 4
    wanted = network(torch.tensor([tokens]), torch.arange(20)[None], None, seen[None])[0, 16:]
    clean, noisy = Rows(torch.tensor([tokens[:16]])), Rows(torch.tensor([tokens[16:]]))
    _, alone = one_pass(network, KVCache(network.config), clean, noisy)
    assert alone is not None
    torch.testing.assert_close(alone[0], wanted, atol=1e-5, rtol=1e-5)
    caches = [KVCache(network.config) for _ in range(2)]
    for _, rows in many_passes(network, [Pass(cache, clean, noisy, 0) for cache in caches]):
        assert rows is not None
        torch.testing.assert_close(rows[0], wanted, atol=1e-5, rtol=1e-5)
    pool = PagePool(network.config, 2, dtype=torch.float32)
    paged = PagedNetwork(network, pool, max_rows=64, ops=ops_for(torch.device("cpu"), "torch"))
    pages = pool.take(64)
    assert pages is not None
    hidden = Graphs(paged, paged.hidden).run([SequencePart(tokens, [0] * 20, 16, 0, pages)])
    torch.testing.assert_close(hidden[0, 16:20], wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"num_chosen": 9}, "9 experts cannot be chosen from 1 groups"),
        ({"num_groups": 3}, "8 experts cannot be chosen from 3 groups"),
        ({"num_groups": 4, "num_chosen_groups": 1}, "3 experts cannot be chosen from 1 groups"),
        ({"num_groups": 8, "num_chosen_groups": 8}, "a group needs two experts"),
    ],
)
def test_shapes_that_cannot_be(fields: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        msgspec.convert({**msgspec.to_builtins(QWEN), **fields}, Experts)


@pytest.mark.parametrize("d_rotary", [0, 5, 14])
def test_heads_that_cannot_turn(d_rotary: int) -> None:
    with pytest.raises(ValueError, match="is even and at most d_head"):
        msgspec.convert({**msgspec.to_builtins(tiny_test()), "d_rotary": d_rotary}, type(tiny_test()))
