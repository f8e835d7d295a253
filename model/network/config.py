"""Shape of one network, as data (Llama/Qwen family).

A checkpoint is described by such a struct inside its preset file; there is no registry and no code per checkpoint.
"""

from typing import Literal

import msgspec


class Experts(msgspec.Struct, frozen=True, kw_only=True):
    """A mixture in place of the feed-forward of all layers but the first `num_dense_layers` (experts.py).

    Each row takes `num_chosen` of `num_experts` experts, each `d_ff` wide; `d_shared`: width of what every row takes
    beside them, 0 = none. router "sigmoid" has a bias that chooses but does not weigh. num_groups: experts are chosen
    from `num_chosen_groups` groups only. sums_to_one: the weights of a row's experts do, before `scale`.
    """

    num_experts: int
    num_chosen: int
    d_ff: int
    router: Literal["softmax", "sigmoid"]
    d_shared: int = 0
    num_dense_layers: int = 0
    num_groups: int = 1
    num_chosen_groups: int = 1
    sums_to_one: bool = True
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.num_chosen_groups <= self.num_groups or self.num_experts % self.num_groups:
            raise ValueError(f"{self.num_experts} experts cannot be chosen from {self.num_groups} groups")
        in_group = self.num_experts // self.num_groups
        if self.num_groups > 1 and in_group < 2:
            raise ValueError(f"a group needs two experts, and {self.num_experts} are in {self.num_groups} groups")
        if not 1 <= self.num_chosen <= in_group * self.num_chosen_groups:
            raise ValueError(f"{self.num_chosen} experts cannot be chosen from {self.num_chosen_groups} groups")


class NetworkConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes are counts; `rope_theta` and `norm_eps` are plain numbers.

    attention: how clean rows see each other (noisy rows always see their whole block). cache_unit: with "block-causal"
    the rows of an aligned unit, counted from the sequence's first token, see one another, and only whole units are
    kept. shift: hidden row i says token i + 1 of the noisy rows. d_rotary: so many features of a head turn with the
    position, half of them at the start of each half (None = all). experts: None = every layer has one feed-forward.
    """

    vocab_size: int
    num_layers: int
    d_model: int
    num_heads: int
    num_kv_heads: int
    d_head: int
    d_ff: int
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    qkv_bias: bool = False
    qk_norm: bool = False
    tied_head: bool = True
    state_vectors: bool = True
    attention: Literal["causal", "block-causal", "full"] = "causal"
    cache_unit: int = 1
    shift: bool = False
    d_rotary: int | None = None
    experts: Experts | None = None

    def __post_init__(self) -> None:
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_heads ({self.num_heads}) must be a multiple of num_kv_heads ({self.num_kv_heads})")
        if self.cache_unit < 1 or (self.cache_unit > 1 and self.attention != "block-causal"):
            raise ValueError(
                f"cache_unit ({self.cache_unit}) is at least 1, and above 1 for block-causal attention only"
            )
        if self.d_rotary is not None and not (0 < self.d_rotary <= self.d_head and self.d_rotary % 2 == 0):
            raise ValueError(f"d_rotary ({self.d_rotary}) is even and at most d_head ({self.d_head})")

    def is_mixture(self, layer: int) -> bool:
        """Whether that layer has experts."""
        return self.experts is not None and layer >= self.experts.num_dense_layers


def small_9m(vocab_size: int = 8192) -> NetworkConfig:
    """About 9 M parameters: what half an hour on two CPU cores can train."""
    return NetworkConfig(
        vocab_size=vocab_size,
        num_layers=6,
        d_model=320,
        num_heads=5,
        num_kv_heads=1,
        d_head=64,
        d_ff=896,
        qk_norm=True,
    )


def base_30m(vocab_size: int = 8192) -> NetworkConfig:
    """About 30 M parameters (29.6 at 8192 tokens): what twenty minutes on one GPU can train."""
    return NetworkConfig(
        vocab_size=vocab_size,
        num_layers=9,
        d_model=512,
        num_heads=8,
        num_kv_heads=2,
        d_head=64,
        d_ff=1408,
        qk_norm=True,
    )


def tiny_test(vocab_size: int = 512) -> NetworkConfig:
    """A network for tests: small enough for fp32 exactness checks in milliseconds."""
    return NetworkConfig(
        vocab_size=vocab_size,
        num_layers=2,
        d_model=48,
        num_heads=4,
        num_kv_heads=2,
        d_head=12,
        d_ff=96,
        qk_norm=True,
    )
