"""Files of a workspace folder, read by strict rules: regular files inside it, of a size, not ignored, no secrets.

Source: docs/privacy.md: no links out of the folder, exclusions hold for a link's own path and
for its target, nothing of another workspace folder, no UNC path. A file that may not be read, or that vanishes
meanwhile, is not there: None. Runs outside the loop thread; nothing is written. Left out: which files are worth reading
(project.py).
"""

import os
import stat
import time
from collections import OrderedDict
from pathlib import PurePosixPath

import msgspec

from lsp_server.context.exclude import SECRETS, matching_pattern
from lsp_server.context.ignore import Ignores
from lsp_server.positions import split_lines

MAX_FILE_BYTES = 1_000_000
MAX_KEPT_BYTES = 4_000_000
MAX_ENTRIES = 1_000
NUM_FILES = 32
NUM_BYTES = 1_500_000
SECONDS = 0.25


class FileText(msgspec.Struct, frozen=True):
    """A file's text. `stamp` changes when the file does."""

    path: str
    stamp: str
    lines: tuple[str, ...]
    size_bytes: int


class Allowance:
    """What one gathering may read: so many files and bytes, for so long."""

    def __init__(self, num_files: int = NUM_FILES, num_bytes: int = NUM_BYTES, seconds: float = SECONDS) -> None:
        self._num_files, self._num_bytes = num_files, num_bytes
        self._until_s = time.monotonic() + seconds

    def is_spent(self) -> bool:
        return self._num_files <= 0 or self._num_bytes <= 0 or time.monotonic() > self._until_s

    def spend(self, num_bytes: int) -> None:
        self._num_files -= 1
        self._num_bytes -= num_bytes


class ProjectFiles:
    """The readable files of one workspace folder. Paths are below the folder, with forward slashes."""

    def __init__(
        self,
        folder: str,
        exclude: tuple[str, ...] = (),
        nested: tuple[str, ...] = (),
        max_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        """folder: its path. nested: paths of other workspace folders, those below this one are not entered."""
        self._folder = os.path.realpath(folder)
        self._exclude = exclude
        self._max_bytes = min(max_bytes, MAX_FILE_BYTES)
        self._nested = tuple(os.path.realpath(other) for other in nested)
        self._ignores = Ignores(self._folder)
        self._kept: OrderedDict[str, FileText] = OrderedDict()
        self.kept_bytes = 0

    def read(self, path: str, allowance: Allowance) -> FileText | None:
        """The text of a file, or None."""
        if allowance.is_spent():
            return None
        try:
            real = self._real_path(path)
            return None if real is None else self._text(path, real, allowance)
        except (OSError, ValueError):  # ValueError: a NUL in the path, text that is not UTF-8
            return None

    def is_ignored(self, path: str) -> bool:
        """Whether the project or the user does not want this path read. The file need not exist."""
        excluded = matching_pattern(path, SECRETS) or matching_pattern(path, self._exclude)
        return excluded is not None or self._ignores.is_ignored(path)

    def is_unwanted(self, path: str) -> bool:
        """`is_ignored` for the path and for what it leads to, if that lies in the folder."""
        real = os.path.realpath(os.path.join(self._folder, *path.split("/")))
        target = os.path.relpath(real, self._folder).replace(os.sep, "/") if is_below(real, self._folder) else path
        return self.is_ignored(path) or (target != path and self.is_ignored(target))

    def siblings(self, path: str) -> list[str]:
        """The other files in the folder of `path`, the newest first. Links to files count, hidden files do not."""
        inner = str(PurePosixPath(path).parent)
        folder = self._real_path(inner)
        if folder is None:
            return []
        found: list[tuple[int, str]] = []
        try:
            with os.scandir(folder) as entries:
                for _, entry in zip(range(MAX_ENTRIES), entries, strict=False):
                    if not entry.name.startswith(".") and entry.is_file():
                        below = entry.name if inner == "." else f"{inner}/{entry.name}"
                        found.append((-entry.stat().st_mtime_ns, below))
        except OSError:
            return []
        return [below for _, below in sorted(found) if below != path]

    def _real_path(self, path: str) -> str | None:
        """Where `path` really lies, if it may be read at all."""
        if path != "." and (not is_inner_path(path) or self.is_ignored(path)):
            return None
        lexical = os.path.join(self._folder, *path.split("/"))
        try:
            real = os.path.realpath(lexical, strict=True)
        except (OSError, ValueError):
            return None
        if real == self._folder:
            return real if path == "." else None
        if not is_below(real, self._folder) or matching_pattern(real.replace(os.sep, "/"), SECRETS):
            return None
        if any(is_below(other, self._folder) and (real == other or is_below(real, other)) for other in self._nested):
            return None
        target = os.path.relpath(real, self._folder).replace(os.sep, "/")
        return None if target != path and self.is_ignored(target) else real

    def _text(self, path: str, real: str, allowance: Allowance) -> FileText | None:
        # Neither a FIFO nor a device may hold the thread, and the last step of the path is no link any more.
        flags = os.O_RDONLY
        for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):
            flags |= getattr(os, name, 0)
        handle = os.open(real, flags)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or status.st_size > self._max_bytes:
                return None
            stamp = f"{status.st_mtime_ns}-{status.st_size}"
            kept = self._kept.get(path)
            if kept is not None and kept.stamp == stamp:
                self._kept.move_to_end(path)
                allowance.spend(kept.size_bytes)
                return kept
            content = file.read(self._max_bytes + 1)
        allowance.spend(len(content))
        if len(content) > self._max_bytes or b"\0" in content:
            return None
        text = FileText(path, stamp, split_lines(content.decode("utf-8-sig")), len(content))
        self._keep(text)
        return text

    def _keep(self, text: FileText) -> None:
        old = self._kept.pop(text.path, None)
        self.kept_bytes += text.size_bytes - (0 if old is None else old.size_bytes)
        self._kept[text.path] = text
        while self.kept_bytes > MAX_KEPT_BYTES:
            _, gone = self._kept.popitem(last=False)
            self.kept_bytes -= gone.size_bytes


def is_inner_path(path: str) -> bool:
    """Whether `path` is relative and stays inside whatever it is joined to."""
    parts = path.split("/")
    return not any(part in ("", ".", "..") or "\\" in part or ":" in part or "\0" in part for part in parts)


def is_below(path: str, folder: str) -> bool:
    """Whether a real path lies inside a real folder."""
    return path.startswith(folder.rstrip(os.sep) + os.sep)
