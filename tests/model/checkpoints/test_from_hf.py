"""Tiny random checkpoints of the Hugging Face format become networks whose clean stream is the checkpoint's."""

import json
import math

import pytest
import torch
from torch import Tensor

from model.checkpoints.from_hf import converted_tokenizer, network_from, read_config
from model.checkpoints.hf_tokenizer import UnusableTokenizer
from model.checkpoints.load import CheckpointError
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.tokenizer import BOS, EOM, NUM_BASE, Tokenizer, byte_chars

K, H, G, LAYERS = 8, 4, 2, 2  # the fixture's shape
MERGES = ["d e", "de f", "Ġ x", "Ċ Ċ", "r e", "t u", "re tu", "retu r", "retur n"]
SPECIAL = {"<|begin|>": 0, "<|end|>": 1}


@pytest.fixture
def write_checkpoint(write_hf_checkpoint):
    """The fixture's checkpoints with this file's merges."""
    return lambda folder, family, **options: write_hf_checkpoint(folder, family, foreign_vocab(), MERGES, **options)


def foreign_vocab() -> dict[str, int]:
    """Ids in an order of their own: specials, the bytes backwards, then the merges."""
    names = [*SPECIAL, *reversed(byte_chars()), *(merge.replace(" ", "") for merge in MERGES)]
    return {name: i for i, name in enumerate(names)}


def reference_logits(weights: dict[str, Tensor], ids: list[int], theta: float) -> Tensor:
    """The model definition of Llama, Qwen2 and Qwen3 written out, without anything of ours: logits (T, V)."""

    def norm(x: Tensor, weight: Tensor) -> Tensor:
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6) * weight

    def turned(x: Tensor) -> Tensor:
        half = K // 2
        angle = torch.arange(x.shape[0])[:, None] * theta ** (-torch.arange(half) / half)[None]
        cos, sin = angle.cos()[:, None], angle.sin()[:, None]
        return torch.cat((x[..., :half] * cos - x[..., half:] * sin, x[..., half:] * cos + x[..., :half] * sin), -1)

    x = weights["model.embed_tokens.weight"][ids]
    for i in range(LAYERS):
        layer = {name.removeprefix(f"model.layers.{i}."): weight for name, weight in weights.items()}
        normed = norm(x, layer["input_layernorm.weight"])
        parts = {}
        for name in "qkv":
            bias = layer.get(f"self_attn.{name}_proj.bias", torch.zeros(()))
            parts[name] = (normed @ layer[f"self_attn.{name}_proj.weight"].T + bias).unflatten(-1, (-1, K))
            if f"self_attn.{name}_norm.weight" in layer:
                parts[name] = norm(parts[name], layer[f"self_attn.{name}_norm.weight"])
        q, k = turned(parts["q"]), turned(parts["k"]).repeat_interleave(H // G, 1)
        v = parts["v"].repeat_interleave(H // G, 1)
        scores = torch.einsum("thk,shk->hts", q, k) / math.sqrt(K)
        scores = scores.masked_fill(torch.ones(len(ids), len(ids)).triu(1).bool(), -torch.inf)
        attended = torch.einsum("hts,shk->thk", scores.softmax(-1), v).flatten(1)
        x = x + attended @ layer["self_attn.o_proj.weight"].T
        normed = norm(x, layer["post_attention_layernorm.weight"])
        gate, up = normed @ layer["mlp.gate_proj.weight"].T, normed @ layer["mlp.up_proj.weight"].T
        x = x + (gate * torch.sigmoid(gate) * up) @ layer["mlp.down_proj.weight"].T
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    return norm(x, weights["model.norm.weight"]) @ head.T


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_the_clean_stream_is_the_checkpoint(tmp_path, write_checkpoint, family, tied) -> None:
    weights = write_checkpoint(tmp_path / "hf", family, tied=tied)
    tokenizer = converted_tokenizer(tmp_path / "hf")
    network = network_from(tmp_path / "hf", tokenizer).eval()
    assert (network.config.qkv_bias, network.config.qk_norm) == (family == "qwen2", family == "qwen3")
    assert network.config.tied_head == tied
    ours = Tokenizer.from_bytes(tokenizer.text.encode()).encode("def return x\n\n  y")
    foreign = [tokenizer.foreign_ids[i] for i in ours]
    wanted = reference_logits(weights, foreign, 5_000.0)[:, [i for i in tokenizer.foreign_ids if i is not None]]
    with torch.inference_mode():
        cache = KVCache(network.config)
        hidden, _ = one_pass(network, cache, Rows(torch.tensor([ours])), None)
        assert hidden is not None
        found = network.logits(hidden[0])[:, [n for n, i in enumerate(tokenizer.foreign_ids) if i is not None]]
    torch.testing.assert_close(found, wanted, atol=2e-4, rtol=2e-4)


def test_the_tokenizer_keeps_the_merges(tmp_path, write_checkpoint) -> None:
    write_checkpoint(tmp_path / "hf", "llama", tied=True)
    converted = converted_tokenizer(tmp_path / "hf")
    tokenizer = Tokenizer.from_bytes(converted.text.encode())
    vocab = foreign_vocab()
    assert [tokenizer.token_bytes[i] for i in tokenizer.encode("def return")] == [b"def", b" ", b"return"]
    for name, foreign in vocab.items():
        if name not in SPECIAL:
            ours = converted.foreign_ids.index(foreign)
            to_byte = {char: byte for byte, char in enumerate(byte_chars())}
            assert tokenizer.token_bytes[ours] == bytes(to_byte[char] for char in name)
    assert (converted.foreign_ids[BOS], converted.foreign_ids[EOM]) == (0, 1)
    assert tokenizer.decode(tokenizer.encode("a\n\nb  é😀")) == "a\n\nb  é😀"


def test_a_smaller_vocabulary_keeps_the_first_merges(tmp_path, write_checkpoint) -> None:
    write_checkpoint(tmp_path / "hf", "llama", tied=True)
    cut = converted_tokenizer(tmp_path / "hf", NUM_BASE + 5)
    assert len(cut.foreign_ids) == NUM_BASE + 5
    tokenizer = Tokenizer.from_bytes(cut.text.encode())
    assert [tokenizer.token_bytes[i] for i in tokenizer.encode("return def")] == [
        b"re",
        b"t",
        b"u",
        b"r",
        b"n",
        b" ",
        b"def",
    ]
    assert network_from(tmp_path / "hf", cut).config.vocab_size == NUM_BASE + 5


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"model_type": "gpt2"}, "of the kind 'gpt2'"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8}}, "scales its rotary positions"),
        ({"use_sliding_window": True}, "sliding window"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"attention_bias": True}, "biases"),
        ({"hidden_size": None}, "does not describe a whole model"),
        ({"intermediate_size": 41}, "do not fit its config.json"),
        ({"num_hidden_layers": 3}, "lacks the weight model.layers.2"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_taken_over_is_one_sentence(tmp_path, write_checkpoint, config, says) -> None:
    write_checkpoint(tmp_path / "hf", "llama", tied=True, **config)
    with pytest.raises(CheckpointError, match=says):
        network_from(tmp_path / "hf", converted_tokenizer(tmp_path / "hf"))


def test_other_tokenizers_are_one_sentence(tmp_path, write_checkpoint) -> None:
    write_checkpoint(tmp_path / "hf", "llama", tied=True)
    path = tmp_path / "hf" / "tokenizer.json"
    spec = json.loads(path.read_text())
    for change in ({"byte_fallback": True}, {"type": "Unigram"}, {"vocab": {"a": 0}}):
        path.write_text(json.dumps({"model": {**spec["model"], **change}}))
        with pytest.raises(UnusableTokenizer, match="no byte-level BPE"):
            converted_tokenizer(tmp_path / "hf")
    path.write_text("{}")
    with pytest.raises(UnusableTokenizer, match="Hugging Face format"):
        converted_tokenizer(tmp_path / "hf")


def test_missing_files_are_one_sentence(tmp_path, write_checkpoint) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        converted_tokenizer(tmp_path)
    write_checkpoint(tmp_path / "hf", "llama", tied=True)
    for file in (tmp_path / "hf").glob("*.safetensors"):
        file.unlink()
    with pytest.raises(CheckpointError, match="no weights"):
        read_config(tmp_path / "hf", 400)
