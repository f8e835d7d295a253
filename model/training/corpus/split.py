"""`seedling corpus split`: shards cut into parts, so that a corpus larger than memory is read part by part.

Each training document goes to a part by chance (a fixed seed), in its old order; the held-out split stays whole. One
part at a time is written and nothing but offsets and paths is held in memory; parts.json comes last, so a folder with
one is whole. Left out: reading them (model/training/stream.py).
"""

import argparse
import os
import shutil
from pathlib import Path

import msgspec
import numpy as np

from model.training.corpus.command import positive
from model.training.corpus.shards import Meta, SplitMeta
from model.training.corpus.sources import CorpusError
from model.training.shards import ShardError, Shards, open_shards
from model.training.stream import PARTS_FILE, Parts

SEED = 0
HELDOUT_FILES = ("heldout.bin", "heldout.idx.npy", "heldout.paths.txt", "tokenizer.json", "meta.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shards", type=Path, required=True, metavar="DIR", help="from `seedling corpus build`")
    parser.add_argument("--parts", type=positive, required=True, metavar="N", help="how many parts")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the parts, not there yet")


def run(args: argparse.Namespace) -> int:
    sizes = split_shards(args.shards, args.out, args.parts)
    print(f"{args.out}: {len(sizes)} parts of {min(sizes) / 1e6:.2f} to {max(sizes) / 1e6:.2f} M tokens")
    return 0


def split_shards(shards: Path, out: Path, num_parts: int) -> list[int]:
    """Writes the parts; the tokens of each. Raises CorpusError."""
    if out.exists():
        raise CorpusError(f"{out} is there already; name a folder that is not")
    try:
        train = open_shards(shards)
        owners = np.random.default_rng(SEED).integers(num_parts, size=train.num_documents)
        documents = [np.flatnonzero(owners == part) for part in range(num_parts)]
        sizes = [int(np.diff(train.offsets)[chosen].sum()) for chosen in documents]
        if min(sizes) == 0:
            raise CorpusError(f"{train.num_documents} documents are too few for {num_parts} parts")
        out.mkdir(parents=True)
        for name in HELDOUT_FILES:
            if (shards / name).exists():
                shutil.copyfile(shards / name, out / name)
        names = [f"part-{part:05}" for part in range(num_parts)]
        for name, chosen in zip(names, documents, strict=True):
            _write_part(train, chosen, shards, out / name)
        (out / "parts.json.part").write_bytes(msgspec.json.encode(Parts(names)))
        os.replace(out / "parts.json.part", out / PARTS_FILE)
    except ShardError as error:
        raise CorpusError(str(error)) from None
    except OSError as error:
        raise CorpusError(f"the parts could not be written to {out} ({error})") from None
    return sizes


def _write_part(train: Shards, chosen: np.ndarray, shards: Path, folder: Path) -> None:
    folder.mkdir()
    num_bytes = 0
    with open(folder / "train.bin", "wb") as file:
        for index in chosen.tolist():
            ids = train.document(index)
            num_bytes += int(train.num_bytes[ids].sum())
            file.write(ids.tobytes())
    sizes = np.diff(train.offsets)[chosen]
    np.save(folder / "train.idx.npy", np.concatenate(([0], np.cumsum(sizes))).astype(np.int64))
    (folder / "train.paths.txt").write_text("".join(train.paths[i] + "\n" for i in chosen.tolist()), encoding="utf-8")
    shutil.copyfile(shards / "tokenizer.json", folder / "tokenizer.json")
    tokens = int(sizes.sum())
    own = SplitMeta(len(chosen), tokens, num_bytes, round(num_bytes / tokens, 4))
    meta = Meta(train.tokenizer.vocab_size, train.tokenizer.sha256, own, SplitMeta(0, 0, 0, 0.0))
    (folder / "meta.json").write_bytes(msgspec.json.format(msgspec.json.encode(meta)))
