"""`seedling quantize`: a second checkpoint folder with the same weights as 8-bit integers.

Prints the sizes and how far the weights moved. What that costs in quality `seedling eval heldout --model` says, once
for either folder. Left out: the integer form itself (int8.py), and fresh thresholds, which a changed model may want.
"""

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from torch import Tensor

COPIED = ("MODEL_CARD.md", "corpus_manifest.json")


class QuantizeError(Exception):
    """A wrong argument or an unusable checkpoint, in one sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, metavar="DIR", help="checkpoint folder (default: the embedded one)")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder to write, new or empty")


def run(args: argparse.Namespace) -> int:
    """Writes the folder; 0 = done. Raises QuantizeError."""
    from model.checkpoints.int8 import compress, expand
    from model.checkpoints.load import (
        TOKENIZER_FILE,
        WEIGHTS_FILE,
        CheckpointError,
        default_checkpoint,
        load_checkpoint,
        write_checkpoint,
    )

    source, target = args.model or default_checkpoint(), args.out
    check_new(target)
    try:
        checkpoint = load_checkpoint(source)  # whole, so that nothing foreign is ever copied
    except CheckpointError as error:
        raise QuantizeError(str(error)) from None
    if checkpoint.preset.weights == "int8":
        raise QuantizeError(f"the weights of {source} are 8-bit integers already")
    if checkpoint.preset.weights == "huggingface":
        raise QuantizeError(f"{source} is a model of others, which the engine makes 8-bit itself: see --precision")
    weights = dict(checkpoint.network.state_dict())
    try:
        small = compress(weights)
    except ValueError as error:
        raise QuantizeError(f"{source} cannot be quantized: {error}") from None
    preset = msgspec.structs.replace(checkpoint.preset, name=f"{checkpoint.preset.name}-int8", weights="int8")
    try:
        write_checkpoint(target, small, preset, source / TOKENIZER_FILE)
        for name in COPIED:
            if (source / name).is_file():
                shutil.copyfile(source / name, target / name)
    except OSError as error:
        raise QuantizeError(f"{target} cannot be written: {error.strerror or error}") from None
    sizes = [(folder / WEIGHTS_FILE).stat().st_size for folder in (source, target)]
    print(f"{target}: {sizes[1] / 1e6:.2f} MB of weights, {sizes[1] / sizes[0]:.0%} of {sizes[0] / 1e6:.2f} MB")
    print(_moved(weights, expand(small, None)))
    return 0


def check_new(folder: Path) -> None:
    """Raises QuantizeError for a folder to write that holds something."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise QuantizeError(f"{folder} exists and is not an empty folder, so --out must name another")


def _moved(weights: "dict[str, Tensor]", again: "dict[str, Tensor]") -> str:
    """How far the weights are from what they were, in one line: all together, and the worst matrix."""
    from model.checkpoints.int8 import is_stored_as_integers, relative_error

    errors = {
        name: relative_error(weight, again[name])
        for name, weight in weights.items()
        if is_stored_as_integers(name, weight)
    }
    worst = max(errors, key=errors.__getitem__)
    moved = sum((errors[name] * float(weights[name].double().norm())) ** 2 for name in errors) ** 0.5
    size = sum(float(weights[name].double().norm()) ** 2 for name in errors) ** 0.5
    return f"the matrices moved by {moved / size:.2%} of their norm (the most: {worst}, {errors[worst]:.2%})"
