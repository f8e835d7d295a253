"""The user's own settings file: `settings.toml` in the user's config folder. It may set anything.

It holds for every editor, takes the same keys as the editors send (camelCase or snake_case, flat or in a table
`[seedling]`), and some that nobody else may set: `model`, and `engine` with what belongs to it (a table `[engine]`,
whose `url` may stand alone as `engine`). They mean what the environment variables SEEDLING_MODEL, SEEDLING_ENGINE,
SEEDLING_ENGINE_CA, … mean; those win. Left out: writing it.
"""

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from lsp_server.folders import NOWHERE, config_folder
from lsp_server.settings import is_forbidden, read_values, section_of
from lsp_server.toml_file import Stamp, read_toml

FILE_NAME = "settings.toml"
MERCURY_URL = "https://api.inceptionlabs.ai/v1"


class EngineChoice(msgspec.Struct, frozen=True, kw_only=True):
    """An engine that the user did not leave to us to start; `url` None: our own."""

    url: str | None = None
    """unix:/path, or https://host:port of an engine on another machine."""
    fallback: Literal["none", "local"] = "none"
    """What answers while that engine cannot be reached: nothing, or an engine of our own."""
    ca: str | None = None
    """File of the certificate authorities to trust, instead of the system's."""
    proxy: str | None = None
    """HTTP proxy on the way there; `none`: also where the environment names one."""
    token_file: str | None = None
    """File that holds the token and is readable by its owner alone."""
    upstream: str = "seedling"
    """What is there: an engine of ours, or another server that speaks `openai`, `mercury` or `llama.cpp`."""
    upstream_model: str | None = None
    """The model to ask another server for, where it has several."""
    fim: str = "suffix"
    """How an `openai` server is told what follows the cursor: `suffix`, or in its model's own format (`qwen`, …)."""
    metered: bool = False
    """Whether each question costs money, so that none is asked ahead or for choice; Mercury's always do."""


_ENGINE_FIELDS = {field.name: field.type for field in msgspec.structs.fields(EngineChoice)}
# Keys of the file by what they set; `engine` alone is the URL.
_ENGINE_KEYS = {"engine": "url"} | {
    f"engine.{spelling}": name
    for name in _ENGINE_FIELDS
    for spelling in (name, name.partition("_")[0] + "".join(word.title() for word in name.split("_")[1:]))
}
OWN_KEYS = {"model": str} | {key: _ENGINE_FIELDS[name] for key, name in _ENGINE_KEYS.items()}


class UserSettings(msgspec.Struct, frozen=True):
    """The file's content. `values` are by field name; `sentences` say what was ignored."""

    path: Path
    stamp: Stamp | None = None
    values: Mapping[str, Any] = {}
    engine: EngineChoice = EngineChoice()
    model: str | None = None
    sentences: tuple[str, ...] = ()


def user_settings_path() -> Path:
    """Where the file is, or would be."""
    return (config_folder() or NOWHERE) / FILE_NAME


def read_user_settings(path: Path | None = None) -> UserSettings:
    """The user's file as it is now. Never raises."""
    path = user_settings_path() if path is None else path
    file = read_toml(path)
    read = read_values(section_of(file.table), f"The setting {{key}} in {path}", refuse=_refuse, more=OWN_KEYS)
    values = dict(read.values)
    own = {name: value for name in OWN_KEYS if (value := values.pop(name, None))}
    sentences = [*([file.sentence] if file.sentence else []), *read.remarks.values()]
    if own and file.stamp is not None and _is_open_to_others(path):
        sentences.append(
            f"engine and model in {path} are ignored: other users may write that file (chmod 600 mends it)."
        )
        own = {}
    model = own.pop("model", None)
    engine = EngineChoice(**{_ENGINE_KEYS[key]: value for key, value in own.items()})
    return UserSettings(path, file.stamp, values, engine, model, tuple(sentences))


def _refuse(key: str) -> str | None:
    if key in OWN_KEYS or not is_forbidden(key):
        return None
    keys = ", ".join(f"`engine.{name}`" for name in _ENGINE_FIELDS)
    return f"is not a setting and ignored: an engine is named by `engine` or {keys}; a checkpoint folder by `model`."


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


def chosen_engine() -> EngineChoice:
    """The engine that the user has chosen: SEEDLING_ENGINE and its companions, else what the file says.

    A model in the environment asks for an engine of its own, so the file's engine does not count beside it. The file's
    token is for the file's engine alone.
    """
    file = read_user_settings().engine
    named = os.environ.get("SEEDLING_ENGINE")
    if named and named != file.url:
        file = EngineChoice(url=named, fallback=file.fallback, ca=file.ca, proxy=file.proxy)
    elif not named and os.environ.get("SEEDLING_MODEL"):
        return EngineChoice()
    changes: dict[str, Any] = {}
    for name in ("ca", "proxy", "token_file", "upstream", "upstream_model", "fim"):
        if value := os.environ.get(f"SEEDLING_ENGINE_{name.upper()}"):
            changes[name] = value
    if fallback := os.environ.get("SEEDLING_ENGINE_FALLBACK"):
        changes["fallback"] = "local" if fallback == "local" else "none"
    if metered := os.environ.get("SEEDLING_ENGINE_METERED"):
        changes["metered"] = metered.lower() not in ("0", "false", "no")
    choice = msgspec.structs.replace(file, **changes)
    is_mercury = choice.upstream == "mercury" and not choice.url
    return msgspec.structs.replace(choice, url=MERCURY_URL) if is_mercury else choice
