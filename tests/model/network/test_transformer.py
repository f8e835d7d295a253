"""The transformer against a textbook Llama written with loops, in every variant of its shape."""

import math

import msgspec
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from model.network.config import NetworkConfig, small_9m, tiny_test
from model.network.transformer import Transformer

VARIANTS = {
    "grouped": {},
    "multi-head": {"num_kv_heads": 4, "qk_norm": False},
    "one kv head": {"num_kv_heads": 1},
    "qkv bias": {"qkv_bias": True, "qk_norm": False},
    "untied": {"tied_head": False},
    "no states": {"state_vectors": False},
}


def textbook(network: Transformer, tokens: Tensor, positions: list[int], extra_TD: Tensor, allowed: Tensor) -> Tensor:
    """Logits of one text by the formulas of the Llama paper: no fusion, no SDPA, one head at a time."""
    c = network.config
    weights = dict(network.named_parameters())
    H, G, K = c.num_heads, c.num_kv_heads, c.d_head

    def norm(x: Tensor, name: str) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + c.norm_eps).sqrt() * weights[name]

    def turn(x_TK: Tensor) -> Tensor:
        out = torch.empty_like(x_TK)
        for t, position in enumerate(positions):
            for i in range(K // 2):
                angle = position * c.rope_theta ** (-2 * i / K)
                a, b = x_TK[t, i], x_TK[t, i + K // 2]
                out[t, i] = a * math.cos(angle) - b * math.sin(angle)
                out[t, i + K // 2] = b * math.cos(angle) + a * math.sin(angle)
        return out

    x = weights["embed.weight"][tokens] + extra_TD
    for n in range(c.num_layers):
        at = f"layers.{n}."
        qkv = norm(x, at + "attn_norm.weight") @ weights[at + "qkv.weight"].t()
        if c.qkv_bias:
            qkv = qkv + weights[at + "qkv.bias"]
        heads = qkv.view(len(tokens), H + 2 * G, K)
        q, k, v = heads[:, :H], heads[:, H : H + G], heads[:, H + G :]
        if c.qk_norm:
            q, k = norm(q, at + "q_norm.weight"), norm(k, at + "k_norm.weight")
        outs = []
        for h in range(H):
            g = h // (H // G)
            scores = turn(q[:, h]) @ turn(k[:, g]).t() / math.sqrt(K)
            outs.append(scores.masked_fill(~allowed, -math.inf).softmax(-1) @ v[:, g])
        x = x + torch.cat(outs, -1) @ weights[at + "attn_out.weight"].t()
        gate, up = (norm(x, at + "mlp_norm.weight") @ weights[at + "gate_up.weight"].t()).chunk(2, -1)
        x = x + (F.silu(gate) * up) @ weights[at + "mlp_out.weight"].t()
    head = weights["embed.weight"] if c.tied_head else weights["head.weight"]
    return norm(x, "final_norm.weight") @ head.t()


@pytest.mark.parametrize("variant", VARIANTS)
def test_clean_stream_is_a_plain_llama(make_network, variant):
    config = msgspec.structs.replace(tiny_test(), **VARIANTS[variant])
    network = make_network(config)
    tokens = torch.randint(0, 512, (13,), generator=torch.Generator().manual_seed(1))
    causal = torch.ones(13, 13, dtype=torch.bool).tril()
    with torch.no_grad():
        hidden = network(tokens[None], torch.arange(13)[None], torch.zeros(1, 13, dtype=torch.long), causal[None])
        expected = textbook(network, tokens, list(range(13)), torch.zeros(13, config.d_model), causal)
    torch.testing.assert_close(network.logits(hidden)[0], expected, atol=1e-4, rtol=1e-4)


def test_states_positions_and_masks_are_arbitrary(tiny_network):
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randint(0, 512, (9,), generator=generator)
    positions = torch.randint(0, 40, (9,), generator=generator)
    states = torch.randint(0, 4, (9,), generator=generator)
    allowed = torch.rand(9, 9, generator=generator) < 0.5
    allowed |= torch.eye(9, dtype=torch.bool)
    table = tiny_network.state_table
    assert table is not None
    added = torch.stack([table[s - 1] if s else torch.zeros(48) for s in states.tolist()])
    with torch.no_grad():
        hidden = tiny_network(tokens[None], positions[None], states[None], allowed[None])
        expected = textbook(tiny_network, tokens, positions.tolist(), added, allowed)
    torch.testing.assert_close(tiny_network.logits(hidden)[0], expected, atol=1e-4, rtol=1e-4)


def test_a_new_network_starts_at_the_loss_of_a_uniform_guess():
    torch.manual_seed(0)
    network = Transformer(tiny_test())
    assert network.state_table is not None
    assert not network.state_table.any()
    tokens = torch.randint(0, 512, (4, 32))
    causal = torch.ones(1, 32, 32, dtype=torch.bool).tril()
    logits = network.logits(network(tokens, torch.arange(32)[None], None, causal))
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(512), abs=0.3)


def test_names_shapes_and_size():
    network = Transformer(small_9m())
    names = set(network.state_dict())
    assert names >= {
        "embed.weight",
        "state_table",
        "final_norm.weight",
        "layers.5.qkv.weight",
        "layers.0.q_norm.weight",
    }
    assert "head.weight" not in names
    assert network.state_dict()["layers.0.qkv.weight"].shape == (7 * 64, 320)
    assert 8.5e6 < sum(p.numel() for p in network.parameters()) < 10e6


def test_every_parameter_gets_a_gradient(tiny_network):
    tokens = torch.randint(0, 512, (2, 8))
    states = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3]] * 2)
    hidden = tiny_network(tokens, torch.arange(8)[None], states, torch.ones(1, 8, 8, dtype=torch.bool))
    tiny_network.logits(hidden).logsumexp(-1).sum().backward()
    for name, parameter in tiny_network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_training_forward_is_one_graph(tiny_network):
    tokens = torch.randint(0, 512, (2, 8))
    args = (tokens, torch.arange(8).expand(2, 8), torch.ones_like(tokens), torch.ones(2, 8, 8, dtype=torch.bool).tril())
    compiled = torch.compile(tiny_network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(*args), tiny_network(*args))


def test_bf16_is_close_to_fp32(make_network):
    exact, rounded = make_network(tiny_test()), make_network(tiny_test()).to(torch.bfloat16)
    tokens = torch.randint(0, 512, (1, 20), generator=torch.Generator().manual_seed(3))
    args = (tokens, torch.arange(20)[None], torch.ones_like(tokens), torch.ones(1, 20, 20, dtype=torch.bool).tril())
    with torch.no_grad():
        error = (rounded(*args).float() - exact(*args)).abs().mean() / exact(*args).abs().mean()
    assert rounded(*args).dtype == torch.bfloat16
    assert error < 0.1


def test_heads_must_divide():
    with pytest.raises(ValueError, match="multiple of num_kv_heads"):
        NetworkConfig(vocab_size=8, num_layers=1, d_model=8, num_heads=3, num_kv_heads=2, d_head=4, d_ff=8)
