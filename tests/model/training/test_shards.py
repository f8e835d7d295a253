"""Shards that cannot be used are refused in one sentence."""

import json
import shutil

import numpy as np
import pytest

from model.training.run_state import TrainError
from model.training.shards import ShardError, open_shards


@pytest.fixture
def copy(toy_folder, tmp_path):
    return shutil.copytree(toy_folder, tmp_path / "shards")


def test_both_splits_open(toy_folder):
    train, heldout = open_shards(toy_folder), open_shards(toy_folder, "heldout")
    assert (train.num_documents, heldout.num_documents) == (200, 20)
    assert train.paths[3] == "toy/file3.py"
    assert train.tokenizer.decode(train.document(0)).startswith("def ")


def test_documents_by_project(copy):
    (copy / "train.paths.txt").write_text("".join(f"{'one' if i % 3 else 'two'}/file{i}.py\n" for i in range(200)))
    shards = open_shards(copy)
    assert set(shards.documents_of) == {"one", "two"}
    assert shards.documents_of["two"] == tuple(range(0, 200, 3))


def test_missing_folder(tmp_path):
    with pytest.raises(ShardError, match="no shard folder"):
        open_shards(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["train.bin", "train.idx.npy", "meta.json", "tokenizer.json"])
def test_missing_file(copy, name):
    (copy / name).unlink()
    with pytest.raises(ShardError):
        open_shards(copy)


@pytest.mark.parametrize(
    "offsets", [np.array(5), np.array([[0, 10]]), np.array([0.0, 10.0]), np.array([-4, 10]), np.array(["a"])]
)
def test_offsets_of_another_kind(copy, offsets):
    np.save(copy / "train.idx.npy", offsets)
    with pytest.raises(ShardError, match="another kind"):
        open_shards(copy)


def test_empty_offsets_and_foreign_meta(copy):
    (copy / "train.idx.npy").write_bytes(b"")
    with pytest.raises(ShardError, match="damaged"):
        open_shards(copy)
    (copy / "meta.json").write_text("[]")
    with pytest.raises(ShardError, match="another kind"):
        open_shards(copy, "heldout")


def test_no_held_out_text(copy):
    (copy / "heldout.bin").write_bytes(b"")
    np.save(copy / "heldout.idx.npy", np.array([0]))
    with pytest.raises(ShardError, match="--held-out"):
        open_shards(copy, "heldout")


def test_cut_file(copy):
    data = (copy / "train.bin").read_bytes()
    (copy / "train.bin").write_bytes(data[:-10])
    with pytest.raises(ShardError, match=r"train\.bin"):
        open_shards(copy)


def test_another_tokenizer(copy):
    meta = json.loads((copy / "meta.json").read_text()) | {"tokenizer_sha256": "0" * 64}
    (copy / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(ShardError, match="another tokenizer"):
        open_shards(copy)


def test_ids_beyond_the_vocabulary(copy):
    tokens = np.fromfile(copy / "train.bin", np.uint16)
    tokens[5] = 9_999
    tokens.tofile(copy / "train.bin")
    with pytest.raises(ShardError, match="ids"):
        open_shards(copy)


def test_commands_show_the_sentence(tmp_path):
    with pytest.raises(ShardError) as error:
        open_shards(tmp_path / "none")
    assert error.value.sentence == str(error.value)
    assert TrainError("too long").sentence == "too long"
