"""Checkpoint folders: what was saved is what loads, and what cannot be used says so in one sentence."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from model.checkpoints.load import CheckpointError, default_checkpoint, load_checkpoint, load_preset, save_checkpoint
from model.checkpoints.presets import Preset, Sampling, decode_preset, encode_preset
from model.network.config import tiny_test
from model.tokenizer import tokenizer_json


@pytest.fixture
def tokenizer_file(tmp_path) -> Path:
    """A tokenizer of 64 + 256 + 192 = 512 tokens."""
    path = tmp_path / "made" / "tokenizer.json"
    path.parent.mkdir()
    path.write_text(tokenizer_json(itertools.product("abcdefghijklmnop", "qrstuvwxyzAB")), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path, tiny_network, tokenizer_file) -> Path:
    preset = Preset(name="tiny", network=tiny_network.config, sampling=Sampling(tau_mask=0.3), trained={"steps": 12.0})
    save_checkpoint(tmp_path / "ckpt", tiny_network, preset, tokenizer_file, dtype=None)
    return tmp_path / "ckpt"


def edit_preset(folder: Path, **changes) -> None:
    path = folder / "preset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refused(folder: Path) -> str:
    """The error's text, checked to be one sentence that names the place."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert str(folder) in sentence
    return sentence


def test_round_trip(folder, tiny_network):
    loaded = load_checkpoint(folder)
    assert loaded.preset.name == "tiny"
    assert loaded.preset.trained == {"steps": 12.0}
    assert loaded.tokenizer.vocab_size == 512
    assert not loaded.network.training
    for name, weight in tiny_network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], weight)
    tokens = torch.randint(0, 512, (1, 6))
    args = (tokens, torch.arange(6)[None], torch.ones_like(tokens), torch.ones(1, 6, 6, dtype=torch.bool))
    assert torch.equal(loaded.network(*args), tiny_network(*args))
    assert not list(folder.glob("*.part"))


def test_stored_in_bf16_unless_told_otherwise(tmp_path, tiny_network, tokenizer_file):
    preset = Preset(name="tiny", network=tiny_network.config)
    for _ in range(2):  # the second time over the first
        save_checkpoint(tmp_path / "b", tiny_network, preset, tokenizer_file)
    assert {w.dtype for w in load_file(tmp_path / "b" / "model.safetensors").values()} == {torch.bfloat16}
    assert load_checkpoint(tmp_path / "b").network.embed.weight.dtype == torch.bfloat16
    assert load_checkpoint(tmp_path / "b", dtype=torch.float32).network.embed.weight.dtype == torch.float32


def test_a_tokenizer_already_in_place_is_left_alone(folder, tiny_network):
    save_checkpoint(folder, tiny_network, load_preset(folder), folder / "tokenizer.json")
    assert load_checkpoint(folder).tokenizer.vocab_size == 512


def test_a_failure_leaves_what_was_there(folder, tiny_network, monkeypatch):
    before = (folder / "model.safetensors").read_bytes()

    def full(path: Path, _: bytes) -> int:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(folder, tiny_network, load_preset(folder), folder / "tokenizer.json")
    assert (folder / "model.safetensors").read_bytes() == before
    assert not list(folder.glob("*.part"))


def test_others_may_read_the_weights(folder):
    assert (folder / "model.safetensors").stat().st_mode == (folder / "preset.json").stat().st_mode


def test_preset_survives_json():
    preset = Preset(
        name="x", network=tiny_test(), languages=("python", "c"), rewrite="listed", trained={"stage": "edit"}
    )
    assert decode_preset(encode_preset(preset)) == preset
    grown = msgspec.json.encode({**msgspec.to_builtins(preset), "later_field": 1})
    assert decode_preset(grown) == preset


def test_missing_folder(tmp_path):
    assert "no checkpoint folder" in refused(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "preset.json"])
def test_missing_file(folder, name):
    (folder / name).unlink()
    assert name in refused(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"architectures": ["LlamaForCausalLM"]}'])
def test_foreign_preset(folder, content):
    (folder / "preset.json").write_bytes(content)
    assert "not a preset of this program" in refused(folder)


def test_impossible_shape(folder):
    network = {**json.loads((folder / "preset.json").read_text())["network"], "num_heads": 3}
    edit_preset(folder, network=network)
    assert "multiple of num_kv_heads" in refused(folder)


def test_other_format(folder):
    edit_preset(folder, format=2, network="something new")
    assert "format 2" in refused(folder)


@pytest.mark.parametrize("content", [b"", b"not safetensors at all"])
def test_foreign_weights(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    assert "not a readable safetensors file" in refused(folder)


@pytest.mark.parametrize("content", ["", "{}", '{"version": "1.0", "model": {"type": "WordLevel", "vocab": {}}}'])
def test_foreign_tokenizer(folder, content):
    (folder / "tokenizer.json").write_text(content)
    assert "tokenizer" in refused(folder)


def test_tokenizer_of_another_vocabulary(folder):
    (folder / "tokenizer.json").write_text(tokenizer_json([("a", "b")]), encoding="utf-8")
    sentence = refused(folder)
    assert "321" in sentence
    assert "512" in sentence


def test_weights_that_do_not_fit_the_preset(folder):
    path = folder / "model.safetensors"
    weights = load_file(path)
    good = dict(weights)

    save_file({**good, "final_norm.weight": torch.ones(7)}, path)
    assert "final_norm.weight has shape (7,)" in refused(folder)
    save_file({**good, "head.weight": torch.ones(2)}, path)
    assert "head.weight" in refused(folder)
    del weights["layers.1.qkv.weight"]
    save_file(weights, path)
    assert "lacks the weight layers.1.qkv.weight" in refused(folder)


def test_default_checkpoint(monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDLING_MODEL", str(tmp_path))
    assert default_checkpoint() == tmp_path
    monkeypatch.delenv("SEEDLING_MODEL")
    assert default_checkpoint().parts[-2:] == ("model", "embedded")


def test_loading_does_not_import_torch_compiler(folder):
    """It takes seconds, which every start of the engine and every command would pay."""
    code = (
        "import sys; from model.checkpoints.load import load_checkpoint; "
        f"load_checkpoint({str(folder)!r}); sys.exit('torch._dynamo' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
