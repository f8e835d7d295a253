"""The mixture of experts that a foreign config.json describes.

Source: the configurations of Qwen3-MoE (`transformers`, configuration_qwen3_moe.py) and of LLaDA 2
(inclusionAI/LLaDA2.0-mini, configuration_llada2_moe.py), whose keys differ but do not contradict each other: what only
one of them has is absent from the other's files. Left out: the shape around it (foreign_shape.py).
"""

from collections.abc import Mapping
from typing import Any

from model.network.config import Experts


def experts_of(spec: Mapping[str, Any]) -> Experts:
    """Raises KeyError, TypeError or ValueError where the description is not whole."""
    is_sigmoid = spec.get("score_function") == "sigmoid"
    width = int(spec["moe_intermediate_size"])
    return Experts(
        num_experts=int(spec["num_experts"]),
        num_chosen=int(spec["num_experts_per_tok"]),
        d_ff=width,
        router="sigmoid" if is_sigmoid else "softmax",
        d_shared=int(spec.get("moe_shared_expert_intermediate_size") or width)
        * int(spec.get("num_shared_experts") or 0),
        num_dense_layers=int(spec.get("first_k_dense_replace") or 0),
        num_groups=int(spec.get("n_group") or 1),
        num_chosen_groups=int(spec.get("topk_group") or 1),
        sums_to_one=bool(spec.get("norm_topk_prob", is_sigmoid)),
        scale=float(spec.get("routed_scaling_factor") or 1.0),
    )
