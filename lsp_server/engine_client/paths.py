"""Where the engine of this user, model and API version listens, locks and logs.

Source: XDG Base Directory Specification (runtime folder: owned by the user, mode 0700); unix(7) (`sun_path` holds 108
bytes on Linux and 104 on macOS, so 103 with the closing NUL). Left out: creating sockets and locks, which only the
engine does (model/engine/lock.py); it is told these paths on its command line, so they are computed in one place.
"""

import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

import msgspec

from lsp_server.engine_client.errors import EngineUnavailable
from lsp_server.folders import state_folder
from lsp_server.user_settings import chosen_model
from model.engine.api import API_VERSION

MAX_SOCKET_PATH_BYTES = 103


class EnginePaths(msgspec.Struct, frozen=True):
    """All files of one engine. `endpoint` (loopback port and token, mode 0600) is used where there are no sockets."""

    model: Path
    runtime: Path
    socket: Path
    lock: Path
    endpoint: Path
    log: Path
    stderr: Path


def default_model() -> Path:
    """The checkpoint folder in use: the user's choice (environment or file), else this installation's own."""
    named = chosen_model()
    if named:
        return Path(named).expanduser().resolve()
    return Path(__file__).resolve().parents[2] / "model" / "embedded"


def runtime_folder() -> Path:
    """The private folder for sockets and locks, created with mode 0700 if absent.

    SEEDLING_RUNTIME_DIR (tests), else $XDG_RUNTIME_DIR/seedling, else seedling-<uid> under the temp folder; never on
    the home directory, which may be a network disk without working locks or sockets.
    Raises EngineUnavailable when the folder belongs to somebody else, is a link, or others may enter it.
    """
    override, xdg = os.environ.get("SEEDLING_RUNTIME_DIR"), os.environ.get("XDG_RUNTIME_DIR")
    if override:
        folder = Path(override)
    elif xdg and Path(xdg).is_dir():
        folder = Path(xdg) / "seedling"
    elif sys.platform == "win32":
        folder = Path(tempfile.gettempdir()) / "seedling"
    else:
        folder = Path(tempfile.gettempdir()) / f"seedling-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(folder)
    except OSError as error:
        raise EngineUnavailable(
            "runtime_folder", f"The runtime folder {folder} cannot be used ({error.strerror}): set XDG_RUNTIME_DIR."
        ) from None
    return folder


def engine_paths(model: Path | None = None) -> EnginePaths:
    """The paths of the engine for `model` (default: `default_model()`). Names are hashes: short, and no path shows."""
    model = default_model() if model is None else model.expanduser().resolve()
    name = hashlib.sha256(f"{API_VERSION}\n{model}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
    runtime = runtime_folder()
    socket = runtime / f"{name}.sock"
    if len(os.fsencode(socket)) > MAX_SOCKET_PATH_BYTES - len(".tmp"):
        raise EngineUnavailable(
            "runtime_folder", f"The runtime folder {runtime} has too long a path for a socket: set XDG_RUNTIME_DIR."
        )
    state = state_folder()
    if state is None or not _can_hold_files(state):
        state = runtime  # no home, or a disk that nobody may write: the engine's log lasts as long as its socket then
    return EnginePaths(
        model=model,
        runtime=runtime,
        socket=socket,
        lock=runtime / f"{name}.lock",
        endpoint=runtime / f"{name}.endpoint",
        log=state / f"engine-{name}.log",
        stderr=state / f"engine-{name}.stderr",
    )


def _can_hold_files(folder: Path) -> bool:
    """Whether files may be written there, or the folder be made."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(there, os.W_OK | os.X_OK)


def _check_private(folder: Path) -> None:
    if sys.platform == "win32":
        return  # the user's temp folder is already private there; POSIX modes mean nothing
    status = folder.lstat()
    sentence = None
    if not stat.S_ISDIR(status.st_mode):
        sentence = f"The runtime folder {folder} is a link or a file: remove it."
    elif status.st_uid != os.getuid():
        sentence = f"The runtime folder {folder} belongs to another user: set XDG_RUNTIME_DIR to a folder of yours."
    elif stat.S_IMODE(status.st_mode) & 0o077:
        sentence = f"Other users may enter the runtime folder {folder}: run chmod 700 on it."
    if sentence is not None:
        raise EngineUnavailable("runtime_folder", sentence)
