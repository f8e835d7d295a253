"""Token shards: a folder with the tokenized corpus, opened for reading.

train.bin / heldout.bin (uint16 ids, documents one after another), train.idx.npy / heldout.idx.npy (int64 offsets, one
more than documents), train.paths.txt / heldout.paths.txt (one in-package path a document), meta.json, tokenizer.json.
Documents are tokenized line by line, so decoding gives the text exactly. Left out: writing them (training/corpus).
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from model.tokenizer import NUM_RESERVED, Tokenizer, TokenizerError


class ShardError(Exception):
    """Shards that cannot be used; the message is one sentence for the user."""

    @property
    def sentence(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Shards:
    """One split. `tokens` is a read-only memory map; document d is tokens[offsets[d]:offsets[d + 1]]."""

    tokens: np.ndarray
    offsets: np.ndarray
    paths: tuple[str, ...]
    tokenizer: Tokenizer

    @property
    def num_documents(self) -> int:
        return len(self.offsets) - 1

    def document(self, index: int) -> np.ndarray:
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    @cached_property
    def ends_line(self) -> np.ndarray:
        """bool (V,): the token's bytes end in a newline."""
        return np.array([text.endswith(b"\n") for text in self.tokenizer.token_bytes])

    @cached_property
    def num_bytes(self) -> np.ndarray:
        """int64 (V,): bytes of each token."""
        return np.array([len(text) for text in self.tokenizer.token_bytes], np.int64)

    @cached_property
    def documents_of(self) -> dict[str, tuple[int, ...]]:
        """The documents of each project, by the first part of their paths."""
        found: dict[str, list[int]] = {}
        for index, path in enumerate(self.paths):
            found.setdefault(project_of(path), []).append(index)
        return {project: tuple(indices) for project, indices in found.items()}


def project_of(path: str) -> str:
    """The first part of a path."""
    return path.split("/", 1)[0]


def open_shards(folder: Path, split: str = "train") -> Shards:
    """The split `train` or `heldout` of a shard folder. ShardError in one sentence if it is missing, cut or foreign."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ShardError(f"there is no shard folder {folder}; make one with `seedling corpus`")
    try:
        tokenizer = Tokenizer.load(folder / "tokenizer.json")
        meta = json.loads((folder / "meta.json").read_text())
        offsets = np.load(folder / f"{split}.idx.npy")
        if not isinstance(meta, dict) or not _are_offsets(offsets):
            raise ValueError(f"meta.json or {split}.idx.npy is of another kind")
        size_bytes = (folder / f"{split}.bin").stat().st_size
        paths_file = folder / f"{split}.paths.txt"
        paths = tuple(paths_file.read_text(encoding="utf-8").splitlines()) if paths_file.exists() else ()
    except TokenizerError as error:
        raise ShardError(str(error)) from None
    except (OSError, ValueError, EOFError) as error:
        raise ShardError(f"the shard folder {folder} is incomplete or damaged ({error})") from None
    if meta.get("vocab_size") != tokenizer.vocab_size:
        raise ShardError(
            f"the shards in {folder} were written with a vocabulary of {meta.get('vocab_size')}, "
            f"but their tokenizer.json has {tokenizer.vocab_size}"
        )
    named = meta.get("tokenizer_sha256", meta.get("tokenizer"))
    if isinstance(named, str) and named != tokenizer.sha256:
        raise ShardError(f"the shards in {folder} were written with another tokenizer than their tokenizer.json")
    if size_bytes == 0 and offsets[-1] == 0:
        what = "text of a held-out project (`seedling corpus build --held-out`)" if split == "heldout" else "text"
        raise ShardError(f"the shards in {folder} hold no {what}")
    if size_bytes != 2 * int(offsets[-1]) or (np.diff(offsets) < 0).any():
        raise ShardError(f"{split}.bin in {folder} does not have the length that {split}.idx.npy says")
    if paths and len(paths) != len(offsets) - 1:
        raise ShardError(f"{split}.paths.txt in {folder} names {len(paths)} documents, not {len(offsets) - 1}")
    tokens = np.memmap(folder / f"{split}.bin", np.uint16, mode="r")
    if int(tokens[: 1 << 20].min()) < NUM_RESERVED or int(tokens[: 1 << 20].max()) >= tokenizer.vocab_size:
        raise ShardError(f"{split}.bin in {folder} holds ids that its tokenizer does not have")
    return Shards(tokens, offsets, paths or ("",) * (len(offsets) - 1), tokenizer)


def _are_offsets(loaded: object) -> bool:
    """Whether what an .npy file held is a row of whole numbers from 0."""
    if not isinstance(loaded, np.ndarray) or loaded.ndim != 1 or loaded.dtype.kind not in "iu":
        return False
    return len(loaded) > 0 and loaded[0] == 0
