"""`seedling tokenizer train`: its arguments and where its texts come from. Left out: the training
(tokenizer_train.py).
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from model.tokenizer import Tokenizer
from model.training.corpus.command import positive
from model.training.corpus.shards import shard_texts
from model.training.corpus.source_files import MAX_FILE_BYTES, text_of
from model.training.corpus.sources import CorpusError
from model.training.tokenizer_train import sample_texts, train_tokenizer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    texts = parser.add_mutually_exclusive_group(required=True)
    texts.add_argument("--corpus", type=Path, metavar="DIR", help="a folder with Python files")
    texts.add_argument("--shards", type=Path, metavar="DIR", help="shards of seedling corpus build")
    parser.add_argument("--vocab", type=positive, default=8192, metavar="N")
    parser.add_argument("--max-bytes", type=positive, default=40_000_000, metavar="N", help="size of the sample")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")


def run(args: argparse.Namespace) -> int:
    if args.shards is not None:
        texts = shard_texts(args.shards, "train", Tokenizer.load(args.shards / "tokenizer.json"))
    else:
        texts = _folder_texts(args.corpus)
    data = train_tokenizer(sample_texts(texts, args.max_bytes), vocab_size=args.vocab)
    write_tokenizer(data, args.out)
    print(f"wrote {args.out}: {args.vocab} tokens")
    return 0


def write_tokenizer(text: str, path: Path) -> None:
    """Writes a tokenizer.json whole or not at all. Raises CorpusError."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise CorpusError(f"cannot write the tokenizer to {path}: {error.strerror or error}") from None


def _folder_texts(folder: Path) -> Iterator[str]:
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder")
    for path in sorted(folder.rglob("*.py")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_FILE_BYTES:
            text = text_of(path.read_bytes())
            if text:
                yield text
