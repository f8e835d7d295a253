"""`seedling clean`: lists what Seedling stored outside the project, and removes it.

Source: the folders of platformdirs (cache, state, config, data) and the runtime folder of the engine. On macOS and
Windows several of them are one folder, so logs are found by their names; the runtime folder, which the environment may
point anywhere, is never removed as a whole.
Left out: the installation itself (pip uninstall) and the editors' own settings (docs/install.md).
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

LOG_PATTERNS = ("*.log", "*.log.*", "*.stderr")
RUNTIME_PATTERNS = ("*.sock", "*.sock.tmp", "*.lock", "*.endpoint", "*.endpoint.tmp")


class Stored(msgspec.Struct, frozen=True):
    """One thing on the disk: what it is, where, and its size."""

    what: str
    path: Path
    size_bytes: int


def stored(everything: bool) -> list[Stored]:
    """What is there now: caches, logs and runtime files; with `everything` settings, models and dismissals too."""
    import platformdirs

    def folder(kind: str) -> Path:
        return Path(getattr(platformdirs, f"user_{kind}_dir")("seedling", appauthor=False))

    found = list(_whole("cache", folder("cache")))
    found += _matching("log", folder("state"), LOG_PATTERNS)
    found += _matching("runtime", _runtime(), RUNTIME_PATTERNS)
    if everything:
        seen: set[Path] = set()
        for what, kind in (("settings", "config"), ("models", "data"), ("state", "state")):
            if folder(kind) not in seen:
                seen.add(folder(kind))
                found += _whole(what, folder(kind))
    return found


def _runtime() -> Path:
    from lsp_server.engine_client.paths import runtime_folder

    return runtime_folder()


def _whole(what: str, folder: Path) -> Iterator[Stored]:
    if folder.is_dir():
        sizes = (path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
        yield Stored(what, folder, sum(sizes))


def _matching(what: str, folder: Path, patterns: tuple[str, ...]) -> Iterator[Stored]:
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        yield Stored(what, path, path.lstat().st_size)


def running_engines() -> list[Path]:
    """The lock files that an engine still holds. Empty on Windows, where a held file cannot be removed anyway."""
    if sys.platform == "win32":
        return []
    import fcntl

    held = []
    for path in sorted(_runtime().glob("*.lock")):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(path)
    return held


def remove(things: list[Stored]) -> list[str]:
    """Removes them; returns one sentence for each that could not be removed."""
    failures = []
    for thing in things:
        try:
            if thing.path.is_dir() and not thing.path.is_symlink():
                shutil.rmtree(thing.path)
            else:
                thing.path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue  # it lay in a folder that is gone already
        except OSError as error:
            failures.append(f"{thing.path} could not be removed: {error.strerror}.")
    return failures


def size_text(size_bytes: int) -> str:
    """`12 B`, `3.4 kB`, `56 MB`."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"


def run(everything: bool, yes: bool) -> int:
    """Lists, asks unless `yes`, stops our engine, removes. Exit code 1 if something could not be removed."""
    from lsp_server.engine_client import control
    from lsp_server.printable import printable

    things = stored(everything)
    if not things:
        print("Nothing is stored.")
        return 0
    for thing in things:
        print(printable(f"{thing.what:<9} {size_text(thing.size_bytes):>8}  {thing.path}"))
    if not yes:
        if not sys.stdin.isatty():
            print("Nothing was removed: run seedling clean --yes to remove these.")
            return 0
        if input("Remove these? [y/N] ").strip().lower() not in ("y", "yes"):
            print("Nothing was removed.")
            return 0
    control.stop()
    if running_engines():
        print("An engine of another model is running; its files in the runtime folder stay: stop it first.")
        things = [thing for thing in things if thing.what != "runtime"]
    failures = remove(things)
    for sentence in failures:
        print(printable(sentence), file=sys.stderr)
    print(f"Removed {len(things) - len(failures)} of {len(things)}.")
    return 1 if failures else 0
