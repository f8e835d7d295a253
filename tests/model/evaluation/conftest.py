"""A tiny checkpoint with a byte tokenizer, in memory and on disk, and shards of a few made-up documents."""

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest

from model.checkpoints.load import Checkpoint, save_checkpoint
from model.checkpoints.presets import Preset, Sampling
from model.network.config import tiny_test
from model.tokenizer import Tokenizer, tokenizer_json

NAMES = ("alpha", "beta", "gamma", "delta", "omega")


def made_up_document(rng: Random) -> str:
    lines = ['"""A module', "that was made up.", '"""', "", "import os", ""]
    for _ in range(rng.randint(3, 9)):
        name, other = rng.choice(NAMES), rng.choice(NAMES)
        lines += [
            f"def {name}(self, {other}):",
            f'    """Gives the {name} of {other} — ä."""',
            f"    if {other} == {rng.randint(0, 9)}:  # a comment",
            f"        return {name}({other}, {rng.randint(0, 9)})",
            f"    self.{name} = [{other}, {rng.randint(10, 99)}, 'some {name}']",
            "    # a whole comment",
            "",
            "",
        ]
    return "\n".join(lines).rstrip("\n") + "\n"


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    path.write_text(tokenizer_json([("r", "e"), ("re", "t"), ("ret", "u"), ("Ġ", "="), ("o", "o")]), "utf-8")
    return path


@pytest.fixture(scope="session")
def tokenizer(tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.load(tokenizer_file)


@pytest.fixture(scope="session")
def checkpoint(make_network, tokenizer: Tokenizer) -> Checkpoint:
    """Seeded, fp32, trained for nothing."""
    preset = Preset(
        name="tiny",
        network=tiny_test(tokenizer.vocab_size),
        sampling=Sampling(tau_mask=0.3, edits="insert-delete", first_block=8, block=16),
        context_tokens=256,
    )
    return Checkpoint(make_network(preset.network).requires_grad_(False), tokenizer, preset)


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint, tokenizer_file: Path) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    save_checkpoint(folder, checkpoint.network, checkpoint.preset, tokenizer_file, dtype=None)
    return folder


@pytest.fixture(scope="session")
def heldout_texts() -> list[tuple[str, str]]:
    """(path, text) of twelve documents in the order of the shards."""
    rng = Random(0)
    return [(f"toy{i % 3}/file{i}.py", made_up_document(rng)) for i in range(12)]


@pytest.fixture(scope="session")
def shards_folder(
    tmp_path_factory: pytest.TempPathFactory, tokenizer_file: Path, heldout_texts: list[tuple[str, str]]
) -> Path:
    """A shard folder with a held-out split and a manifest."""
    folder = tmp_path_factory.mktemp("shards")
    (folder / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    tokenizer = Tokenizer.load(tokenizer_file)
    ids = [tokenizer.encode(text) for _, text in heldout_texts]
    np.array([i for document in ids for i in document], np.uint16).tofile(folder / "heldout.bin")
    np.save(folder / "heldout.idx.npy", np.cumsum([0, *map(len, ids)]).astype(np.int64))
    (folder / "heldout.paths.txt").write_text("".join(f"{path}\n" for path, _ in heldout_texts), "utf-8")
    meta = {"vocab_size": tokenizer.vocab_size, "tokenizer_sha256": tokenizer.sha256}
    (folder / "meta.json").write_text(json.dumps(meta))
    packages = [
        {"name": "toy0", "version": "1.0", "split": "heldout", "files": 4},
        {"name": "other", "version": "2.0", "split": "train", "files": 1},
    ]
    (folder / "manifest.json").write_text(json.dumps({"packages": packages}))
    return folder
