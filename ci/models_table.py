"""Writes the tables of docs/models.md: `.venv/bin/python ci/models_table.py`.

They stand between HTML comments. What a model is comes from the families' data (model/checkpoints/families), what it
needs is arithmetic from its shape (model/checkpoints/memory.py). The shapes stand here, from each repository's
config.json; tests/test_models_page.py compares them with the published numbers of parameters, and the page with these
tables. Left out: anything measured.
"""

import re
from pathlib import Path

import msgspec

from model.checkpoints.list_command import abilities
from model.checkpoints.memory import SPARE, Weights, cache_bytes, need, weight_bytes
from model.checkpoints.on_disk import Offered, offered
from model.network.config import Experts, NetworkConfig

PAGE = Path(__file__).resolve().parent.parent / "docs" / "models.md"

CARDS_GIB = (4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 80, 141, 180, 288)
CUDA_BYTES = 800_000_000  # what CUDA and PyTorch take for themselves, roughly
BF16 = 2


def _shape(**fields: object) -> NetworkConfig:
    return msgspec.convert({"tied_head": False, "state_vectors": False, **fields}, NetworkConfig)


_QWEN_05B = _shape(
    vocab_size=151_936, num_layers=24, d_model=896, num_heads=14, num_kv_heads=2, d_head=64, d_ff=4864, qkv_bias=True
)
_QWEN3_06B = _shape(
    vocab_size=151_936, num_layers=28, d_model=1024, num_heads=16, num_kv_heads=8, d_head=128, d_ff=3072, qk_norm=True
)
_QWEN3_17B = msgspec.structs.replace(_QWEN3_06B, d_model=2048, d_ff=6144)
_QWEN_15B = _shape(
    vocab_size=151_936, num_layers=28, d_model=1536, num_heads=12, num_kv_heads=2, d_head=128, d_ff=8960,
    qkv_bias=True, tied_head=True,
)  # fmt: skip
_QWEN_7B = _shape(
    vocab_size=152_064, num_layers=28, d_model=3584, num_heads=28, num_kv_heads=4, d_head=128, d_ff=18_944,
    qkv_bias=True,
)  # fmt: skip
_LLADA = _shape(vocab_size=126_464, num_layers=32, d_model=4096, num_heads=32, num_kv_heads=32, d_head=128, d_ff=12_288)
_SEED = _shape(vocab_size=155_136, num_layers=32, d_model=4096, num_heads=32, num_kv_heads=8, d_head=128, d_ff=14_336)
_LLADA2_MINI = _shape(
    vocab_size=157_184, num_layers=20, d_model=2048, num_heads=16, num_kv_heads=4, d_head=128, d_ff=5120, qk_norm=True,
    d_rotary=64,
    experts=Experts(
        num_experts=256, num_chosen=8, d_ff=512, router="sigmoid", d_shared=512, num_dense_layers=1, num_groups=8,
        num_chosen_groups=4, scale=2.5,
    ),
)  # fmt: skip
_LLADA2_FLASH = msgspec.structs.replace(
    _LLADA2_MINI, num_layers=32, d_model=4096, num_heads=32, d_ff=9216,
    experts=Experts(
        num_experts=256, num_chosen=8, d_ff=1024, router="sigmoid", d_shared=1024, num_dense_layers=1, num_groups=8,
        num_chosen_groups=4, scale=2.5,
    ),
)  # fmt: skip

SHAPES = {
    "open-dcoder-0.5b": msgspec.structs.replace(_QWEN_05B, tied_head=True),
    "qwen2.5-coder-0.5b-bd3lm": _QWEN_05B,
    "qwen2.5-coder-0.5b-mdlm": _QWEN_05B,
    "qwen3-0.6b-bd3lm": _QWEN3_06B,
    "qwen3-0.6b-mdlm": _QWEN3_06B,
    "fast-dllm-v2-1.5b": _QWEN_15B,
    "coda-1.7b-base": _QWEN3_17B,
    "coda-1.7b-instruct": _QWEN3_17B,
    "sdar-1.7b-chat": _QWEN3_17B,
    "sdar-4b-chat": msgspec.structs.replace(_QWEN3_06B, num_layers=36, d_model=2560, num_heads=32, d_ff=9728),
    "fast-dllm-v2-7b": _QWEN_7B,
    "diffucoder-7b-base": _QWEN_7B,
    "diffucoder-7b-instruct": _QWEN_7B,
    "diffucoder-7b-cpgrpo": _QWEN_7B,
    "dream-7b-base": _QWEN_7B,
    "dream-7b-instruct": _QWEN_7B,
    "dream-coder-7b-base": _QWEN_7B,
    "dream-coder-7b-instruct": _QWEN_7B,
    "dreamon-7b": _QWEN_7B,
    "llada-8b-base": _LLADA,
    "llada-8b-instruct": _LLADA,
    "llada-1.5": _LLADA,
    "sdar-8b-chat": msgspec.structs.replace(_QWEN3_06B, num_layers=36, d_model=4096, num_heads=32, d_ff=12_288),
    "sdar-30b-a3b-chat": msgspec.structs.replace(
        _QWEN3_17B,
        num_layers=48,
        num_heads=32,
        num_kv_heads=4,
        experts=Experts(num_experts=128, num_chosen=8, d_ff=768, router="softmax"),
    ),
    "llada2.0-mini": _LLADA2_MINI,
    "llada2.0-mini-cap": _LLADA2_MINI,
    "llada2.0-flash": _LLADA2_FLASH,
    "llada2.0-flash-cap": _LLADA2_FLASH,
    "llada2.1-mini": _LLADA2_MINI,
    "llada2.1-flash": _LLADA2_FLASH,
    "stable-diffcoder-8b-base": _SEED,
    "stable-diffcoder-8b-instruct": _SEED,
}


def models_table() -> str:
    """Every model: what it is for, its licence, what its makers publish."""
    rows = ["| name | repository | does | context | licence | published by its makers |", "|---|---|---|---|---|---|"]
    for offer in offered():
        known, family = offer.known, offer.family
        scores = (
            ", ".join(f"{name} {value}" for name, value in known.published.items()) or "no figure of code taken over"
        )
        rows.append(
            f"| `{known.name}` | {known.repository} | {abilities(family)} | {family.context_tokens:,} | "
            f"{known.licence} | {scores} |"
        )
    return "\n".join(rows) + "\n"


def memory_table() -> str:
    """Models of one shape and context share a row."""
    rows = [
        "| models | parameters | weights: bf16, 8-bit | keys and values of the whole context | in all: bf16, 8-bit | "
        "smallest card: bf16, 8-bit |",
        "|---|---|---|---|---|---|",
    ]
    alike: dict[tuple[NetworkConfig, int], list[Offered]] = {}
    for offer in offered():
        alike.setdefault((SHAPES[offer.known.name], offer.family.context_tokens), []).append(offer)
    for (config, num_tokens), offers in alike.items():
        names = ", ".join(f"`{offer.known.name}`" for offer in offers)
        whole = [need(config, num_tokens, weights, BF16).total for weights in _FORMS]
        rows.append(
            f"| {names} | {offers[0].known.parameters_billion} B | "
            f"{_gb(*(weight_bytes(config, weights, BF16) for weights in _FORMS))} | "
            f"{_gb(cache_bytes(config, num_tokens, BF16))} ({num_tokens:,} tokens) | {_gb(*whole)} | "
            f"{', '.join(_card(size) for size in whole)} |"
        )
    return "\n".join(rows) + "\n"


_FORMS: tuple[Weights, ...] = ("full", "int8")


def _gb(*sizes: int) -> str:
    return ", ".join(f"{size / 1e9:.1f}" for size in sizes) + " GB"


def _card(size_bytes: int) -> str:
    fits = (card for card in CARDS_GIB if (card * 2**30 - CUDA_BYTES) * (1 - SPARE) >= size_bytes)
    return f"{next(fits)} GB"


def page_with_tables(page: str) -> str:
    for name, table in (("models", models_table()), ("memory", memory_table())):
        place = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
        assert place.search(page), name
        page = place.sub(lambda _, table=table: table, page)
    return page


if __name__ == "__main__":
    PAGE.write_text(page_with_tables(PAGE.read_text("utf-8")), "utf-8")
