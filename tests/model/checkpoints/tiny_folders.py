"""Folders in the layout of each family's real checkpoints, with tiny random weights, to test everything that loads.

The keys of config.json, the names of the weights, the shards with their index, the type (bf16) and the files of the
tokenizer are those of the real folders; shapes and vocabulary are tiny. Left out: files that no part reads (README,
modeling code, generation_config.json).
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from tests.model.checkpoints.tiny_experts import (
    LLADA2_CONFIG,
    LLADA2_SPECIAL,
    SDAR_MOE_CONFIG,
    llada2_weights,
    qwen3_moe_weights,
)

D, K, H, G, FF, LAYERS = 32, 8, 4, 2, 64, 2
SPARE_ROWS = 3  # real tables have more rows than their tokenizers have tokens
NUM_MERGES = 120

QWEN_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SAMPLE = (
    "def add(a, b):\n    return a + b\n\n\nclass Point:\n    def __init__(self, x, y):\n        self.x = x\n",
    "for name in names:\n    print(name)\n    total += len(name)\nreturn total\n\nimport os\nfrom sys import path\n",
    "if value is None:\n\treturn 0\nwhile True:\n    break\nThe answer is as follows:\n```python\nx = 12\n```\n",
)
QWEN_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
SEED_SPECIAL = (
    "<[begin▁of▁sentence]>",
    "<[PAD▁TOKEN]>",
    "<[end▁of▁sentence]>",
    "<[SEP▁TOKEN]>",
    "<[CLS▁TOKEN]>",
    "<[MASK▁TOKEN]>",  # 5: the id that the model's own generate_block has as a default
    "<[fim-suffix]>",
    "<[fim-prefix]>",
    "<[fim-middle]>",
)
LLADA_SPECIAL = (
    "<|startoftext|>",
    "<|endoftext|>",
    "<|mdm_mask|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)


@dataclass(frozen=True)
class TinyFamily:
    """`config`: what a family's config.json has beside its shape. `python_tokenizer`: vocab.json and merges.txt."""

    body: str
    special: tuple[str, ...]
    config: dict[str, object]
    name: str
    mask: str
    tied: bool = False
    special_first: bool = False
    python_tokenizer: bool = False
    chat: bool = False
    shards: int = 2
    llada: bool = False
    end: str | None = None
    tokenizer_config: dict[str, object] = field(default_factory=dict)


def _dream(name: str, *more: str, chat: bool = False, **config: object) -> TinyFamily:
    special = (*QWEN_SPECIAL, "<|beginoftext|>", "<|mask|>", *more)
    described = {"model_type": "Dream", "architectures": ["DreamModel"], "use_mrope": False, **config}
    return TinyFamily(
        "qwen2", special, described, name, "<|mask|>", python_tokenizer=True, chat=chat, tokenizer_config=_DREAM_CLASS
    )


_DREAM_CLASS: dict[str, object] = {
    "tokenizer_class": "DreamTokenizer",
    "auto_map": {"AutoTokenizer": ["tokenization_dream.DreamTokenizer", None]},
    "bos_token": "<|beginoftext|>",
    "eos_token": "<|endoftext|>",
    "pad_token": "<|endoftext|>",
    "mask_token": "<|mask|>",
}


def _seed(name: str, *, chat: bool) -> TinyFamily:
    config = {"model_type": "llama", "architectures": ["StableDiffcoderForCausalLM"], "attention_bias": False}
    config |= {"mlp_bias": False, "bos_token_id": 0, "eos_token_id": 2, "rope_theta": 500000.0, "pad_token_id": 1}
    return TinyFamily("llama", SEED_SPECIAL, config, name, SEED_SPECIAL[5], special_first=True, chat=chat)


def _a2d(name: str, body: str) -> TinyFamily:
    kind = "A2DQwen2LMHeadModel" if body == "qwen2" else "A2DQwen3LMHeadModel"
    config = {"model_type": f"a2d-{body}", "architectures": [kind], "tie_word_embeddings": False}
    return TinyFamily(body, (*QWEN_SPECIAL, "<|mask|>"), config, name, "<|mask|>", chat=True, shards=1)


def _llada(name: str, *, chat: bool) -> TinyFamily:
    return TinyFamily("llama", LLADA_SPECIAL, {}, name, "<|mdm_mask|>", chat=chat, llada=True)


def _llada2(name: str) -> TinyFamily:
    return TinyFamily("llada2_moe", LLADA2_SPECIAL, LLADA2_CONFIG, name, "<|mask|>", chat=True, end="<|endoftext|>")


_CODA: dict[str, object] = {"model_type": "CoDA", "architectures": ["CoDALanguageModel"]}
_SDAR: dict[str, object] = {"model_type": "sdar", "architectures": ["SDARForCausalLM"], "block_size": 4}
_FAST: dict[str, object] = {"model_type": "Fast_dLLM_Qwen", "architectures": ["Fast_dLLM_QwenForCausalLM"]}
_FAST |= {"bd_size": 32}
_OPEN: dict[str, object] = {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}
_DIFFU: dict[str, object] = {"max_position_embeddings": 131072}

FAMILIES = {
    "stable-diffcoder-base": _seed("Stable-DiffCoder-8B-Base", chat=False),
    "stable-diffcoder-instruct": _seed("Stable-DiffCoder-8B-Instruct", chat=True),
    "dreamon": _dream("DreamOn-v0-7B", "<|expand|>"),
    "dream-coder-base": _dream("Dream-Coder-v0-Base-7B"),
    "dream-coder-instruct": _dream("Dream-Coder-v0-Instruct-7B", chat=True),
    "dream-base": _dream("Dream-v0-Base-7B"),
    "dream-instruct": _dream("Dream-v0-Instruct-7B", chat=True),
    "diffucoder-base": _dream("DiffuCoder-7B-Base", "<|dlm_pad|>", **_DIFFU),
    "diffucoder-instruct": _dream("DiffuCoder-7B-cpGRPO", "<|dlm_pad|>", chat=True, **_DIFFU),
    "llada-base": _llada("LLaDA-8B-Base", chat=False),
    "llada-instruct": _llada("LLaDA-8B-Instruct", chat=True),
    "dllm-mdlm": _a2d("Qwen3-0.6B-diffusion-mdlm-v0.1", "qwen3"),
    "dllm-bd3lm": _a2d("Qwen2.5-Coder-0.5B-Instruct-diffusion-bd3lm-v0.1", "qwen2"),
    "sdar": TinyFamily("qwen3", (*QWEN_SPECIAL, "<|MASK|>"), _SDAR, "SDAR-1.7B-Chat", "<|MASK|>", chat=True),
    "sdar-moe": TinyFamily(
        "qwen3_moe", (*QWEN_SPECIAL, "<|MASK|>"), SDAR_MOE_CONFIG, "SDAR-30B-A3B-Chat", "<|MASK|>", chat=True
    ),
    "llada2": _llada2("LLaDA2.0-mini"),
    "llada2.1": _llada2("LLaDA2.1-mini"),
    "fast-dllm-v2": TinyFamily(
        "qwen2", (*QWEN_SPECIAL, "|<MASK>|"), _FAST, "Fast_dLLM_v2_1.5B", "|<MASK>|", tied=True, chat=True
    ),
    "open-dcoder": TinyFamily("qwen2", (*QWEN_SPECIAL, "<M>"), _OPEN, "open-dcoder-0.5B", "<M>", tied=True, shards=1),
    "coda-base": TinyFamily("qwen3", (*QWEN_SPECIAL, "<|mask|>"), _CODA, "CoDA-v0-Base", "<|mask|>"),
    "coda-instruct": TinyFamily("qwen3", (*QWEN_SPECIAL, "<|mask|>"), _CODA, "CoDA-v0-Instruct", "<|mask|>", chat=True),
}
"""Every family that the network serves, with a real checkpoint's name (folders are named so)."""


def write_tiny_folder(path: Path, family: str, *, seed: int = 0) -> dict[str, Tensor]:
    """Writes the folder `path` (made if missing); gives its weights by name, bf16.

    A family of base and instruct models is told apart by the folder's name or by its chat template, so name folders
    after `FAMILIES[family].name` where a test does not want to choose otherwise.
    """
    spec = FAMILIES[family]
    path.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer(spec)
    _write_tokenizer(path, spec, tokenizer)
    num_rows = tokenizer.get_vocab_size() + SPARE_ROWS
    config = _config(spec, tokenizer, num_rows)
    (path / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    weights = dict(_weights(spec, num_rows, torch.Generator().manual_seed(seed)))
    _write_shards(path, weights, spec.shards)
    return weights


def tiny_tokenizer(spec: TinyFamily) -> Tokenizer:
    """A byte-level BPE trained on a few lines, cut into pieces as Qwen's, with the family's special tokens."""
    tokenizer = Tokenizer(models.BPE())
    pieces = pre_tokenizers.Split(Regex(QWEN_PIECES), "isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pieces, bytes_])  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    if not spec.special_first and not spec.llada:
        tokenizer.normalizer = normalizers.NFC()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(  # type: ignore[call-arg]
        vocab_size=256 + NUM_MERGES + (len(spec.special) if spec.special_first else 0),
        special_tokens=list(spec.special) if spec.special_first else [],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SAMPLE, trainer)
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in spec.special])
    return tokenizer


def _write_tokenizer(path: Path, spec: TinyFamily, tokenizer: Tokenizer) -> None:
    added = {
        str(tokenizer.token_to_id(text)): {
            "content": text,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for text in spec.special
    }
    described: dict[str, object] = {
        "tokenizer_class": "Qwen2Tokenizer",
        "eos_token": _end(spec),
        **spec.tokenizer_config,
    }
    described |= {"added_tokens_decoder": added, "mask_token": spec.mask}
    if spec.chat:
        described["chat_template"] = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    (path / "tokenizer_config.json").write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
    if not spec.python_tokenizer:
        tokenizer.save(str(path / "tokenizer.json"))
        return
    model = json.loads(tokenizer.to_str())["model"]
    merges = [" ".join(merge) if isinstance(merge, list) else merge for merge in model["merges"]]
    (path / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False), encoding="utf-8")
    (path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    ids = {text: tokenizer.token_to_id(text) for text in spec.special}
    (path / "added_tokens.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    (path / "tokenization_dream.py").write_text("raise SystemExit('code of a checkpoint was run')\n", encoding="utf-8")


def _end(spec: TinyFamily) -> str:
    if spec.special_first:
        return SEED_SPECIAL[2]
    if spec.end is not None:
        return spec.end
    return "<|im_end|>" if spec.chat and not spec.llada else "<|endoftext|>"


def _config(spec: TinyFamily, tokenizer: Tokenizer, num_rows: int) -> dict[str, object]:
    mask, end = tokenizer.token_to_id(spec.mask), tokenizer.token_to_id(_end(spec))
    if spec.llada:
        return {
            "activation_type": "silu",
            "alibi": False,
            "architectures": ["LLaDAModelLM"],
            "attention_layer_norm": False,
            "bias_for_layer_norm": False,
            "block_group_size": 1,
            "block_type": "llama",
            "d_model": D,
            "embedding_size": num_rows,
            "eos_token_id": end,
            "include_bias": False,
            "include_qkv_bias": False,
            "input_emb_norm": False,
            "layer_norm_type": "rms",
            "mask_token_id": mask,
            "max_sequence_length": 4096,
            "mlp_hidden_size": FF,
            "mlp_ratio": 4,
            "model_type": "llada",
            "n_heads": H,
            "n_kv_heads": H,
            "n_layers": LAYERS,
            "pad_token_id": end,
            "rms_norm_eps": 1e-5,
            "rope": True,
            "rope_full_precision": True,
            "rope_theta": 500000.0,
            "scale_logits": False,
            "vocab_size": num_rows,
            "weight_tying": False,
        }
    config: dict[str, object] = {
        "attention_dropout": 0.0,
        "eos_token_id": end,
        "hidden_act": "silu",
        "hidden_size": D,
        "initializer_range": 0.02,
        "intermediate_size": FF,
        "max_position_embeddings": 32768,
        "num_attention_heads": H,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": G,
        "rms_norm_eps": 1e-6,
        "rope_scaling": None,
        "rope_theta": 1000000.0,
        "tie_word_embeddings": spec.tied,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": num_rows,
    }
    if spec.body.startswith("qwen3"):
        config |= {"head_dim": K, "attention_bias": False}
    if spec.body.startswith("qwen"):
        config |= {"use_sliding_window": False, "sliding_window": None, "max_window_layers": LAYERS}
    if spec.python_tokenizer or spec.config.get("model_type") == "CoDA":
        config |= {"mask_token_id": mask, "pad_token_id": tokenizer.token_to_id("<|endoftext|>")}
    return config | spec.config


def _weights(spec: TinyFamily, num_rows: int, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
    def draw(*shape: int) -> Tensor:
        return (torch.randn(shape, generator=generator) / math.sqrt(shape[-1])).bfloat16()

    def scale(width: int) -> Tensor:
        return (1 + 0.2 * torch.randn(width, generator=generator)).bfloat16()

    num_kv = H if spec.llada else G
    if spec.body == "llada2_moe":
        yield from llada2_weights(num_rows, draw, scale)
        return
    names = _LLADA_NAMES if spec.llada else _NAMES
    yield names["embed"], draw(num_rows, D)
    yield names["norm"], scale(D)
    if not spec.tied:
        yield names["head"], draw(num_rows, D)
    for i in range(LAYERS):
        layer = names["layer"].format(i)
        for name, rows in (("q", H * K), ("k", num_kv * K), ("v", num_kv * K)):
            yield f"{layer}{names['qkv'].format(name)}.weight", draw(rows, D)
            if spec.body == "qwen2":
                yield f"{layer}{names['qkv'].format(name)}.bias", draw(rows)
        if spec.body.startswith("qwen3"):
            for name in "qk":
                yield f"{layer}self_attn.{name}_norm.weight", scale(K)
        yield f"{layer}{names['out']}.weight", draw(D, H * K)
        if spec.body == "qwen3_moe":
            yield from qwen3_moe_weights(layer, draw)
        else:
            yield f"{layer}{names['gate']}.weight", draw(FF, D)
            yield f"{layer}{names['up']}.weight", draw(FF, D)
            yield f"{layer}{names['down']}.weight", draw(D, FF)
        yield f"{layer}{names['attn_norm']}.weight", scale(D)
        yield f"{layer}{names['mlp_norm']}.weight", scale(D)


_NAMES = {
    "embed": "model.embed_tokens.weight",
    "norm": "model.norm.weight",
    "head": "lm_head.weight",
    "layer": "model.layers.{}.",
    "qkv": "self_attn.{}_proj",
    "out": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "mlp_norm": "post_attention_layernorm",
}
_LLADA_NAMES = {
    "embed": "model.transformer.wte.weight",
    "norm": "model.transformer.ln_f.weight",
    "head": "model.transformer.ff_out.weight",
    "layer": "model.transformer.blocks.{}.",
    "qkv": "{}_proj",
    "out": "attn_out",
    "gate": "ff_proj",
    "up": "up_proj",
    "down": "ff_out",
    "attn_norm": "attn_norm",
    "mlp_norm": "ff_norm",
}


def _write_shards(path: Path, weights: dict[str, Tensor], num_shards: int) -> None:
    if num_shards == 1:
        save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(weights)
    weight_map = {}
    for part in range(num_shards):
        file = f"model-{part + 1:05}-of-{num_shards:05}.safetensors"
        some = names[part::num_shards]
        save_file({name: weights[name] for name in some}, path / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(some, file)
    size_bytes = sum(weight.numel() * weight.element_size() for weight in weights.values())
    index = {"metadata": {"total_size": size_bytes}, "weight_map": weight_map}
    (path / "model.safetensors.index.json").write_text(json.dumps(index, indent=2), encoding="utf-8")
