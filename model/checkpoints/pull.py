"""A foreign model, fetched into a folder: the small files first, which say whether it can be used, then the weights.

Every file is whole and has the hash that its repository lists before it gets its name, so an interrupted pull goes on
where it was; preset.json comes last and makes the folder a checkpoint. Left out: the hub itself (hub.py), what the user
is asked (pull_command.py).
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from model.checkpoints.hub import Hub, HubError, OnBytes, RemoteFile, Repository

WEIGHTS_SUFFIX = ".safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
SPARE_DISK_BYTES = 100_000_000


class Wanted(msgspec.Struct, frozen=True):
    """The files that make the model: `small` describe it, `weights` are it."""

    small: tuple[RemoteFile, ...]
    weights: tuple[RemoteFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in (*self.small, *self.weights))


def wanted_files(repository: Repository) -> Wanted:
    """Raises HubError with the reason for a repository that holds no model of the layout that is read here."""
    weights = tuple(file for file in repository.files if file.name.endswith(WEIGHTS_SUFFIX))
    small = tuple(file for file in repository.files if not file.name.endswith(WEIGHTS_SUFFIX))
    if not weights:
        pickles = any(name.endswith(PICKLES) for name in repository.others)
        why = "as pickles alone, which can run code and are never loaded" if pickles else "nowhere"
        raise HubError(f"{repository.name} has its weights {why}: only *.safetensors files are taken.")
    if all(file.name != "config.json" for file in small):
        raise HubError(f"{repository.name} has no config.json, so its shape is not known.")
    return Wanted(small, weights)


def missing_bytes(wanted: Wanted, folder: Path) -> int:
    """What is still to come, by size."""
    return sum(max(0, file.size_bytes - _arrived(folder, file)) for file in (*wanted.small, *wanted.weights))


def check_space(folder: Path, num_bytes: int) -> None:
    """Raises HubError where the disk has less than `num_bytes` left."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < num_bytes + SPARE_DISK_BYTES:
        raise HubError(
            f"{num_bytes / 1e9:.1f} GB are still to come, but the disk of {folder} has {free / 1e9:.1f} GB left."
        )


def pull(
    hub: Hub,
    repository: Repository,
    wanted: Wanted,
    folder: Path,
    *,
    check: Callable[[Path], None],
    on_bytes: OnBytes,
) -> None:
    """Fetches the files. `check` sees the folder with the small ones and raises if the rest is not worth fetching."""
    check_space(folder, missing_bytes(wanted, folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HubError(f"The folder {folder} cannot be made: {error.strerror or error}.") from None
    for file in wanted.small:
        hub.fetch(repository, file, folder, on_bytes)
    check(folder)
    for file in wanted.weights:
        hub.fetch(repository, file, folder, on_bytes)


def _arrived(folder: Path, file: RemoteFile) -> int:
    for path in (folder / file.name, folder / f"{file.name}.part"):
        try:
            return path.stat().st_size
        except OSError:
            continue
    return 0
