"""The shape of a network from a foreign config.json, and the names that its weights have in the files.

Source: the model definitions of Llama, Qwen2 and Qwen3 (`transformers`), and of LLaDA (GSAI-ML/LLaDA-8B-Base,
modeling_llada.py), whose names are given as data; foreign_experts.py for mixtures. Left out: scaled rotary positions,
sliding windows.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from model.checkpoints.error import CheckpointError
from model.checkpoints.foreign_experts import experts_of
from model.network.config import NetworkConfig

Body = Literal["llama", "qwen2", "qwen3", "qwen3_moe", "llada2_moe"]
"""qwen2 has biases of queries, keys and values, llama nothing of the kind, the others norms of queries and keys; the
last two are mixtures of experts."""


class WeightNames(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The names without `.weight` and `.bias`; those of a layer stand behind `layer`, where {} is its number.

    qkv: where queries, keys and values are one matrix. Of a mixture: router, router_bias (the whole name), experts
    ({} is the number of one) and shared, behind which stand the names of an expert's three matrices.
    """

    embed: str = "model.embed_tokens"
    final_norm: str = "model.norm"
    head: str = "lm_head"
    layer: str = "model.layers.{}."
    q: str = "self_attn.q_proj"
    k: str = "self_attn.k_proj"
    v: str = "self_attn.v_proj"
    qkv: str | None = None
    q_norm: str = "self_attn.q_norm"
    k_norm: str = "self_attn.k_norm"
    attn_out: str = "self_attn.o_proj"
    gate: str = "mlp.gate_proj"
    up: str = "mlp.up_proj"
    down: str = "mlp.down_proj"
    router: str = "mlp.gate"
    router_bias: str = "mlp.gate.expert_bias"
    experts: str = "mlp.experts.{}."
    shared: str = "mlp.shared_experts."
    expert_gate: str = "gate_proj"
    expert_up: str = "up_proj"
    expert_down: str = "down_proj"
    attn_norm: str = "input_layernorm"
    mlp_norm: str = "post_attention_layernorm"

    def of_expert(self, number: int | None) -> tuple[str, str, str]:
        """Gate, up and down of an expert; None = the shared one."""
        start = self.shared if number is None else self.experts.format(number)
        return start + self.expert_gate, start + self.expert_up, start + self.expert_down


IGNORED = ("rotary_emb.inv_freq",)
"""Buffers that older files hold; they follow from the shape."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises CheckpointError."""
    try:
        spec = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from None
    except ValueError:
        raise CheckpointError(f"{path} is not JSON.") from None
    if not isinstance(spec, dict):
        raise CheckpointError(f"{path} is not a model's description.")
    return spec


def shape_of(
    spec: Mapping[str, Any],
    body: Body,
    *,
    path: Path,
    vocab_size: int,
    tied_head: bool,
    keys: Mapping[str, str] | None = None,
) -> NetworkConfig:
    """The shape that the contents of the config.json at `path` describe. `keys`: where a family has other keys for
    those of Llama. Raises CheckpointError with one sentence.
    """
    keys = keys or {}

    def get(key: str) -> Any:
        return spec.get(keys.get(key, key))

    rope = spec.get("rope_parameters") or spec.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    obstacle = (
        f"scales its rotary positions ({kind})"
        if kind != "default"
        else "uses a sliding window"
        if spec.get("use_sliding_window")
        else f"uses {get('hidden_act')} instead of silu"
        if (get("hidden_act") or "silu") != "silu"
        else "has biases that our network has not"
        if (spec.get("attention_bias") and body != "qwen2") or spec.get("mlp_bias")
        else "has experts in some layers only"
        if body == "qwen3_moe" and (spec.get("mlp_only_layers") or spec.get("decoder_sparse_step", 1) != 1)
        else None
    )
    if obstacle is not None:
        raise CheckpointError(f"The model in {path.parent} {obstacle}, which is not supported.")
    try:
        num_heads = int(get("num_attention_heads"))
        d_model = int(get("hidden_size"))
        d_head = int(get("head_dim") or d_model // num_heads)
        turning = float(spec.get("partial_rotary_factor") or rope.get("partial_rotary_factor") or 1.0)
        return NetworkConfig(
            vocab_size=vocab_size,
            num_layers=int(get("num_hidden_layers")),
            d_model=d_model,
            num_heads=num_heads,
            num_kv_heads=int(get("num_key_value_heads") or num_heads),
            d_head=d_head,
            d_ff=int(get("intermediate_size")),
            rope_theta=float(rope.get("rope_theta") or get("rope_theta") or 10_000.0),
            norm_eps=float(get("rms_norm_eps") or 1e-6),
            qkv_bias=body == "qwen2",
            qk_norm=body not in ("llama", "qwen2"),
            tied_head=tied_head,
            d_rotary=None if turning == 1 else int(d_head * turning),
            experts=experts_of(spec) if body in ("qwen3_moe", "llada2_moe") else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not describe a whole model ({error}).") from None


def wanted_weights(config: NetworkConfig, names: WeightNames, num_rows: int) -> dict[str, tuple[int, ...]]:
    """Every weight that the files of such a network hold, with its shape; `num_rows` of the foreign embedding."""
    D, K = config.d_model, config.d_head
    wanted: dict[str, tuple[int, ...]] = {
        f"{names.embed}.weight": (num_rows, D),
        f"{names.final_norm}.weight": (D,),
    }
    if not config.tied_head:
        wanted[f"{names.head}.weight"] = (num_rows, D)
    for i in range(config.num_layers):
        layer = names.layer.format(i)
        num_heads = {names.q: config.num_heads, names.k: config.num_kv_heads, names.v: config.num_kv_heads}
        if names.qkv is not None:
            num_heads = {names.qkv: config.num_heads + 2 * config.num_kv_heads}
        for name, heads in num_heads.items():
            wanted[f"{layer}{name}.weight"] = (heads * K, D)
            if config.qkv_bias:
                wanted[f"{layer}{name}.bias"] = (heads * K,)
        if config.qk_norm:
            wanted |= {f"{layer}{name}.weight": (K,) for name in (names.q_norm, names.k_norm)}
        wanted[f"{layer}{names.attn_out}.weight"] = (D, config.num_heads * K)
        for gate, up, down, width in _feed_forwards(config, names, i):
            wanted |= {f"{layer}{gate}.weight": (width, D), f"{layer}{up}.weight": (width, D)}
            wanted[f"{layer}{down}.weight"] = (D, width)
        if config.experts is not None and config.is_mixture(i):
            wanted[f"{layer}{names.router}.weight"] = (config.experts.num_experts, D)
            if config.experts.router == "sigmoid":
                wanted[f"{layer}{names.router_bias}"] = (config.experts.num_experts,)
        wanted |= {f"{layer}{name}.weight": (D,) for name in (names.attn_norm, names.mlp_norm)}
    return wanted


def _feed_forwards(config: NetworkConfig, names: WeightNames, layer: int) -> Iterator[tuple[str, str, str, int]]:
    """Gate, up and down of each feed-forward of a layer, and its width."""
    experts = config.experts
    if experts is None or not config.is_mixture(layer):
        yield names.gate, names.up, names.down, config.d_ff
        return
    for number in range(experts.num_experts):
        yield *names.of_expert(number), experts.d_ff
    if experts.d_shared:
        yield *names.of_expert(None), experts.d_shared
