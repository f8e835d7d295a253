"""Arguments and runs of `seedling corpus build` and `seedling tokenizer train`. Left out: what they do (build.py)."""

import argparse
import sys
from pathlib import Path

from model.tokenizer import Tokenizer, TokenizerError
from model.training.corpus.build import BuildOptions, build_corpus
from model.training.corpus.shards import shard_texts
from model.training.corpus.source_files import MAX_FILE_BYTES, text_of
from model.training.corpus.sources import CorpusError
from model.training.tokenizer_train import sample_texts, train_tokenizer


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="folders", type=Path, nargs="+", required=True, metavar="DIR",
                        help="folders with wheels, source distributions or projects")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the shards")
    parser.add_argument("--tokenizer", type=Path, metavar="FILE", help="tokenizer.json to use; without it one is trained")
    parser.add_argument("--exclude-evals", type=Path, metavar="DIR", help="evaluation files whose texts are removed")
    parser.add_argument("--max-bytes", type=positive, metavar="N", help="stop after N bytes of training text")
    parser.add_argument("--max-project-bytes", type=positive, metavar="N", default=2_500_000, help="share of one project")
    parser.add_argument("--held-out", nargs="+", default=[], metavar="NAME", help="more projects never trained on")
    parser.add_argument("--vocab", type=positive, default=8192, metavar="N", help="vocabulary of a trained tokenizer")


def run_build(args: argparse.Namespace) -> int:
    from packaging.utils import canonicalize_name

    options = BuildOptions(
        folders=args.folders,
        out=args.out,
        tokenizer=args.tokenizer,
        evals=args.exclude_evals,
        max_bytes=args.max_bytes,
        max_project_bytes=args.max_project_bytes,
        held_out=tuple(sorted(canonicalize_name(name) for name in args.held_out)),
        vocab_size=args.vocab,
    )
    meta = build_corpus(options)
    for split, size in (("train", meta.train), ("heldout", meta.heldout)):
        print(f"{split}: {size.documents} documents, {size.bytes / 1e6:.1f} MB, {size.tokens / 1e6:.2f} M tokens, "
              f"{size.bytes_per_token:.2f} bytes per token")  # fmt: skip
    return 0


def add_tokenizer_arguments(parser: argparse.ArgumentParser) -> None:
    texts = parser.add_mutually_exclusive_group(required=True)
    texts.add_argument("--corpus", type=Path, metavar="DIR", help="a folder with Python files")
    texts.add_argument("--shards", type=Path, metavar="DIR", help="shards of seedling corpus build")
    parser.add_argument("--vocab", type=positive, default=8192, metavar="N")
    parser.add_argument("--max-bytes", type=positive, default=40_000_000, metavar="N", help="size of the sample")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")


def run_tokenizer(args: argparse.Namespace) -> int:
    if args.shards is not None:
        texts = shard_texts(args.shards, "train", Tokenizer.load(args.shards / "tokenizer.json"))
    else:
        texts = _folder_texts(args.corpus)
    data = train_tokenizer(sample_texts(texts, args.max_bytes), vocab_size=args.vocab)
    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(data, encoding="utf-8")
    except OSError as error:
        raise CorpusError(f"cannot write the tokenizer to {args.out}: {error.strerror or error}") from None
    print(f"wrote {args.out}: {args.vocab} tokens")
    return 0


def _folder_texts(folder: Path):
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder")
    for path in sorted(folder.rglob("*.py")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_FILE_BYTES:
            text = text_of(path.read_bytes())
            if text:
                yield text


def positive(text: str) -> int:
    """An argparse type: a whole number above zero, underscores allowed."""
    value = int(text)
    if value <= 0:
        raise ValueError
    return value


def run(args: argparse.Namespace, action) -> int:
    """Runs one command; errors the user can mend become one sentence and exit code 2."""
    try:
        return action(args)
    except (CorpusError, TokenizerError) as error:
        print(f"seedling: {error}", file=sys.stderr)
        return 2
