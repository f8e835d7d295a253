"""`seedling tokenizer convert`: the tokenizer of a Hugging Face checkpoint as one of ours, for shards that train it on.

Left out: the conversion (model/checkpoints/hf_tokenizer.py).
"""

import argparse
from pathlib import Path

from model.checkpoints.from_hf import converted_tokenizer
from model.checkpoints.hf_tokenizer import MAX_VOCABULARY
from model.training.corpus.command import positive
from model.training.tokenizer_command import write_tokenizer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="HF_DIR", help="folder with config.json and tokenizer.json")
    parser.add_argument("--vocab", type=positive, default=MAX_VOCABULARY, metavar="N", help="keep the first merges")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")


def run(args: argparse.Namespace) -> int:
    tokenizer = converted_tokenizer(args.folder, args.vocab)
    write_tokenizer(tokenizer.text, args.out)
    print(f"wrote {args.out}: {len(tokenizer.foreign_ids)} tokens")
    return 0
