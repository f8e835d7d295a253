"""Findings that the user has sent away: for the session, and on the disk for the next one.

A file per workspace folder in the user's state folder, never in the project: one hash a line (features/mend.py makes
them), the newest last. Neither paths nor code stand in it. What cannot be read or written is forgotten with the
session. Left out: removing the files (`seedling clean --all`).
"""

import contextlib
import hashlib
import os
from pathlib import Path

from lsp_server.folders import NOWHERE, state_folder

MAX_KEPT = 2_000
MAX_FILE_BYTES = 64 * 1024


class Dismissed:
    """What was dismissed, by workspace folder. None = documents outside every folder: kept for the session only."""

    def __init__(self) -> None:
        self._keys: dict[str | None, dict[str, None]] = {}

    def has(self, folder: str | None, key: str) -> bool:
        return key in self._of(folder)

    def add(self, folder: str | None, key: str) -> None:
        """Remembers a key, now and later."""
        keys = self._of(folder)
        keys[key] = None
        while len(keys) > MAX_KEPT:
            del keys[next(iter(keys))]
        if folder is not None:
            _write(_file(folder), "".join(f"{one}\n" for one in keys))

    def _of(self, folder: str | None) -> dict[str, None]:
        if folder not in self._keys:
            self._keys[folder] = {} if folder is None else dict.fromkeys(_read(_file(folder)))
        return self._keys[folder]


def _file(folder: str) -> Path:
    name = hashlib.sha256(folder.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return (state_folder() or NOWHERE) / f"dismissed-{name}"


def _read(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES).decode("ascii", "ignore").split()[-MAX_KEPT:]
    except OSError:
        return []


def _write(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_text(text, "ascii")
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
