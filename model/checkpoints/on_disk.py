"""Models of others on this disk: where they are, under which names, and what is known of them without reading them.

Source: platformdirs (the user's data folder; lsp_server/folders.py says the same). A folder with a preset.json is a
checkpoint; one without was never fetched whole. Left out: the families themselves (families.py).
"""

import os
from pathlib import Path

import msgspec

from model.checkpoints.error import CheckpointError
from model.checkpoints.families import Family, Known, all_families

PRESET_FILE = "preset.json"


class Offered(msgspec.Struct, frozen=True):
    """A published model that this program knows."""

    known: Known
    family: Family


def models_folder() -> Path:
    """Where pulled models are, a folder each. Raises CheckpointError for a user who has no home."""
    import platformdirs

    try:
        folder = Path(platformdirs.user_data_dir("seedling", appauthor=False))
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():
        raise CheckpointError("There is no home folder to keep models in: set XDG_DATA_HOME to a folder of yours.")
    return folder / "models"


def offered() -> list[Offered]:
    """Every published model that is known, the smallest first."""
    found = [Offered(known, family) for family in all_families() for known in family.checkpoints]
    return sorted(found, key=lambda offer: (offer.known.parameters_billion, offer.known.name))


def offered_as(named: str) -> Offered | None:
    """By its short name or its repository, in any case."""
    wanted = named.lower()
    return next((o for o in offered() if wanted in (o.known.name.lower(), o.known.repository.lower())), None)


def resolve(named: str) -> Path:
    """The folder of a pulled model by its name, or of any by its path. Raises CheckpointError."""
    pulled = models_folder() / named if named and "/" not in named and named not in (".", "..") else None
    for folder in (pulled, Path(named).expanduser()):
        if folder is not None and folder.is_dir():
            return folder
    advice = f"seedling models pull {named} fetches it" if offered_as(named) else "seedling models list names them all"
    raise CheckpointError(f"There is no model {named} on this disk: {advice}.")


def size_bytes(folder: Path) -> int:
    """Of all files, those of an unfinished pull too."""
    found = (entry for entry in os.scandir(folder) if entry.is_file())
    return sum(entry.stat().st_size for entry in found)


def is_whole(folder: Path) -> bool:
    return (folder / PRESET_FILE).is_file()
