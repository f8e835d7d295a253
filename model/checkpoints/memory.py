"""How many bytes a model needs, from its shape alone, and how many this machine has: known before 16 GB are read.

Weights and the keys and values of a context are exact (the tests compare them with real tensors); what a pass holds for
its own work is an estimate. Where not everything fits the context is trimmed, with a reason by name, and the weights
become 8-bit integers before a model is refused. Left out: making the weights small (precision.py), the bytes of PyTorch
and of CUDA themselves (about half a gigabyte each, which SPARE has room for), several GPUs.

Shapes: D model width, H query heads, G key-value heads, K features of a head, F feed-forward width, V vocabulary,
E experts.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from model.checkpoints.error import CheckpointError
from model.network.config import NetworkConfig

Weights = Literal["full", "int8", "fp8"]
"""How matrices are held: as floats, or in 8 bits with one 32-bit scale a row (precision.py)."""

SPARE = 0.1
"""Share of the free memory that stays free."""

MIN_CONTEXT_TOKENS = 512
"""With less a prompt is a few lines: a model is rather refused."""

GOOD_CONTEXT_TOKENS = 2048
"""With less the weights rather become integers than the context is cut further."""

CONTEXT_UNIT = 128
"""Trimmed contexts are multiples of it."""

CANVAS_TOKENS = 128
"""Room behind the context."""

_ROW_BYTES = {"int8": 5, "fp8": 4}  # a 32-bit scale; torchao's integers have a zero point too
_PASS_ROWS = 2048  # most rows of one pass
_HEAD_ROWS = 64  # rows whose logits are wanted at once


class Need(msgspec.Struct, frozen=True):
    """Bytes of one model with one request. `work`: activations and logits of a pass, estimated."""

    weights: int
    cache: int
    work: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.work


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a model gets here. `cache_bytes`: for keys and values of all requests together. `reason` is "memory" where
    it gets less than it could use, and `sentence` then says what.
    """

    weights: Weights
    context_tokens: int
    cache_bytes: int
    reason: Literal["", "memory"] = ""
    sentence: str = ""


class NotEnoughMemory(CheckpointError):
    """A model that does not fit in any form."""


def num_parameters(config: NetworkConfig) -> int:
    return sum(rows * columns for rows, columns in _matrices(config)) + _num_other_numbers(config)


def weight_bytes(config: NetworkConfig, weights: Weights, float_bytes: int) -> int:
    """`float_bytes`: of what stays a float (embedding, norms, biases), and of all weights where they are "full"."""
    if weights == "full":
        return num_parameters(config) * float_bytes
    small = sum(rows * columns + rows * _ROW_BYTES[weights] for rows, columns in _matrices(config))
    return small + _num_other_numbers(config) * float_bytes


def cache_bytes(config: NetworkConfig, num_tokens: int, float_bytes: int) -> int:
    """Keys and values of one request with so many tokens."""
    return 2 * config.num_layers * config.num_kv_heads * config.d_head * num_tokens * float_bytes


def work_bytes(config: NetworkConfig, num_tokens: int, float_bytes: int) -> int:
    """An estimate of what one pass holds beside weights and cache."""
    num_rows = min(num_tokens, _PASS_ROWS)
    heads = (config.num_heads + 2 * config.num_kv_heads) * config.d_head
    a_row = (4 * config.d_model + 2 * heads + 3 * config.d_ff) * float_bytes
    if config.experts is not None:  # each row once for each of its experts, and their sum in 32 bits
        experts = config.experts
        a_row += experts.num_chosen * ((3 * config.d_model + 3 * experts.d_ff) * float_bytes + 4 * config.d_model)
    logits = 3 * _HEAD_ROWS * config.vocab_size * 4  # as they come, as fp32, and their soft-max
    return num_rows * a_row + logits


def need(config: NetworkConfig, num_tokens: int, weights: Weights, float_bytes: int) -> Need:
    """For one request whose prompt has `num_tokens` tokens."""
    return Need(
        weight_bytes(config, weights, float_bytes),
        cache_bytes(config, num_tokens + CANVAS_TOKENS, float_bytes),
        work_bytes(config, num_tokens, float_bytes),
    )


def plan(
    config: NetworkConfig,
    context_tokens: int,
    *,
    free_bytes: int | None,
    float_bytes: int,
    wanted: Literal["auto"] | Weights = "auto",
    can_be_small: bool = True,
) -> Plan:
    """What fits into `free_bytes` (None: unknown, so everything). Raises NotEnoughMemory.

    "auto" takes the weights as they are if a context of GOOD_CONTEXT_TOKENS fits beside them (or all of a shorter one),
    else as 8-bit integers if this installation `can_be_small`.
    """
    forms: tuple[Weights, ...] = ("full", "int8") if wanted == "auto" and can_be_small else (_or_full(wanted),)
    if free_bytes is None:
        return Plan(weights=forms[0], context_tokens=context_tokens, cache_bytes=1 << 62)
    usable = int(free_bytes * (1 - SPARE))
    least = min(context_tokens, MIN_CONTEXT_TOKENS)
    for weights in forms:
        wanted_tokens = least if weights == forms[-1] else min(context_tokens, GOOD_CONTEXT_TOKENS)
        if need(config, wanted_tokens, weights, float_bytes).total <= usable:
            return _trimmed(config, context_tokens, weights, usable, float_bytes, is_second=weights != forms[0])
    wants = need(config, least, forms[-1], float_bytes).total
    advice = (
        "" if forms[-1] != "full" or not can_be_small else "; as 8-bit integers (--precision int8) it is about half"
    )
    raise NotEnoughMemory(
        f"This model needs {gb(wants)} with the shortest useful context, and {gb(usable)} can be used here{advice}."
    )


def gb(num_bytes: int) -> str:
    """`16.5 GB`, `0.4 GB`; below that in MB. Thousands, not 1,024s, as disks and cards are sold."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.0f} MB"


def _trimmed(
    config: NetworkConfig, context_tokens: int, weights: Weights, usable: int, float_bytes: int, *, is_second: bool
) -> Plan:
    num_tokens = context_tokens
    while num_tokens > MIN_CONTEXT_TOKENS and need(config, num_tokens, weights, float_bytes).total > usable:
        num_tokens = max(MIN_CONTEXT_TOKENS, (num_tokens - 1) // CONTEXT_UNIT * CONTEXT_UNIT)
    fixed = weight_bytes(config, weights, float_bytes) + work_bytes(config, num_tokens, float_bytes)
    changes = ["its weights are held as 8-bit integers"] if is_second else []
    if num_tokens < context_tokens:
        changes.append(f"its context is cut from {context_tokens:,} to {num_tokens:,} tokens")
    sentence = f"{gb(usable)} of memory can be used here, so {' and '.join(changes)}." if changes else ""
    return Plan(
        weights=weights,
        context_tokens=num_tokens,
        cache_bytes=usable - fixed,
        reason="memory" if changes else "",
        sentence=sentence,
    )


def _or_full(wanted: Literal["auto"] | Weights) -> Weights:
    return "full" if wanted == "auto" else wanted


def _matrices(config: NetworkConfig) -> Iterator[tuple[int, int]]:
    """Rows and columns of the projections: all that the two 8-bit forms make small. Experts are not among them."""
    D, K = config.d_model, config.d_head
    for i in range(config.num_layers):
        yield (config.num_heads + 2 * config.num_kv_heads) * K, D
        yield D, config.num_heads * K
        F = config.experts.d_shared if config.experts is not None and config.is_mixture(i) else config.d_ff
        if F:
            yield 2 * F, D
            yield D, F
    if not config.tied_head:
        yield config.vocab_size, D


def _num_other_numbers(config: NetworkConfig) -> int:
    """Embedding, norms, biases, states, experts with their routers."""
    D, K = config.d_model, config.d_head
    a_layer = 2 * D
    if config.qkv_bias:
        a_layer += (config.num_heads + 2 * config.num_kv_heads) * K
    if config.qk_norm:
        a_layer += 2 * K
    states = 3 * D if config.state_vectors else 0
    mixtures = 0
    if config.experts is not None:
        E, F = config.experts.num_experts, config.experts.d_ff
        bias = E if config.experts.router == "sigmoid" else 0
        mixtures = sum(map(config.is_mixture, range(config.num_layers))) * (3 * E * F * D + E * D + bias)
    return config.vocab_size * D + config.num_layers * a_layer + D + states + mixtures
