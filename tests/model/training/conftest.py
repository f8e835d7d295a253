"""A toy corpus on disk: byte tokens only (vocabulary 320), a few hundred short Python files made of a few patterns."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from model.tokenizer import LAYOUT_IDS, Tokenizer, tokenizer_json
from model.training.samples import Sample
from model.training.shards import Shards, open_shards

NAMES = ("alpha", "beta", "gamma", "delta", "omega")


def toy_document(rng: Random) -> str:
    lines = []
    for _ in range(rng.randint(2, 9)):
        name, other = rng.choice(NAMES), rng.choice(NAMES)
        lines += [
            f"def {name}(self, {other}):",
            f'    """Gives the {name} of {other} — ä."""',
            f"    if {other} == {rng.randint(0, 9)}:",
            f"        return {name}({other}, {rng.randint(0, 9)})",
            f"    self.{name} = [{other}, {rng.randint(10, 99)}]",
            "",
        ]
    return "\n".join(lines) + "\n"


def parts_of(sample: Sample) -> tuple[dict[int, list[int]], list[int]]:
    """Ids of the layout's parts by the layout token before them (those that are there), and the canvas."""
    parts: dict[int, list[int]] = {}
    part: list[int] = []
    for token in sample.ids[: sample.canvas_start]:
        if token in LAYOUT_IDS:
            part = parts[token] = []
        else:
            part.append(token)
    return parts, sample.ids[sample.canvas_start :]


def write_shards(folder: Path, documents: dict[str, list[str]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer_json([]), encoding="utf-8")
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    for split, texts in documents.items():
        ids = [tokenizer.encode(text) for text in texts]
        np.array([i for document in ids for i in document], np.uint16).tofile(folder / f"{split}.bin")
        np.save(folder / f"{split}.idx.npy", np.cumsum([0] + [len(document) for document in ids]).astype(np.int64))
        (folder / f"{split}.paths.txt").write_text("".join(f"toy/file{i}.py\n" for i in range(len(ids))))
    meta = {"vocab_size": tokenizer.vocab_size, "tokenizer_sha256": tokenizer.sha256}
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    rng = Random(0)
    texts = [toy_document(rng) for _ in range(220)]
    return write_shards(tmp_path_factory.mktemp("shards"), {"train": texts[:200], "heldout": texts[200:]})


@pytest.fixture(scope="session")
def toy_shards(toy_folder: Path) -> Shards:
    return open_shards(toy_folder)


@pytest.fixture(scope="session", name="parts_of")
def parts_of_fixture() -> Callable[[Sample], tuple[dict[int, list[int]], list[int]]]:
    return parts_of
