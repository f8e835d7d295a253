"""The user's own settings file: `settings.toml` in the user's config folder. It may set anything.

It holds for every editor, takes the same keys as the editors send (camelCase or snake_case, flat or in a table
`[seedling]`), and two that nobody else may set: `engine` and `model`, which mean what the environment variables
SEEDLING_ENGINE and SEEDLING_MODEL mean; those win. Left out: writing it.
"""

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from lsp_server.settings import is_forbidden, read_values, section_of
from lsp_server.toml_file import Stamp, read_toml

FILE_NAME = "settings.toml"
OWN_KEYS = ("engine", "model")


class UserSettings(msgspec.Struct, frozen=True):
    """The file's content. `values` are by field name; `sentences` say what was ignored."""

    path: Path
    stamp: Stamp | None = None
    values: Mapping[str, Any] = {}
    engine: str | None = None
    model: str | None = None
    sentences: tuple[str, ...] = ()


def user_settings_path() -> Path:
    """Where the file is, or would be."""
    import platformdirs  # here, because nothing that imports this module for its types should pay for it

    return Path(platformdirs.user_config_dir("seedling", appauthor=False)) / FILE_NAME


def read_user_settings(path: Path | None = None) -> UserSettings:
    """The user's file as it is now. Never raises."""
    path = user_settings_path() if path is None else path
    file = read_toml(path)
    read = read_values(
        section_of(file.table), f"The setting {{key}} in {path}", refuse=_refuse, more=dict.fromkeys(OWN_KEYS, str)
    )
    values = dict(read.values)
    own = {name: values.pop(name, None) or None for name in OWN_KEYS}
    sentences = [*([file.sentence] if file.sentence else []), *read.remarks.values()]
    if any(own.values()) and file.stamp is not None and _is_open_to_others(path):
        sentences.append(
            f"engine and model in {path} are ignored: other users may write that file (chmod 600 mends it)."
        )
        own = dict.fromkeys(OWN_KEYS)
    return UserSettings(path, file.stamp, values, own["engine"], own["model"], tuple(sentences))


def _refuse(key: str) -> str | None:
    if key in OWN_KEYS or not is_forbidden(key):
        return None
    return "is not a setting and ignored: an engine is named by `engine`, a checkpoint folder by `model`."


def _is_open_to_others(path: Path) -> bool:
    if sys.platform == "win32":
        return False  # POSIX modes mean nothing there
    try:
        status = path.stat()
    except OSError:
        return True  # it went away meanwhile
    return bool(stat.S_IMODE(status.st_mode) & stat.S_IWOTH) or status.st_uid not in (0, os.getuid())


def chosen_model() -> str | None:
    """The checkpoint folder that the user has chosen: SEEDLING_MODEL, else `model` of the file."""
    return os.environ.get("SEEDLING_MODEL") or read_user_settings().model


def chosen_engine() -> str | None:
    """The running engine that the user has chosen: SEEDLING_ENGINE, else `engine` of the file.

    A model in the environment asks for an engine of its own, so the file's engine does not count beside it.
    """
    named = os.environ.get("SEEDLING_ENGINE")
    return named or (None if os.environ.get("SEEDLING_MODEL") else read_user_settings().engine)
