"""The shards: token ids of all documents of a split, one after the other, with offsets and paths; and their readers.

`SPLIT.bin` uint16 ids, `SPLIT.idx.npy` int64 offsets (documents + 1), `SPLIT.paths.txt` one in-package path a line,
`meta.json` sizes. Documents carry no layout tokens; the trainer adds them. Everything is written under a temporary
name and renamed, `meta.json` last, so a folder with a meta.json is whole.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from model.tokenizer import Tokenizer
from model.training.corpus.packages import KeptFile
from model.training.corpus.select import Document
from model.training.corpus.sources import CorpusError

SPLITS = ("train", "heldout")
_BATCH = 256


class SplitMeta(msgspec.Struct, frozen=True):
    """`bytes_per_token` is bytes of UTF-8 text over tokens; 0 for an empty split."""

    documents: int
    tokens: int
    bytes: int
    bytes_per_token: float


class Meta(msgspec.Struct, frozen=True):
    vocab_size: int
    tokenizer_sha256: str
    train: SplitMeta
    heldout: SplitMeta


def texts_of(documents: Sequence[Document], work: Path) -> Iterator[str]:
    """The texts of documents in their order, read one by one."""
    decode = msgspec.json.Decoder(KeptFile).decode
    files: dict[str, int] = {}
    try:
        for document in documents:
            if document.project not in files:
                if len(files) >= 200:  # well below the usual limit of open files
                    for descriptor in files.values():
                        os.close(descriptor)
                    files.clear()
                files[document.project] = os.open(work / f"{document.project}.jsonl", os.O_RDONLY)
            yield decode(os.pread(files[document.project], document.length, document.offset)).text
    finally:
        for descriptor in files.values():
            os.close(descriptor)


def write_split(
    out: Path,
    split: str,
    documents: Sequence[Document],
    texts: Iterable[str],
    tokenizer: Tokenizer,
    report: Callable[[int, int], None],
) -> SplitMeta:
    """Encodes and writes one split. `report(documents done, documents)` is called after each batch."""
    if tokenizer.vocab_size > 1 << 16:
        raise CorpusError(f"a vocabulary of {tokenizer.vocab_size} does not fit the shards' 16-bit ids")
    offsets = [0]
    with open(out / f"{split}.bin.part", "wb") as file:
        for batch in _batches(texts):
            for ids in tokenizer.encode_batch(batch):
                np.array(ids, dtype=np.uint16).tofile(file)
                offsets.append(offsets[-1] + len(ids))
            report(len(offsets) - 1, len(documents))
    with open(out / f"{split}.idx.npy.part", "wb") as file:
        np.save(file, np.array(offsets, dtype=np.int64))
    paths = "".join(document.path.replace("\n", " ") + "\n" for document in documents)
    (out / f"{split}.paths.txt.part").write_text(paths, encoding="utf-8", errors="replace")
    for name in (f"{split}.bin", f"{split}.idx.npy", f"{split}.paths.txt"):
        os.replace(out / f"{name}.part", out / name)
    num_bytes = sum(document.num_bytes for document in documents)
    tokens = offsets[-1]
    return SplitMeta(len(documents), tokens, num_bytes, round(num_bytes / tokens, 4) if tokens else 0.0)


def shard_texts(shards: Path, split: str, tokenizer: Tokenizer) -> Iterator[str]:
    """The texts of a split, decoded one by one, in shard order. CorpusError if the folder holds no shards."""
    try:
        offsets = np.load(shards / f"{split}.idx.npy")
        ids = np.memmap(shards / f"{split}.bin", dtype=np.uint16, mode="r") if offsets[-1] else np.empty(0, np.uint16)
    except (OSError, ValueError):
        raise CorpusError(f"{shards} holds no {split} shards; make them with seedling corpus build") from None
    for start, end in pairwise(offsets):
        yield tokenizer.decode(ids[start:end].tolist())


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
