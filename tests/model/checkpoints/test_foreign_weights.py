"""Foreign weights become ours: each row where it belongs, in the type asked for, and nothing wrong goes unsaid."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.checkpoints.error import CheckpointError
from model.checkpoints.families import family_preset, weight_names
from model.checkpoints.foreign_weights import check_weights
from model.checkpoints.load import load_checkpoint
from model.checkpoints.weight_files import WeightFiles
from model.tokenizer import BOS, EOM, MASK, NUM_RESERVED
from tests.model.checkpoints.tiny_folders import FAMILIES, write_tiny_folder


def folder_of(tmp_path, family: str):
    path = tmp_path / FAMILIES[family].name
    return path, write_tiny_folder(path, family)


def rewrite(folder, name: str, weight: torch.Tensor | None) -> None:
    """Changes one weight of a folder of one file; None removes it."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    if weight is None:
        del weights[name]
    else:
        weights[name] = weight
    save_file(weights, path)


EMBED = {"llada-base": "model.transformer.wte.weight", "llada2": "model.word_embeddings.weight"}


@pytest.mark.parametrize("family", ["dreamon", "llada-base", "sdar", "stable-diffcoder-base", "fast-dllm-v2", "llada2"])
def test_rows_stand_in_our_order(tmp_path, family) -> None:
    folder, theirs = folder_of(tmp_path, family)
    loaded = load_checkpoint(folder, dtype=torch.float32)
    ids = loaded.tokenizer.vocabulary.foreign_ids
    embed = theirs[EMBED.get(family, "model.embed_tokens.weight")].float()
    ours = loaded.network.embed.weight
    assert len(ours) == len(ids) == loaded.preset.network.vocab_size
    for id in (MASK, EOM, NUM_RESERVED, NUM_RESERVED + 100, len(ids) - 1):
        assert torch.equal(ours[id], embed[ids[id]])
    empty = next(id for id in range(NUM_RESERVED) if ids[id] is None)
    torch.testing.assert_close(ours[empty], embed.mean(0))
    assert (loaded.network.head is None) == (family == "fast-dllm-v2")
    assert loaded.network.state_table is None


def test_the_end_and_the_deletion_are_one_row(tmp_path) -> None:
    folder, _ = folder_of(tmp_path, "dreamon")
    loaded = load_checkpoint(folder)
    ids = loaded.tokenizer.vocabulary.foreign_ids
    assert ids[EOM] == ids[loaded.tokenizer.special_id("del")]
    weight = loaded.network.head_weight
    assert torch.equal(weight[EOM], weight[loaded.tokenizer.special_id("del")])
    assert not torch.equal(weight[EOM], weight[BOS])


@pytest.mark.parametrize("family", ["dllm-bd3lm", "llada-instruct"])
def test_bf16_stays_and_other_types_come_from_it(tmp_path, family) -> None:
    folder, _ = folder_of(tmp_path, family)
    kept, wide = load_checkpoint(folder), load_checkpoint(folder, dtype=torch.float32)
    assert {weight.dtype for weight in kept.network.state_dict().values()} == {torch.bfloat16}
    for name, weight in wide.network.state_dict().items():
        assert torch.equal(weight.to(torch.bfloat16), kept.network.state_dict()[name])


def test_experts_are_stacked_in_their_order(tmp_path) -> None:
    folder, theirs = folder_of(tmp_path, "llada2.1")
    ours = load_checkpoint(folder).network.state_dict()
    start = "model.layers.1.mlp."
    for number in range(8):
        gate, up, down = (theirs[f"{start}experts.{number}.{name}_proj.weight"] for name in ("gate", "up", "down"))
        assert torch.equal(ours["layers.1.mixture.experts_gate_up"][number], torch.cat((gate, up)))
        assert torch.equal(ours["layers.1.mixture.experts_out"][number], down)
    assert torch.equal(ours["layers.1.mixture.router_bias"], theirs[f"{start}gate.expert_bias"])
    assert ours["layers.1.mixture.router_bias"].dtype == torch.float32
    assert "layers.0.gate_up.weight" in ours


def test_features_that_turn_stand_at_the_start_of_each_half(tmp_path) -> None:
    folder, theirs = folder_of(tmp_path, "llada2")
    ours = load_checkpoint(folder).network.state_dict()
    order = [0, 1, 4, 5, 2, 3, 6, 7]  # of 8 features the first 4 turn
    rows = theirs["model.layers.1.attention.query_key_value.weight"]
    heads, found = rows.view(8, 8, -1), ours["layers.1.qkv.weight"].view(8, 8, -1)
    assert torch.equal(found[:6], heads[:6, order])
    assert torch.equal(found[6:], heads[6:])  # values do not turn
    norm = theirs["model.layers.1.attention.key_layernorm.weight"]
    assert torch.equal(ours["layers.1.k_norm.weight"], norm[order])


@pytest.mark.parametrize("family", ["sdar", "sdar-moe", "llada2"])
def test_no_tensor_is_read_twice_and_no_two_at_once(tmp_path, monkeypatch, family) -> None:
    """What bounds memory: one foreign tensor at a time beside our own."""
    folder, theirs = folder_of(tmp_path, family)
    taken: list[str] = []
    take = WeightFiles.take

    def counted(files: WeightFiles, name: str) -> torch.Tensor:
        taken.append(name)
        return take(files, name)

    monkeypatch.setattr(WeightFiles, "take", counted)
    load_checkpoint(folder)
    assert sorted(taken) == sorted(theirs)


@pytest.mark.parametrize(
    ("name", "weight", "says"),
    [
        ("model.layers.1.mlp.up_proj.weight", None, "lacks the weight model.layers.1.mlp.up_proj.weight"),
        ("model.embed_tokens.weight", None, "lacks the weight model.embed_tokens.weight"),
        ("model.layers.0.self_attn.k_norm.weight", None, "lacks the weight model.layers.0.self_attn.k_norm.weight"),
        (
            "model.layers.0.mlp.up_proj.weight",
            torch.zeros(3, 4),
            r"up_proj.weight has the shape \(3, 4\), not \(64, 32\)",
        ),
        (
            "model.layers.2.mlp.up_proj.weight",
            torch.zeros(64, 32),
            "holds the weight model.layers.2.mlp.up_proj.weight",
        ),
        ("model.norm.weight", torch.zeros(32, dtype=torch.int8), "model.norm.weight is stored as I8"),
        ("model.embed_tokens.weight", torch.zeros(200, 32), "the model only 200 rows|do not fit"),
    ],
)
def test_wrong_weights_are_one_sentence(tmp_path, name, weight, says) -> None:
    folder, _ = folder_of(tmp_path, "dllm-mdlm")
    rewrite(folder, name, weight)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_checkpoint(folder)
    assert str(folder) in caught.value.sentence
    assert "\n" not in caught.value.sentence


def test_an_expert_that_is_missing(tmp_path) -> None:
    folder, weights = folder_of(tmp_path, "sdar-moe")
    for path in folder.glob("model*"):
        path.unlink()
    del weights["model.layers.0.mlp.experts.3.up_proj.weight"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"lacks the weight model.layers.0.mlp.experts.3.up_proj.weight"):
        load_checkpoint(folder)


def test_buffers_of_older_files_are_passed_over(tmp_path) -> None:
    folder, _ = folder_of(tmp_path, "dllm-mdlm")
    rewrite(folder, "model.layers.0.self_attn.rotary_emb.inv_freq", torch.zeros(4))
    load_checkpoint(folder)


def test_tokens_without_rows(tmp_path) -> None:
    folder, _ = folder_of(tmp_path, "dllm-mdlm")
    preset = family_preset(folder)
    with pytest.raises(CheckpointError, match=r"has the token 9999, but the model only \d+ rows"):
        check_weights(WeightFiles(folder), preset.network, weight_names(preset), (None, 9999))


def test_shape_against_weights(tmp_path) -> None:
    folder, _ = folder_of(tmp_path, "dllm-mdlm")
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_key_value_heads": 4}))
    with pytest.raises(CheckpointError, match=r"do not fit its config.json"):
        load_checkpoint(folder)
