"""`seedling models`, this side of it: the model that the user's settings choose, written so that all else stays.

Source: tomlkit, which keeps comments and order. The value is read back through what the server itself reads, so that
what is not heeded is not said to be done. Left out: whether the model is any good (model/checkpoints/use_command.py,
which runs before), and starting an engine: the next one takes the new model.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lsp_server.engine_client.paths import default_model
from lsp_server.folders import models_folder
from lsp_server.user_settings import read_user_settings, user_settings_path

EMBEDDED = "embedded"
KEY, TABLE = "model", "seedling"


class ChoiceError(Exception):
    """A model that cannot be chosen; the message is one sentence for the user."""

    @property
    def sentence(self) -> str:
        return str(self)


def run(words: list[str], model_main: Callable[[list[str]], int]) -> int:
    """`seedling models …`, which the model's side does, with what only this side knows: the user's settings."""
    if words[1:2] == ["list"]:
        return model_main([*words, "--in-use", str(default_model())])
    if words[1:2] != ["use"] or len(words) != 3 or words[2].startswith("-"):
        return model_main(words)
    folder = folder_of(words[2])
    if folder is not None and (exit_code := model_main(["models", "use", str(folder)])):
        return exit_code
    return choose(folder)


def folder_of(named: str) -> Path | None:
    """The folder of a model by its name (one that was pulled) or its path; None = the embedded model."""
    if named == EMBEDDED:
        return None
    models = models_folder()
    pulled = None if models is None or "/" in named or named in ("", ".", "..") else models / named
    for folder in (pulled, Path(named).expanduser()):
        if folder is not None and folder.is_dir():
            return folder.resolve()
    raise ChoiceError(
        f"There is no folder {named}, and no model of that name was pulled: seedling models list says which are here."
    )


def choose(folder: Path | None) -> int:
    """Writes the user's settings and says what follows from it. Raises ChoiceError."""
    path = user_settings_path()
    _write(path, None if folder is None else str(folder))
    read = read_user_settings(path)
    if read.model != (None if folder is None else str(folder)):
        raise ChoiceError(" ".join(read.sentences) or f"{path} was written, but says something else about the model.")
    what = "the embedded model" if folder is None else str(folder)
    print(f"{path} now chooses {what}. Language servers that run take it when they are started again.")
    if named := os.environ.get("SEEDLING_MODEL"):
        print(f"But SEEDLING_MODEL is set in this shell and wins: {named}.")
    if os.environ.get("SEEDLING_ENGINE") or read.engine.url:
        print("But another engine is named, by SEEDLING_ENGINE or in that file, and has a model of its own.")
    return 0


def _write(path: Path, model: str | None) -> None:
    """Sets or removes the key, in the file behind a link where it is one, in one step."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    target = path.resolve()
    try:
        text = target.read_text("utf-8-sig") if target.exists() else ""
        document = tomlkit.parse(text)
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise ChoiceError(f"{path} cannot be read, so it was left as it is: {_one_line(error)}.") from None
    inner: Any = document.get(TABLE)
    place: Any = inner if isinstance(inner, dict) else document
    if model is None:
        place.pop(KEY, None)
    elif KEY in place or place is inner:
        place[KEY] = model
    else:  # before the first table, or it would belong to that
        place = tomlkit.document()
        place.add(KEY, model)
        document = place.as_string() + tomlkit.dumps(document)
    written = document if isinstance(document, str) else tomlkit.dumps(document)
    if written == text:
        return
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
        part.write_text(written, "utf-8")
        part.chmod(mode)
        os.replace(part, target)
    except OSError as error:
        raise ChoiceError(f"{path} cannot be written: {error.strerror or error}.") from None
    finally:
        part.unlink(missing_ok=True)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
