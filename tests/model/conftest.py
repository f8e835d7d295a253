"""Networks for tests: small, fp32, seeded, with a state table that is not zero (otherwise states would not matter)."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.network.config import NetworkConfig, tiny_test
from model.network.transformer import Transformer


def seeded_network(config: NetworkConfig, seed: int = 0) -> Transformer:
    """A network in evaluation mode whose weights are large enough that every row's prediction is its own."""
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Transformer(config).eval()
        for name, parameter in network.named_parameters():
            if name == "state_table" or name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.5)
            elif "norm" in name:
                torch.nn.init.uniform_(parameter, 0.5, 1.5)
            else:
                parameter.data.mul_(2.0)
    return network


@pytest.fixture(scope="session")
def make_network():
    """The function that makes a seeded network of a given shape."""
    return seeded_network


@pytest.fixture
def tiny_network() -> Transformer:
    return seeded_network(tiny_test())


@pytest.fixture
def write_hf_checkpoint() -> Callable[..., dict[str, torch.Tensor]]:
    """Writes a tiny random checkpoint of the Hugging Face format, and gives its weights by name."""
    return _write_hf_checkpoint


def _write_hf_checkpoint(
    folder: Path, family: str, vocab: dict[str, int], merges: list[str], *, tied: bool, **config
) -> dict[str, torch.Tensor]:
    D, K, H, G, FF, LAYERS = 24, 8, 4, 2, 40, 2
    folder.mkdir()
    spec = {"type": "BPE", "vocab": vocab, "merges": merges, "byte_fallback": False}
    (folder / "tokenizer.json").write_text(json.dumps({"model": spec, "added_tokens": []}), encoding="utf-8")
    described = {
        "model_type": family,
        "hidden_size": D,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": H,
        "num_key_value_heads": G,
        "head_dim": K,
        "intermediate_size": FF,
        "rms_norm_eps": 1e-6,
        "rope_theta": 5_000.0,
        "hidden_act": "silu",
        "bos_token_id": 0,
        "eos_token_id": [1, 7],
    }
    (folder / "config.json").write_text(json.dumps({**described, **config}))
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) / math.sqrt(shape[-1])

    weights = {"model.embed_tokens.weight": draw(len(vocab) + 3, D), "model.norm.weight": 1 + draw(D)}
    for i in range(LAYERS):
        for name, rows in (("q", H * K), ("k", G * K), ("v", G * K)):
            weights[f"model.layers.{i}.self_attn.{name}_proj.weight"] = draw(rows, D)
            if family == "qwen2":
                weights[f"model.layers.{i}.self_attn.{name}_proj.bias"] = draw(rows)
        if family == "qwen3":
            for name in "qk":
                weights[f"model.layers.{i}.self_attn.{name}_norm.weight"] = 1 + draw(K)
        weights[f"model.layers.{i}.self_attn.o_proj.weight"] = draw(D, H * K)
        for name, shape in (("gate", (FF, D)), ("up", (FF, D)), ("down", (D, FF))):
            weights[f"model.layers.{i}.mlp.{name}_proj.weight"] = draw(*shape)
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"model.layers.{i}.{name}.weight"] = 1 + draw(D)
    if not tied:
        weights["lm_head.weight"] = draw(len(vocab) + 3, D)
    names = sorted(weights)
    for part, some in enumerate((names[::2], names[1::2])):  # several files, as large checkpoints have
        save_file({name: weights[name] for name in some}, folder / f"model-{part}.safetensors")
    return weights
