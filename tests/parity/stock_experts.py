"""Mixtures of experts as the stock classes of transformers want them: configuration, names, experts stacked.

LLaDA 2 has no stock class, but Glm4Moe has its parts: heads that turn in part, norms of queries and keys, a dense first
layer, a shared expert, and the sigmoid router with groups and a bias that only chooses. Written here for a second time:
what maps names for our network is what is tested.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

CLASSES = {"qwen3_moe": "Qwen3MoeForCausalLM", "llada2_moe": "Glm4MoeForCausalLM"}

_LLADA2_NAMES = (
    (r"^model\.word_embeddings", "model.embed_tokens"),
    (r"\.attention\.query_layernorm", ".self_attn.q_norm"),
    (r"\.attention\.key_layernorm", ".self_attn.k_norm"),
    (r"\.attention\.dense", ".self_attn.o_proj"),
    (r"\.mlp\.gate\.expert_bias", ".mlp.gate.e_score_correction_bias"),
)


def experts_config(spec: Mapping[str, Any], body: str) -> dict[str, Any]:
    """Arguments of the class's configuration beside those of a dense model."""
    shared = ("moe_intermediate_size", "num_experts_per_tok", "norm_topk_prob")
    found = {key: spec[key] for key in shared}
    if body == "qwen3_moe":
        return found | {"num_experts": spec["num_experts"], "decoder_sparse_step": 1, "mlp_only_layers": []}
    rope = {"rope_type": "default", "rope_theta": spec["rope_theta"], "partial_rotary_factor": 0.5}
    same = ("routed_scaling_factor", "n_group", "topk_group", "first_k_dense_replace")
    return (
        found
        | {key: spec[key] for key in same}
        | {
            "n_routed_experts": spec["num_experts"],
            "n_shared_experts": spec["num_shared_experts"],
            "use_qk_norm": True,
            "rope_parameters": rope,
        }
    )


def stock_weights(weights: Mapping[str, Tensor], spec: Mapping[str, Any], body: str) -> dict[str, Tensor]:
    """The weights of a folder by the stock class's names."""
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if ".mlp.experts." in name:
            continue
        if name.endswith(".attention.query_key_value.weight"):
            K, H, G = (spec[key] for key in ("head_dim", "num_attention_heads", "num_key_value_heads"))
            start = name.replace("attention.query_key_value.weight", "self_attn.")
            for part, rows in zip("qkv", weight.split([H * K, G * K, G * K]), strict=True):
                found[f"{start}{part}_proj.weight"] = rows
            continue
        for pattern, replacement in _LLADA2_NAMES if body == "llada2_moe" else ():
            name = re.sub(pattern, replacement, name)
        found[name] = weight
    for layer in sorted({name.split(".experts.")[0] for name in weights if ".mlp.experts." in name}):
        each = [f"{layer}.experts.{number}." for number in range(spec["num_experts"])]
        gate_up = [torch.cat([weights[f"{start}{name}_proj.weight"] for name in ("gate", "up")]) for start in each]
        found[f"{layer}.experts.gate_up_proj"] = torch.stack(gate_up)
        found[f"{layer}.experts.down_proj"] = torch.stack([weights[f"{start}down_proj.weight"] for start in each])
    return found
