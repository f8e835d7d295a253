"""`seedling average`: between checkpoints, or one sentence why not."""

import itertools
from pathlib import Path

import pytest
import torch

from model import cli
from model.checkpoints.load import load_checkpoint, save_checkpoint
from model.checkpoints.presets import Preset
from model.network.config import NetworkConfig, tiny_test
from model.tokenizer import tokenizer_json
from tests.model.checkpoints.tiny_folders import FAMILIES, write_tiny_folder


@pytest.fixture
def made(tmp_path, make_network):
    """Writes a checkpoint: made(name, weight of everything, other shape)."""
    tokenizer = tmp_path / "made.json"
    tokenizer.write_text(tokenizer_json(itertools.product("abcdefghijklmnop", "qrstuvwxyzAB")), encoding="utf-8")

    def make(name: str, value: float, **changes: object) -> Path:
        shape = {field: getattr(tiny_test(), field) for field in tiny_test().__struct_fields__}
        network = make_network(NetworkConfig(**{**shape, **changes}))
        for parameter in network.parameters():
            parameter.data.fill_(value)
        preset = Preset(name=name, network=network.config)
        save_checkpoint(tmp_path / name, network, preset, tokenizer)
        return tmp_path / name

    return make


def test_shares_need_not_add_up_to_one(made, tmp_path, capsys):
    a, b = made("a", 1.0), made("b", 5.0)
    assert cli.main(["average", f"{a}=3", f"{b}=1", "--out", str(tmp_path / "c")]) == 0
    assert "75% of" in capsys.readouterr().out
    between = load_checkpoint(tmp_path / "c")
    assert between.preset.name == "a"
    assert all(bool(torch.all(weight == 2.0)) for weight in between.network.state_dict().values())


@pytest.mark.parametrize("part", ["{a}", "{a}=", "{a}=0", "{a}=-1", "{a}=inf", "=1", "{a}=much"])
def test_a_part_is_a_folder_and_a_share(made, tmp_path, capsys, part):
    assert cli.main(["average", part.format(a=made("a", 1.0)), "--out", str(tmp_path / "c")]) == 2
    assert "is not FOLDER=SHARE" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_what_does_not_belong_together_is_refused(made, tmp_path, capsys):
    a, wider = made("a", 1.0), made("wider", 1.0, d_ff=2 * tiny_test().d_ff)
    small = tmp_path / "small"
    assert cli.main(["quantize", "--model", str(a), "--out", str(small)]) == 0
    for other, why in ((wider, "another shape"), (small, "8-bit integers"), (tmp_path / "none", "none")):
        capsys.readouterr()
        assert cli.main(["average", f"{a}=1", f"{other}=1", "--out", str(tmp_path / "c")]) == 2
        said = capsys.readouterr().err
        assert why in said
        assert said.count("\n") == 1
    assert cli.main(["average", f"{a}=1", "--out", str(wider)]) == 2
    assert "not an empty folder" in capsys.readouterr().err


def test_models_of_others_are_left_as_they_are(tmp_path, capsys):
    folder, out = tmp_path / FAMILIES["sdar"].name, tmp_path / "out"
    write_tiny_folder(folder, "sdar")
    for arguments in (["quantize", "--model", str(folder)], ["average", f"{folder}=1"]):
        assert cli.main([*arguments, "--out", str(out)]) == 2
        said = capsys.readouterr().err
        assert "a model of others" in said
        assert said.count("\n") == 1
        assert not out.exists()
