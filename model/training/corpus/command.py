"""`seedling corpus build`: its arguments. Left out: what it does (build.py)."""

import argparse
from pathlib import Path

from packaging.utils import canonicalize_name

from model.training.corpus.build import BuildOptions, build_corpus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="folders", type=Path, nargs="+", required=True, metavar="DIR",
                        help="folders with wheels, source distributions or projects")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the shards")
    parser.add_argument(
        "--tokenizer", type=Path, metavar="FILE", help="tokenizer.json to use; without it one is trained"
    )
    parser.add_argument("--exclude-evals", type=Path, metavar="DIR", help="evaluation files whose texts are removed")
    parser.add_argument("--max-bytes", type=positive, metavar="N", help="stop after N bytes of training text")
    parser.add_argument(
        "--max-project-bytes", type=positive, metavar="N", default=2_000_000, help="share of one project"
    )
    parser.add_argument("--held-out", nargs="+", default=[], metavar="NAME", help="more projects never trained on")
    parser.add_argument("--vocab", type=positive, default=8192, metavar="N", help="vocabulary of a trained tokenizer")


def run(args: argparse.Namespace) -> int:
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


def positive(text: str) -> int:
    """An argparse type: a whole number above zero, underscores allowed."""
    if not text.replace("_", "").isdecimal() or (value := int(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return value
