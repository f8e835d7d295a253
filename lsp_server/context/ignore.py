"""Files that a project does not want read: `.gitignore` and `.seedlingignore`, by git's rules.

Source: gitignore(5): patterns of deeper folders come later, the last one that matches decides, nothing below an ignored
folder comes back. The files of the folders above count too, up to the repository's top, as for git itself. What a
`.gitignore` ignores a `.seedlingignore` cannot bring back: it may only restrict. Left out: git's own excludes outside
the repository, and whether a file is tracked (an ignored file that git tracks is not read).
"""

import os
import re
import stat
from collections.abc import Iterator

import msgspec
from pathspec import GitIgnoreSpec
from pathspec.pattern import RegexPattern
from pathspec.patterns.gitignore import GitIgnorePatternError

NAMES = (".gitignore", ".seedlingignore")
MAX_FILE_BYTES = 64 * 1024
MAX_PATTERNS = 1_000
MAX_PATTERN_CHARS = 200
MAX_STARS = 4
MAX_FOLDERS_UP = 12
MAX_KNOWN_FILES = 256


class Pattern(msgspec.Struct, frozen=True):
    """One line: what matches is ignored, or brought back where not `includes`. `is_inside` is the line's ending `/**`.

    pathspec's expressions match whatever lies below a match, too. Here folders are asked about one by one, so a match
    must reach to the path's end: only then `!keep` does not bring back a file in `keep` that another line ignores.
    """

    regex: re.Pattern[str]
    includes: bool
    is_inside: bool

    def matches(self, path: str) -> bool:
        """Whether the line means this path (a folder's ends with a slash)."""
        if self.is_inside:
            found = self.regex.match(path)
            return found is not None and found.end() < len(path)
        return any(found.end() == len(path) for found in self.regex.finditer(path))


class _Known(msgspec.Struct, frozen=True):
    stamp: tuple[int, int]
    patterns: tuple[Pattern, ...]


class Ignores:
    """What is ignored below `root` (a real path). Ignore files are kept until they change."""

    def __init__(self, root: str, names: tuple[str, ...] = NAMES) -> None:
        """names: the ignore files that count."""
        self._root = root
        self._names = names
        self._known: dict[str, _Known] = {}

    def is_ignored(self, relative: str) -> bool:
        """Whether the file at this path below the root, with forward slashes, or a folder that it lies in is."""
        top = _repository_top(self._root)
        inside = os.path.relpath(self._root, top).replace(os.sep, "/")
        path = relative if inside == "." else f"{inside}/{relative}"
        parts = path.split("/")
        prefixes = ["/".join(parts[:count]) + "/" for count in range(1, len(parts))] + [path]
        return any(self._decides(name, top, prefix) for name in self._names for prefix in prefixes)

    def _decides(self, name: str, top: str, path: str) -> bool:
        """What the last pattern says that matches `path` (a folder's ends with a slash)."""
        verdict = False
        parts = path.rstrip("/").split("/")
        for depth in range(len(parts)):
            below = "/".join(parts[depth:]) + ("/" if path.endswith("/") else "")
            for pattern in reversed(self._patterns(os.path.join(top, *parts[:depth], name))):
                if pattern.matches(below):
                    verdict = pattern.includes
                    break
        return verdict

    def _patterns(self, path: str) -> tuple[Pattern, ...]:
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return ()
        if not stat.S_ISREG(status.st_mode):
            return ()  # as for git
        stamp = (status.st_mtime_ns, status.st_size)
        known = self._known.get(path)
        if known is None or known.stamp != stamp:
            if len(self._known) >= MAX_KNOWN_FILES:
                self._known.clear()
            known = self._known[path] = _Known(stamp, read_patterns(_read(path)))
        return known.patterns


def read_patterns(text: str) -> tuple[Pattern, ...]:
    """The patterns of an ignore file; lines that git cannot read either are left out."""
    patterns = []
    for line in text.splitlines()[:MAX_PATTERNS]:
        bounded = bounded_pattern(line)
        try:
            read = GitIgnoreSpec.from_lines([bounded]).patterns
        except (GitIgnorePatternError, ValueError):
            continue
        is_inside = bounded.rstrip().endswith("/**") and len(bounded.strip().strip("/*!")) > 0
        patterns += [
            Pattern(one.regex, one.include, is_inside)
            for one in read
            if isinstance(one, RegexPattern) and one.regex is not None and one.include is not None
        ]
    return tuple(patterns)


def bounded_pattern(line: str) -> str:
    """`line`, cut behind its fourth star: a pattern of many stars can take forever on a name made for it.

    What is cut matches more, so more stays unread; of a `!` line, which brings files back, nothing is left.
    """
    if len(line) <= MAX_PATTERN_CHARS and line.replace("**", "*").count("*") <= MAX_STARS:
        return line
    if line.startswith("!"):
        return ""
    kept = line[:MAX_PATTERN_CHARS].replace("***", "**")
    pieces = kept.split("*")
    return "*".join(pieces[:MAX_STARS]) + "*" if len(pieces) > MAX_STARS else kept + "*"


def _read(path: str) -> str:
    """An ignore file; of one that is too large or cannot be read, that everything is ignored."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return "*"
    with os.fdopen(handle, "rb") as file:
        try:
            content = file.read(MAX_FILE_BYTES + 1)
        except OSError:
            return "*"
    return "*" if content is None or len(content) > MAX_FILE_BYTES else content.decode("utf-8", "replace")


def _repository_top(folder: str) -> str:
    """The folder above, or this one, that holds `.git`; this one where none does."""
    for above in _with_parents(folder):
        if os.path.exists(os.path.join(above, ".git")):
            return above
    return folder


def _with_parents(folder: str) -> Iterator[str]:
    for _ in range(MAX_FOLDERS_UP):
        yield folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        folder = parent
