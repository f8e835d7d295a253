"""Weights as integers: how far off they are, that a folder of them loads, and that a broken one says so."""

import itertools
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model import cli
from model.checkpoints.int8 import compress, dequantize_rows, expand, quantize_rows, relative_error
from model.checkpoints.load import CheckpointError, load_checkpoint, load_preset, save_checkpoint
from model.checkpoints.presets import Preset
from model.network.config import NetworkConfig, tiny_test
from model.tokenizer import tokenizer_json


@pytest.fixture
def folder(tmp_path, tiny_network) -> Path:
    """A checkpoint of bf16 weights, with a card."""
    made = tmp_path / "made.json"
    made.write_text(tokenizer_json(itertools.product("abcdefghijklmnop", "qrstuvwxyzAB")), encoding="utf-8")
    preset = Preset(name="tiny", network=tiny_network.config, trained={"steps": 12.0})
    save_checkpoint(tmp_path / "floats", tiny_network, preset, made)
    (tmp_path / "floats" / "MODEL_CARD.md").write_text("what it can do")
    return tmp_path / "floats"


@pytest.fixture
def small(folder, capsys) -> Path:
    """The same checkpoint, quantized by the command."""
    out = folder.parent / "integers"
    assert cli.main(["quantize", "--model", str(folder), "--out", str(out)]) == 0
    capsys.readouterr()
    return out


def command_says(capsys, *words: str) -> str:
    assert cli.main(["quantize", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def test_no_weight_is_off_by_more_than_half_a_step_of_its_own_row():
    weight = torch.randn(40, 30, generator=torch.Generator().manual_seed(0)) * torch.logspace(-6, 6, 40)[:, None]
    q, scale = quantize_rows(weight)
    assert (q.dtype, scale.dtype, scale.shape) == (torch.int8, torch.float32, (40,))
    off = (dequantize_rows(q, scale, torch.float32) - weight).abs()
    assert bool((off <= scale[:, None] * 0.5001).all())
    assert bool((q.abs().amax(dim=1) == 127).all())  # each row uses its whole range


def test_what_integers_can_hold_comes_back_exactly():
    integers = torch.randint(-127, 128, (6, 50), generator=torch.Generator().manual_seed(1)).float()
    integers[:, 0] = 127
    scales = torch.tensor([1.0, 0.5, 2.0**-20, 2.0**30, 3.0, 0.0])
    weight = integers * scales[:, None]
    assert torch.equal(dequantize_rows(*quantize_rows(weight), torch.float32), weight)


def test_the_smallest_numbers_do_not_overflow():
    weight = torch.full((2, 3), 1e-45)
    weight[1] *= 200
    q, scale = quantize_rows(weight)
    again = dequantize_rows(q, scale, torch.float32)
    assert bool((again >= 0).all())
    assert float(again.max()) < 1e-42


def test_only_matrices_become_integers(tiny_network):
    stored = compress(tiny_network.state_dict())
    integers = {name for name, weight in stored.items() if weight.dtype == torch.int8}
    per_layer = {"qkv", "attn_out", "gate_up", "mlp_out"}
    assert integers == {"embed.weight"} | {f"layers.{n}.{part}.weight" for n in range(2) for part in per_layer}
    assert torch.equal(stored["state_table"], tiny_network.state_table)
    assert set(expand(stored, None)) == set(tiny_network.state_dict())


def test_an_untied_head_and_biases(make_network):
    config = tiny_test()
    shape = {name: getattr(config, name) for name in config.__struct_fields__}
    network = make_network(NetworkConfig(**{**shape, "tied_head": False, "qkv_bias": True}))
    stored = compress(network.state_dict())
    assert stored["head.weight"].dtype == torch.int8
    assert torch.equal(stored["layers.0.qkv.bias"], network.state_dict()["layers.0.qkv.bias"])


def test_the_folder_loads_in_any_type_and_predicts_nearly_the_same(folder, small):
    before, after = load_checkpoint(folder, dtype=torch.float32), load_checkpoint(small, dtype=torch.float32)
    assert after.preset.trained == before.preset.trained
    assert after.preset.name == "tiny-int8"
    for name, weight in before.network.state_dict().items():
        again = after.network.state_dict()[name]
        assert again.dtype == torch.float32
        assert relative_error(weight, again) < 0.01
        assert torch.equal(weight, again) == ("norm" in name or name == "state_table")
    tokens = torch.arange(64, 96)[None]
    args = (tokens, torch.arange(32)[None], torch.ones_like(tokens), torch.ones(1, 32, 32, dtype=torch.bool))
    log_p = [c.network.logits(c.network(*args)).log_softmax(-1) for c in (before, after)]
    divergence = (log_p[0].exp() * (log_p[0] - log_p[1])).sum(-1)
    assert 0 < float(divergence.mean()) < 0.02
    kept = load_checkpoint(small)
    assert {weight.dtype for weight in kept.network.state_dict().values()} == {torch.bfloat16}


def test_the_command_writes_a_whole_folder_of_half_the_size(folder, capsys):
    out = folder.parent / "integers"
    assert cli.main(["quantize", "--model", str(folder), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "of weights" in said
    assert "moved by" in said
    assert {path.name for path in out.iterdir()} == {path.name for path in folder.iterdir()}
    assert (out / "MODEL_CARD.md").read_text() == "what it can do"
    sizes = [sum(w.nbytes for w in load_file(place / "model.safetensors").values()) for place in (folder, out)]
    assert sizes[1] < 0.55 * sizes[0]
    assert load_preset(out).weights == "int8"


def test_what_is_trained_on_is_stored_as_floats_again(small, tmp_path):
    loaded = load_checkpoint(small)
    save_checkpoint(tmp_path / "next", loaded.network, loaded.preset, small / "tokenizer.json")
    assert load_preset(tmp_path / "next").weights == "float"
    again = load_checkpoint(tmp_path / "next").network.state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in loaded.network.state_dict().items())


def test_a_wrong_argument_is_one_sentence(folder, small, tmp_path, capsys):
    assert "integers already" in command_says(capsys, "--model", str(small), "--out", str(tmp_path / "x"))
    assert "no checkpoint folder" in command_says(capsys, "--model", str(tmp_path / "y"), "--out", str(tmp_path / "x"))
    for taken in (folder, small, folder / "preset.json"):
        assert "not an empty folder" in command_says(capsys, "--model", str(folder), "--out", str(taken))
    assert "--out" in command_says(capsys, "--model", str(folder))
    below = tmp_path / "file"
    below.write_text("")
    assert "cannot be written" in command_says(capsys, "--model", str(folder), "--out", str(below / "x"))
    assert not (tmp_path / "x").exists()


def test_weights_that_are_no_numbers_are_refused(folder, tmp_path, capsys):
    weights = load_file(folder / "model.safetensors")
    weights["layers.1.mlp_out.weight"][0, 0] = float("nan")
    save_file(weights, folder / "model.safetensors")
    assert "layers.1.mlp_out.weight" in command_says(capsys, "--model", str(folder), "--out", str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"embed.weight.scale": None}, "embed.weight"),
        ({"embed.weight.scale": torch.ones(5)}, "embed.weight"),
        ({"embed.weight.scale": torch.ones(512, dtype=torch.bfloat16)}, "embed.weight"),
        ({"embed.weight": torch.ones(512, 48)}, "embed.weight.scale has no integers"),
        ({"stray.scale": torch.ones(5)}, "stray.scale"),
        ({"final_norm.weight": torch.ones(48, dtype=torch.int8)}, "final_norm.weight"),
    ],
)
def test_a_damaged_folder_is_one_sentence(small, change, words):
    path = small / "model.safetensors"
    weights = {**load_file(path), **change}
    save_file({name: weight for name, weight in weights.items() if weight is not None}, path)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_checkpoint(small)
    assert str(caught.value).endswith(".")


def test_preset_and_weights_must_agree(folder, small):
    for place, weights in ((small, "float"), (folder, "int8")):
        path = place / "preset.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "weights": weights}))
    with pytest.raises(CheckpointError, match="asks for floats"):
        load_checkpoint(small)
    with pytest.raises(CheckpointError, match="holds no integers"):
        load_checkpoint(folder)
