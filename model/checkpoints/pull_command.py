"""`seedling models pull`: fetches a model of others after saying how large it is, under which licence, from where.

The revision that was fetched is written into preset.json, and the same command goes on with what an interruption has
left. Left out: the fetching (pull.py, hub.py), choosing the model (`seedling models use`).
"""

import argparse
import sys
import time
from pathlib import Path

import msgspec

from model.checkpoints.error import CheckpointError
from model.checkpoints.families import Family, family_of, family_preset, load_foreign_tokenizer, special_of
from model.checkpoints.foreign_shape import read_json
from model.checkpoints.foreign_tokenizer_files import tokenizer_spec
from model.checkpoints.hub import Hub, Repository
from model.checkpoints.memory import gb
from model.checkpoints.on_disk import PRESET_FILE, Offered, is_whole, models_folder, offered_as
from model.checkpoints.presets import Preset, encode_preset
from model.checkpoints.pull import Wanted, check_space, missing_bytes, pull, wanted_files

REPORT_S = 5.0


class PullRefused(CheckpointError):
    """Nothing was fetched, for a reason that is no fault."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="as seedling models list says it, or a repository OWNER/NAME")
    parser.add_argument("--revision", metavar="REVISION", help="branch, tag or commit (default: the newest)")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    """0 = fetched, or here already. Raises CheckpointError or HubError."""
    offer = offered_as(args.name)
    if offer is None and "/" not in args.name:
        raise PullRefused(f"{args.name} is not the name of a known model: seedling models list names them.")
    name = offer.known.repository if offer else args.name
    folder = models_folder() / (offer.known.name if offer else name.rpartition("/")[2].lower())
    hub = Hub()
    repository = hub.look(name, args.revision or (offer.known.revision if offer else None))
    wanted = wanted_files(repository)
    to_come = missing_bytes(wanted, folder)
    print(describe(repository, wanted, to_come, offer, hub.endpoint, folder))
    check_space(folder, to_come)
    if not (is_whole(folder) and not to_come) and not args.yes:
        _ask()
    progress = Progress(wanted.size_bytes)
    pull(
        hub,
        repository,
        wanted,
        folder,
        check=lambda so_far: _check_small(so_far, offer.family if offer else None),
        on_bytes=progress.add,
    )
    progress.end()
    preset = _preset(folder, repository, offer)
    write_preset(folder, preset)
    print(f"{preset.name} is here: {folder}")
    print(f"seedling models check {folder.name} tries it, seedling models use {folder.name} chooses it.")
    return 0


def describe(
    repository: Repository, wanted: Wanted, to_come: int, offer: Offered | None, endpoint: str, folder: Path
) -> str:
    """What is about to be fetched, for a person to agree to."""
    said = offer.known.licence if offer else ""
    licence = repository.licence or said or "not stated"
    if said and repository.licence and said.lower() != repository.licence.lower():
        licence += f" (when this program was made: {said})"
    arrived = wanted.size_bytes - to_come
    lines = [
        f"model     {offer.family.title if offer else repository.name}",
        f"from      {endpoint}/{repository.name} at {repository.commit[:12]}",
        f"licence   {licence}",
        f"size      {gb(wanted.size_bytes)}" + (f", of which {gb(arrived)} are here" if arrived else ""),
        f"into      {folder}",
    ]
    return "\n".join(lines)


def write_preset(folder: Path, preset: Preset) -> None:
    """Makes the folder a checkpoint. Raises CheckpointError."""
    part = folder / f"{PRESET_FILE}.part"
    try:
        part.write_bytes(encode_preset(preset))
        part.replace(folder / PRESET_FILE)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CheckpointError(f"{folder / PRESET_FILE} cannot be written: {error.strerror or error}.") from None


class Progress:
    """One line on a terminal, else a line now and then, on standard error."""

    def __init__(self, total_bytes: int) -> None:
        self._total = total_bytes
        self._here = 0
        self._said_s = self._began_s = time.monotonic()
        self._is_terminal = sys.stderr.isatty()

    def add(self, num_bytes: int) -> None:
        self._here += num_bytes
        now_s = time.monotonic()
        if now_s - self._said_s >= (0.1 if self._is_terminal else REPORT_S):
            self._said_s = now_s
            self._say()

    def end(self) -> None:
        self._say("\n" if self._is_terminal else "")

    def _say(self, end: str = "") -> None:
        text = f"{gb(self._here)} of {gb(self._total)}, {self._here / max(1, self._total):.0%}"
        if self._is_terminal:
            print(f"\r{text:<40}", end=end, file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)


def _ask() -> None:
    if not sys.stdin.isatty():
        raise PullRefused("Nothing was fetched: --yes agrees to size and licence where nobody can be asked.")
    if input("Fetch it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise PullRefused("Nothing was fetched.")


def _check_small(folder: Path, family: Family | None) -> None:
    """What the small files say: before the weights are fetched. Raises CheckpointError."""
    config = read_json(folder / "config.json")
    if family is None:
        family = family_of(folder)
    elif str(config.get("model_type")) not in family.bodies:
        raise CheckpointError(f"What came is a {config.get('model_type')}, which {family.title} is not.")
    load_foreign_tokenizer(folder, special_of(folder, family, config, tokenizer_spec(folder)))


def _preset(folder: Path, repository: Repository, offer: Offered | None) -> Preset:
    preset = family_preset(folder, offer.family if offer else None)
    preset = msgspec.structs.replace(preset, repository=repository.name, revision=repository.commit)
    if offer is not None:
        known = offer.known
        preset = msgspec.structs.replace(preset, name=known.name, licence=known.licence, published=known.published)
    return msgspec.structs.replace(preset, licence=repository.licence or preset.licence)
