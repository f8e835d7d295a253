"""`seedling average`: a checkpoint whose weights lie between those of others, which one run has made from another.

Stages that teach different things pull the same weights in different directions; on the line between them most of both
stays. Source: model soups (arXiv 2203.05482), WiSE-FT (arXiv 2109.01903). The preset is the first one's. Left out:
finding the best shares (`seedling eval` says what each is worth).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from model.checkpoints.quantize_command import check_new

if TYPE_CHECKING:
    from model.checkpoints.load import Checkpoint


class AverageError(Exception):
    """A wrong argument or checkpoints that do not belong together, in one sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Part(NamedTuple):
    """A checkpoint folder and its share, above 0."""

    folder: Path
    share: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "parts", nargs="+", type=_part, metavar="DIR=SHARE", help="checkpoint folders with float weights, and shares"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder to write, new or empty")


def run(args: argparse.Namespace) -> int:
    """Writes the folder; 0 = done. Raises AverageError, or QuantizeError for a folder that is not empty."""
    from model.checkpoints.load import TOKENIZER_FILE, save_checkpoint

    parts: list[Part] = args.parts
    check_new(args.out)
    checkpoints = [_loaded(part.folder) for part in parts]
    first = checkpoints[0]
    for part, checkpoint in zip(parts, checkpoints, strict=True):
        if checkpoint.preset.network != first.preset.network or checkpoint.tokenizer.sha256 != first.tokenizer.sha256:
            raise AverageError(f"{part.folder} has another shape or tokenizer than {parts[0].folder}")
    shares = [part.share / sum(part.share for part in parts) for part in parts]
    _average(checkpoints, shares)
    try:
        save_checkpoint(args.out, first.network, first.preset, parts[0].folder / TOKENIZER_FILE)
    except OSError as error:
        raise AverageError(f"{args.out} cannot be written: {error.strerror or error}") from None
    print(
        f"{args.out}: " + ", ".join(f"{share:.0%} of {part.folder}" for part, share in zip(parts, shares, strict=True))
    )
    return 0


def _average(checkpoints: "Sequence[Checkpoint]", shares: Sequence[float]) -> None:
    """Leaves the average in the first network."""
    states = [checkpoint.network.state_dict() for checkpoint in checkpoints]
    for name, weight in states[0].items():
        weight.copy_(sum(share * state[name] for share, state in zip(shares, states, strict=True)))


def _loaded(folder: Path) -> "Checkpoint":
    import torch

    from model.checkpoints.load import CheckpointError, load_checkpoint

    try:
        checkpoint = load_checkpoint(folder, dtype=torch.float32)
    except CheckpointError as error:
        raise AverageError(str(error)) from None
    if checkpoint.preset.weights == "int8":
        raise AverageError(f"the weights of {folder} are 8-bit integers; average first, then quantize")
    if checkpoint.preset.weights == "huggingface":
        raise AverageError(f"{folder} is a model of others; only checkpoints of this program's own format are averaged")
    return checkpoint


def _part(argument: str) -> Part:
    folder, equals, share = argument.rpartition("=")
    try:
        part = Part(Path(folder), float(share))
    except ValueError:
        part = None
    if part is None or not equals or not folder or not 0 < part.share < float("inf"):
        raise argparse.ArgumentTypeError(f"{argument!r} is not FOLDER=SHARE with a share above 0")
    return part
