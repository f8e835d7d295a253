"""The shape that a config.json describes, in each family's keys."""

from pathlib import Path

import pytest

from model.checkpoints.error import CheckpointError
from model.checkpoints.foreign_shape import WeightNames, read_json, shape_of, wanted_weights
from model.network.config import Experts

LLAMA = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 100,
    "rms_norm_eps": 1e-5,
    "rope_theta": 5e5,
}
PATH = Path("folder/config.json")


def test_llama_keys() -> None:
    shape = shape_of(LLAMA, "llama", path=PATH, vocab_size=99, tied_head=False)
    assert (shape.vocab_size, shape.num_layers, shape.d_model, shape.d_ff) == (99, 3, 64, 100)
    assert (shape.num_heads, shape.num_kv_heads, shape.d_head) == (8, 2, 8)
    assert (shape.rope_theta, shape.norm_eps, shape.tied_head) == (5e5, 1e-5, False)
    assert (shape.qkv_bias, shape.qk_norm) == (False, False)


@pytest.mark.parametrize(("body", "bias", "norm"), [("qwen2", True, False), ("qwen3", False, True)])
def test_bodies(body, bias, norm) -> None:
    shape = shape_of({**LLAMA, "head_dim": 16}, body, path=PATH, vocab_size=9, tied_head=True)
    assert (shape.qkv_bias, shape.qk_norm, shape.d_head) == (bias, norm, 16)


def test_other_keys_and_what_may_be_left_out() -> None:
    other = {"d_model": 64, "n_layers": 3, "n_heads": 8, "mlp_hidden_size": 100}
    keys = {"hidden_size": "d_model", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
    keys["intermediate_size"] = "mlp_hidden_size"
    shape = shape_of(other, "llama", path=PATH, vocab_size=9, tied_head=False, keys=keys)
    assert (shape.num_kv_heads, shape.rope_theta, shape.norm_eps) == (8, 10_000.0, 1e-6)


def test_rope_as_newer_files_say_it() -> None:
    newer = {key: value for key, value in LLAMA.items() if key != "rope_theta"}
    newer["rope_parameters"] = {"rope_theta": 1e6, "rope_type": "default"}
    assert shape_of(newer, "llama", path=PATH, vocab_size=9, tied_head=False).rope_theta == 1e6


def test_heads_that_do_not_divide() -> None:
    with pytest.raises(CheckpointError, match="must be a multiple"):
        shape_of({**LLAMA, "num_key_value_heads": 3}, "llama", path=PATH, vocab_size=9, tied_head=False)


def test_wanted_weights_of_each_body() -> None:
    def wanted(body, tied):
        shape = shape_of(LLAMA, body, path=PATH, vocab_size=9, tied_head=tied)
        return wanted_weights(shape, WeightNames(), 50)

    assert len(wanted("llama", True)) == 2 + 3 * 9
    assert wanted("llama", False)["lm_head.weight"] == (50, 64)
    assert wanted("qwen2", True)["model.layers.2.self_attn.k_proj.bias"] == (16,)
    assert wanted("qwen3", True)["model.layers.0.self_attn.q_norm.weight"] == (8,)


QWEN3_MOE = {
    **LLAMA,
    "num_experts": 16,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 20,
    "norm_topk_prob": True,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
}
LLADA2 = {
    **QWEN3_MOE,
    "head_dim": 16,
    "score_function": "sigmoid",
    "num_shared_experts": 2,
    "first_k_dense_replace": 1,
    "n_group": 4,
    "topk_group": 2,
    "routed_scaling_factor": 2.5,
    "partial_rotary_factor": 0.5,
}


def test_mixtures_of_experts() -> None:
    plain = shape_of(QWEN3_MOE, "qwen3_moe", path=PATH, vocab_size=9, tied_head=False)
    assert plain.experts == Experts(num_experts=16, num_chosen=2, d_ff=20, router="softmax")
    assert (plain.qk_norm, plain.d_rotary) == (True, None)
    grouped = shape_of(LLADA2, "llada2_moe", path=PATH, vocab_size=9, tied_head=False)
    assert grouped.experts == Experts(
        num_experts=16, num_chosen=2, d_ff=20, router="sigmoid", d_shared=40, num_dense_layers=1,
        num_groups=4, num_chosen_groups=2, scale=2.5,
    )  # fmt: skip
    assert (grouped.d_head, grouped.d_rotary) == (16, 8)
    other = shape_of(
        {**LLADA2, "moe_shared_expert_intermediate_size": 7}, "llada2_moe", path=PATH, vocab_size=9, tied_head=False
    )
    assert other.experts is not None
    assert other.experts.d_shared == 14


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mlp_only_layers": [0]}, "has experts in some layers only"),
        ({"decoder_sparse_step": 2}, "has experts in some layers only"),
        ({"num_experts": None}, "does not describe a whole model"),
        ({"num_experts_per_tok": 17}, "17 experts cannot be chosen"),
        ({"n_group": 3}, "16 experts cannot be chosen from 3 groups"),
        ({"n_group": 16}, "a group needs two experts"),
    ],
)
def test_mixtures_that_are_none(changes, says) -> None:
    with pytest.raises(CheckpointError, match=says):
        shape_of({**QWEN3_MOE, **changes}, "qwen3_moe", path=PATH, vocab_size=9, tied_head=False)


def test_wanted_weights_of_a_mixture() -> None:
    shape = shape_of(LLADA2, "llada2_moe", path=PATH, vocab_size=9, tied_head=False)
    wanted = wanted_weights(shape, WeightNames(qkv="attention.query_key_value"), 50)
    assert wanted["model.layers.0.mlp.gate_proj.weight"] == (100, 64)
    assert wanted["model.layers.1.mlp.experts.15.down_proj.weight"] == (64, 20)
    assert wanted["model.layers.2.mlp.shared_experts.up_proj.weight"] == (40, 64)
    assert wanted["model.layers.2.mlp.gate.expert_bias"] == (16,)
    assert wanted["model.layers.0.attention.query_key_value.weight"] == (12 * 16, 64)
    assert "model.layers.1.mlp.gate_proj.weight" not in wanted
    assert "model.layers.0.self_attn.q_proj.weight" not in wanted


def test_files_that_are_no_description(tmp_path) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_json(path)
    for content, says in (("{", "is not JSON"), ("[]", "is not a model's description")):
        path.write_text(content)
        with pytest.raises(CheckpointError, match=says):
            read_json(path)
