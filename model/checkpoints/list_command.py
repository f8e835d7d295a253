"""`seedling models list`: which models of others are known, what each can do, which are on this disk, which is in use.

Sizes follow from the number of parameters, scores are those that their makers publish. Asks no network. Left out: what
fits on this machine (`seedling models check`, and docs/models.md in figures).
"""

import argparse
from pathlib import Path

from model.checkpoints.families import Family, Known
from model.checkpoints.memory import gb
from model.checkpoints.on_disk import Offered, is_whole, models_folder, offered, size_bytes

EMBEDDED = Path(__file__).resolve().parents[1] / "embedded"
BF16_BYTES = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--in-use", type=Path, help=argparse.SUPPRESS)  # lsp_server knows the user's settings


def run(args: argparse.Namespace) -> int:
    in_use = args.in_use.resolve() if args.in_use else EMBEDDED
    folder = models_folder()
    offers = offered()
    print(f"{'embedded':<30} part of this installation{_mark(EMBEDDED, in_use)}")
    for offer in offers:
        print(_line(offer, folder / offer.known.name, in_use))
        if offer.known.published:
            print(f"{'':<30} published by its makers: {_scores(offer.known)}")
    for other in _others(folder, {offer.known.name for offer in offers}):
        print(f"{other.name:<30} {_state(other)}{_mark(other, in_use)}")
    if in_use != EMBEDDED and in_use.parent != folder.resolve():
        print(f"in use is a folder of your own: {in_use}")
    print(f"\nseedling models pull NAME fetches one into {folder}; seedling models use NAME chooses it.")
    return 0


def abilities(family: Family) -> str:
    """What a family is offered for, in a few words."""
    words = ["complete"] if family.complete else []
    words += ["rewrite"] if family.rewrite != "none" else []
    words += ["fix"] if family.fix else []
    return ", ".join(words)


def _line(offer: Offered, folder: Path, in_use: Path) -> str:
    known = offer.known
    size = gb(round(known.parameters_billion * 1e9 * BF16_BYTES))
    return (
        f"{known.name:<30} {size:>8}  {abilities(offer.family):<23} {known.licence or 'licence unknown':<32} "
        f"{_state(folder)}{_mark(folder, in_use)}"
    ).rstrip()


def _state(folder: Path) -> str:
    if not folder.is_dir():
        return ""
    size = gb(size_bytes(folder))
    return f"here, {size}" if is_whole(folder) else f"not whole yet, {size}: pull again to go on"


def _mark(folder: Path, in_use: Path) -> str:
    return ", in use" if folder.resolve() == in_use else ""


def _scores(known: Known) -> str:
    return ", ".join(f"{name} {value}" for name, value in known.published.items())


def _others(folder: Path, names: set[str]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in names)
