"""The user's own folders, as platformdirs names them; None for a user who has no home.

Without HOME, and without an entry in the password file (a container's user is often just a number), platformdirs raises
RuntimeError; older ones say `~/…` as it stands, a folder `~` in whatever folder this process runs in, which is the
user's project. Left out: the runtime folder (engine_client/paths.py).
"""

import os
from collections.abc import Callable
from pathlib import Path

NOWHERE = Path(os.devnull) / "seedling"
"""Below a file: nothing is there, and nothing can be made there, not even by the administrator."""


def state_folder() -> Path | None:
    """For logs and dismissals."""
    import platformdirs  # here and below: a server that never completes never needs it

    return _if_absolute(platformdirs.user_state_dir)


def config_folder() -> Path | None:
    """For the user's settings."""
    import platformdirs

    return _if_absolute(platformdirs.user_config_dir)


def models_folder() -> Path | None:
    """Where `seedling models pull` puts models, a folder each (model/checkpoints/on_disk.py says the same)."""
    import platformdirs

    data = _if_absolute(platformdirs.user_data_dir)
    return None if data is None else data / "models"


def _if_absolute(folder_of: Callable[..., str]) -> Path | None:
    try:
        folder = Path(folder_of("seedling", appauthor=False))
    except RuntimeError:
        return None
    return folder if folder.is_absolute() else None
