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


@pytest.mark.parametrize("family", ["dreamon", "llada-base", "sdar", "stable-diffcoder-base", "fast-dllm-v2"])
def test_rows_stand_in_our_order(tmp_path, family) -> None:
    folder, theirs = folder_of(tmp_path, family)
    loaded = load_checkpoint(folder, dtype=torch.float32)
    ids = loaded.tokenizer.vocabulary.foreign_ids
    embed = theirs["model.transformer.wte.weight" if family == "llada-base" else "model.embed_tokens.weight"].float()
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


def test_no_tensor_is_read_twice_and_no_two_at_once(tmp_path, monkeypatch) -> None:
    """What bounds memory: one foreign tensor at a time beside our own."""
    folder, theirs = folder_of(tmp_path, "sdar")
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
