"""What the folders of mixtures of experts have of their own, in tiny: keys of config.json and names of weights.

The keys and names are those of inclusionAI/LLaDA2.0-mini and JetLM/SDAR-30B-A3B-Chat; tiny_folders.py writes the rest.
"""

from collections.abc import Callable, Iterator

from torch import Tensor

D, K, H, G, FF, LAYERS = 32, 8, 4, 2, 64, 2  # as in tiny_folders.py
E, CHOSEN, WIDTH, GROUPS = 8, 3, 16, 4

LLADA2_SPECIAL = ("<|startoftext|>", "<|endoftext|>", "<|mask|>", "<role>", "</role>", "<|role_end|>")
LLADA2_CONFIG: dict[str, object] = {
    "model_type": "llada2_moe",
    "architectures": ["LLaDA2MoeModelLM"],
    "head_dim": K,
    "first_k_dense_replace": 1,
    "moe_intermediate_size": WIDTH,
    "moe_router_enable_expert_bias": True,
    "n_group": GROUPS,
    "norm_head": False,
    "norm_topk_prob": True,
    "num_experts": E,
    "num_experts_per_tok": CHOSEN,
    "num_shared_experts": 1,
    "output_router_logits": False,
    "partial_rotary_factor": 0.5,
    "rope_theta": 600000,
    "rotary_dim": K // 2,
    "routed_scaling_factor": 2.5,
    "router_dtype": "fp32",
    "score_function": "sigmoid",
    "tie_word_embeddings": False,
    "topk_group": 2,
    "use_bias": False,
    "use_qk_norm": True,
    "use_qkv_bias": False,
}
SDAR_MOE_CONFIG: dict[str, object] = {
    "model_type": "sdar_moe",
    "architectures": ["SDARMoeForCausalLM"],
    "block_size": 4,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "moe_intermediate_size": WIDTH,
    "norm_topk_prob": True,
    "num_experts": E,
    "num_experts_per_tok": CHOSEN,
    "output_router_logits": False,
    "router_aux_loss_coef": 0.001,
}

Draw = Callable[..., Tensor]


def llada2_weights(num_rows: int, draw: Draw, scale: Callable[[int], Tensor]) -> Iterator[tuple[str, Tensor]]:
    """All weights: a dense layer, then mixtures with a shared expert and a bias in fp32."""
    yield "model.word_embeddings.weight", draw(num_rows, D)
    yield "model.norm.weight", scale(D)
    yield "lm_head.weight", draw(num_rows, D)
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        yield f"{layer}attention.query_key_value.weight", draw((H + 2 * G) * K, D)
        yield f"{layer}attention.query_layernorm.weight", scale(K)
        yield f"{layer}attention.key_layernorm.weight", scale(K)
        yield f"{layer}attention.dense.weight", draw(D, H * K)
        yield f"{layer}input_layernorm.weight", scale(D)
        yield f"{layer}post_attention_layernorm.weight", scale(D)
        if i == 0:
            yield from _gated(f"{layer}mlp.", FF, draw)
            continue
        yield from qwen3_moe_weights(layer, draw)
        yield f"{layer}mlp.gate.expert_bias", 0.3 * draw(E).float()
        yield from _gated(f"{layer}mlp.shared_experts.", WIDTH, draw)


def qwen3_moe_weights(layer: str, draw: Draw) -> Iterator[tuple[str, Tensor]]:
    """Router and experts of one layer."""
    yield f"{layer}mlp.gate.weight", draw(E, D)
    for number in range(E):
        yield from _gated(f"{layer}mlp.experts.{number}.", WIDTH, draw)


def _gated(start: str, width: int, draw: Draw) -> Iterator[tuple[str, Tensor]]:
    yield f"{start}gate_proj.weight", draw(width, D)
    yield f"{start}up_proj.weight", draw(width, D)
    yield f"{start}down_proj.weight", draw(D, width)
