"""Reading one small TOML file of settings, so that nothing in it or about it can do harm.

Source: TOML 1.0 (tomllib). A pipe in its place would block, a link could lead anywhere, a huge file would fill the
memory: all are refused with a sentence. Left out: what the keys mean.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

MAX_BYTES = 65_536

Stamp = tuple[int, int, int, int]


class TomlFile(msgspec.Struct, frozen=True):
    """`table` is empty where there is no file, or none that can be read; then `sentence` says why it cannot."""

    path: Path
    stamp: Stamp | None = None
    table: Mapping[str, Any] = {}
    sentence: str = ""


def stamp_of(path: Path) -> Stamp | None:
    """Changes when the file does; None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode


def read_toml(path: Path, *, inside: Path | None = None) -> TomlFile:
    """The file at `path`, which must lie in the folder `inside` also behind all links. Never raises."""
    stamp = stamp_of(path)
    if stamp is None:
        return TomlFile(path)
    try:
        why_not = _refusal(path, stamp, inside)
        if why_not:
            return TomlFile(path, stamp, sentence=f"{path} is ignored: {why_not}.")
        body = path.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        return TomlFile(path, stamp, sentence=f"{path} is ignored: it cannot be read ({error.strerror}).")
    return _parsed(path, stamp, body)


def _refusal(path: Path, stamp: Stamp, inside: Path | None) -> str:
    _, size_bytes, _, mode = stamp
    if not stat.S_ISREG(mode):
        return "it is not a regular file"
    if size_bytes > MAX_BYTES:
        return f"it is larger than {MAX_BYTES} bytes"
    if inside is not None and not path.resolve().is_relative_to(inside.resolve()):
        return f"it is a link that leads out of {inside}"
    return ""


def _parsed(path: Path, stamp: Stamp, body: bytes) -> TomlFile:
    import tomllib  # only where there is a file

    try:
        return TomlFile(path, stamp, tomllib.loads(body.decode("utf-8-sig")))
    except UnicodeDecodeError:
        return TomlFile(path, stamp, sentence=f"{path} is ignored: it is not UTF-8 text.")
    except tomllib.TOMLDecodeError as error:
        return TomlFile(path, stamp, sentence=f"{path} is ignored: it is not TOML ({str(error).rstrip('.')}).")
    except RecursionError:
        return TomlFile(path, stamp, sentence=f"{path} is ignored: it is nested too deeply.")
