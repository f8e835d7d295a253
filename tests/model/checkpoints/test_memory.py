"""Bytes by arithmetic against real tensors, and what is cut where they do not fit."""

import msgspec
import pytest
import torch

from model.checkpoints import memory
from model.checkpoints.memory import NotEnoughMemory, Weights, gb, need, plan
from model.checkpoints.precision import is_small, shrinker, stored_bytes
from model.network.config import Experts, NetworkConfig, base_30m, tiny_test
from model.network.kv_cache import KVCache
from model.network.transformer import Transformer

EXPERTS = Experts(num_experts=8, num_chosen=2, d_ff=16, router="sigmoid", d_shared=32, num_dense_layers=1)
SHAPES = {
    "ours": tiny_test(),
    "mixture": msgspec.structs.replace(tiny_test(), experts=EXPERTS, num_layers=3),
    "plain mixture": msgspec.structs.replace(
        tiny_test(), experts=Experts(num_experts=8, num_chosen=2, d_ff=16, router="softmax"), tied_head=False
    ),
    "llama": msgspec.structs.replace(tiny_test(), qk_norm=False, tied_head=False, state_vectors=False),
    "qwen2": msgspec.structs.replace(tiny_test(), qk_norm=False, qkv_bias=True, state_vectors=False),
    "qwen3": msgspec.structs.replace(tiny_test(), tied_head=False, state_vectors=False, d_head=16),
}
# Stable-DiffCoder's shape.
EIGHT_B = NetworkConfig(
    vocab_size=155_136, num_layers=32, d_model=4096, num_heads=32, num_kv_heads=8, d_head=128, d_ff=14336,
    tied_head=False, state_vectors=False,
)  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("weights", ["full", "int8", "fp8"])
def test_weights_take_what_the_arithmetic_says(shape: str, dtype: torch.dtype, weights: Weights) -> None:
    config = SHAPES[shape]
    network = Transformer(config).to(dtype).requires_grad_(False)
    assert sum(p.numel() for p in network.parameters()) == memory.num_parameters(config)
    shrink = shrinker(weights)
    small = {name: shrink(name, weight) for name, weight in network.state_dict().items()}
    network.load_state_dict(small, assign=True)
    assert is_small(network) == (weights != "full")
    assert stored_bytes(network) == memory.weight_bytes(config, weights, dtype.itemsize)


@pytest.mark.parametrize("shape", SHAPES)
def test_keys_and_values_take_what_the_arithmetic_says(shape: str) -> None:
    cache = KVCache(SHAPES[shape], capacity=300, dtype=torch.bfloat16)
    assert cache.size_bytes == memory.cache_bytes(SHAPES[shape], 300, 2)


def test_an_8b_model_in_figures() -> None:
    """Figures of the shape that its makers publish: 8.25 B parameters, 128 KiB of keys and values a token."""
    assert memory.num_parameters(EIGHT_B) == pytest.approx(8.25e9, rel=0.005)
    assert memory.cache_bytes(EIGHT_B, 1, 2) == 128 * 1024
    assert memory.weight_bytes(EIGHT_B, "full", 2) == pytest.approx(16.5e9, rel=0.005)
    assert memory.weight_bytes(EIGHT_B, "int8", 2) == pytest.approx(8.9e9, rel=0.01)


def test_all_of_it_where_it_fits_or_nothing_is_known() -> None:
    for free in (80 * 10**9, None):
        whole = plan(EIGHT_B, 8192, free_bytes=free, float_bytes=2)
        assert (whole.weights, whole.context_tokens, whole.reason, whole.sentence) == ("full", 8192, "", "")
        assert whole.cache_bytes >= memory.cache_bytes(EIGHT_B, 8192, 2)


def test_the_context_is_trimmed_with_a_reason() -> None:
    free = int((need(EIGHT_B, 8192, "full", 2).total - 10**8) / (1 - memory.SPARE))
    trimmed = plan(EIGHT_B, 8192, free_bytes=free, float_bytes=2)
    assert trimmed.weights == "full"
    assert 6000 < trimmed.context_tokens < 8192
    assert trimmed.context_tokens % memory.CONTEXT_UNIT == 0
    assert trimmed.reason == "memory"
    assert "8,192" in trimmed.sentence
    assert f"{trimmed.context_tokens:,}" in trimmed.sentence
    usable = free * (1 - memory.SPARE)
    assert need(EIGHT_B, trimmed.context_tokens, "full", 2).total <= usable
    assert need(EIGHT_B, trimmed.context_tokens + memory.CONTEXT_UNIT, "full", 2).total > usable


def test_a_small_card_gets_integers() -> None:
    small = plan(EIGHT_B, 8192, free_bytes=12 * 10**9, float_bytes=2)
    assert small.weights == "int8"
    assert small.reason == "memory"
    assert "8-bit" in small.sentence


def test_integers_come_before_a_very_short_context() -> None:
    """What holds bf16 weights and 600 tokens gets integers and all of the context; without torchao the 600."""
    free = int(need(EIGHT_B, 600, "full", 2).total / (1 - memory.SPARE)) + 10**6
    both = [plan(EIGHT_B, 8192, free_bytes=free, float_bytes=2, can_be_small=can) for can in (True, False)]
    assert [(p.weights, p.context_tokens) for p in both] == [("int8", 8192), ("full", 512)]


def test_what_does_not_fit_is_refused_in_a_sentence() -> None:
    with pytest.raises(NotEnoughMemory, match=r"needs \d+\.\d GB .* 7\.2 GB can be used") as caught:
        plan(EIGHT_B, 8192, free_bytes=8 * 10**9, float_bytes=2)
    assert caught.value.sentence.endswith(".")
    with pytest.raises(NotEnoughMemory, match="--precision int8"):
        plan(EIGHT_B, 8192, free_bytes=12 * 10**9, float_bytes=2, wanted="full")
    with pytest.raises(NotEnoughMemory) as caught:
        plan(EIGHT_B, 8192, free_bytes=12 * 10**9, float_bytes=2, can_be_small=False)
    assert "int8" not in caught.value.sentence


def test_a_short_context_is_never_longer_than_asked() -> None:
    assert plan(base_30m(), 300, free_bytes=10**9, float_bytes=4).context_tokens == 300


def test_gb_reads_as_disks_are_sold() -> None:
    assert [gb(n) for n in (16_500_000_000, 412_000_000, 9_400_000)] == ["16.5 GB", "0.4 GB", "9 MB"]
