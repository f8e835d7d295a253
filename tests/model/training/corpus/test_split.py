"""Parts of shards hold every document once; what cannot be cut is one sentence and leaves nothing behind."""

from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest

from model.tokenizer import Tokenizer, tokenizer_json
from model.training.corpus.shards import Meta, SplitMeta
from model.training.corpus.sources import CorpusError
from model.training.corpus.split import split_shards
from model.training.shards import open_shards

NUM_DOCUMENTS = 60


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    (folder / "tokenizer.json").write_text(tokenizer_json([]), encoding="utf-8")
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    rng = Random(3)
    for split, count in (("train", NUM_DOCUMENTS), ("heldout", 2)):
        ids = [tokenizer.encode(f"number_{i} = {'x' * rng.randint(1, 40)}\n") for i in range(count)]
        np.array([token for document in ids for token in document], np.uint16).tofile(folder / f"{split}.bin")
        np.save(folder / f"{split}.idx.npy", np.cumsum([0] + [len(document) for document in ids]).astype(np.int64))
        (folder / f"{split}.paths.txt").write_text("".join(f"toy/{split}{i}.py\n" for i in range(count)))
    nothing = SplitMeta(0, 0, 0, 0.0)
    meta = Meta(tokenizer.vocab_size, tokenizer.sha256, nothing, nothing)
    (folder / "meta.json").write_bytes(msgspec.json.encode(meta))
    return folder


def test_every_document_is_in_one_part(shards: Path, tmp_path: Path):
    sizes = split_shards(shards, tmp_path / "parts", 4)
    whole = open_shards(shards)
    wanted = {whole.paths[i]: whole.document(i).tolist() for i in range(whole.num_documents)}
    found: dict[str, list[int]] = {}
    for number, size in enumerate(sizes):
        part = open_shards(tmp_path / "parts" / f"part-{number:05}")
        assert len(part.tokens) == size
        for i in range(part.num_documents):
            assert part.paths[i] not in found
            found[part.paths[i]] = part.document(i).tolist()
    assert found == wanted
    assert max(sizes) < 2 * sum(sizes) / len(sizes)
    assert open_shards(tmp_path / "parts", "heldout").num_documents == 2


def test_too_many_parts_are_refused_before_anything_is_written(shards: Path, tmp_path: Path):
    with pytest.raises(CorpusError, match="too few"):
        split_shards(shards, tmp_path / "parts", 5000)
    assert not (tmp_path / "parts").exists()


def test_nothing_is_overwritten(shards: Path, tmp_path: Path):
    with pytest.raises(CorpusError, match="there already"):
        split_shards(shards, tmp_path, 2)
    with pytest.raises(CorpusError, match="no shard folder"):
        split_shards(tmp_path / "none", tmp_path / "parts", 2)
