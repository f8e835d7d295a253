"""Tensors by name from one file or several; what is not whole says so."""

import json

import pytest
import torch
from safetensors.torch import save_file

from model.checkpoints.error import CheckpointError
from model.checkpoints.weight_files import INDEX_FILE, WeightFiles


@pytest.fixture
def folder(tmp_path):
    save_file({"a": torch.ones(2, 3), "b": torch.zeros(4, dtype=torch.bfloat16)}, tmp_path / "model-1.safetensors")
    save_file({"c": torch.full((1,), 7.0)}, tmp_path / "model-2.safetensors", metadata={"format": "pt"})
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}}
    (tmp_path / INDEX_FILE).write_text(json.dumps(index))
    return tmp_path


@pytest.mark.parametrize("with_index", [True, False])
def test_headers_and_tensors(folder, with_index) -> None:
    if not with_index:
        (folder / INDEX_FILE).unlink()
    files = WeightFiles(folder)
    assert set(files) == {"a", "b", "c"}
    assert (files["a"].shape, files["a"].dtype, files["a"].size_bytes) == ((2, 3), "F32", 24)
    assert files["b"].dtype == "BF16"
    assert files.take("c").tolist() == [7.0]
    assert files.take("b").dtype == torch.bfloat16
    with pytest.raises(CheckpointError, match="lacks the weight d"):
        files.take("d")


def test_files_beside_the_index_are_not_read(folder) -> None:
    save_file({"a": torch.zeros(1)}, folder / "older.safetensors")
    assert WeightFiles(folder)["a"].shape == (2, 3)


def test_a_part_that_is_missing(folder) -> None:
    (folder / "model-2.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"not whole: .*model-2.safetensors is missing"):
        WeightFiles(folder)


def test_a_file_that_was_cut_short(folder) -> None:
    path = folder / "model-1.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="bytes, but should have"):
        WeightFiles(folder)


@pytest.mark.parametrize("content", [b"", b"not safetensors", (2).to_bytes(8, "little") + b"[]", b"\xff" * 40])
def test_what_is_no_safetensors_file(folder, content) -> None:
    (folder / "model-1.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model-1.safetensors is not a readable safetensors file"):
        WeightFiles(folder)


@pytest.mark.parametrize("content", ["[]", "{", '{"weight_map": {"a": 5}}', '{"weight_map": {}}'])
def test_what_is_no_index(folder, content) -> None:
    (folder / INDEX_FILE).write_text(content)
    with pytest.raises(CheckpointError, match=r"index|not whole"):
        WeightFiles(folder)


def test_an_index_that_points_outside_the_folder(folder) -> None:
    (folder / INDEX_FILE).write_text(json.dumps({"weight_map": {"a": "../model-1.safetensors"}}))
    with pytest.raises(CheckpointError, match="not whole"):
        WeightFiles(folder)


def test_no_weights_at_all(tmp_path) -> None:
    with pytest.raises(CheckpointError, match="no weights"):
        WeightFiles(tmp_path)
