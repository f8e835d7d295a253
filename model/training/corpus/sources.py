"""Finds package archives and project folders, and reads their files without ever executing or unpacking anything.

Source: wheel (PEP 427) and source distribution (PEP 625) names; core metadata 2.1-2.4 for the licence fields. Reads
are bounded: a member is never read beyond `MAX_MEMBER_BYTES`, a source distribution never beyond
`MAX_UNPACKED_BYTES`, whatever its header claims. Links are not followed. Left out: what a project folder says of itself
(project_folders.py), eggs, zipped source distributions.
"""

import email.parser
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import msgspec
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from model.training.corpus.licences import Statement, is_licence_file
from model.training.corpus.project_folders import METADATA_FILES, find_projects, project_metadata

MAX_MEMBER_BYTES = 1 << 20
MAX_UNPACKED_BYTES = 1 << 30
MAX_KEPT_BYTES = 64 << 20
MAX_MEMBERS = 200_000


class CorpusError(Exception):
    """A corpus cannot be built; the message is one sentence for the user."""

    @property
    def sentence(self) -> str:
        return str(self)


class UnreadableSource(Exception):
    """One archive or folder cannot be read; the build records the reason and goes on."""


class Source(msgspec.Struct, frozen=True):
    """One project in one version. `kind` is "wheel", "sdist" or "folder"; `project` is the normalised name."""

    project: str
    version: str
    kind: str
    path: Path


class Reader:
    """The regular files of one open source; names are relative paths with forward slashes."""

    def __init__(self, names: Sequence[str], read) -> None:
        self.names = tuple(names)
        self._read = read

    def read(self, name: str) -> bytes:
        """At most MAX_MEMBER_BYTES + 1 bytes of a file. UnreadableSource if it is broken."""
        try:
            return self._read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            raise UnreadableSource(f"unreadable archive ({type(error).__name__})") from None


def find_sources(folders: Sequence[Path]) -> list[Source]:
    """The newest version of each project below the folders, sorted by name. CorpusError if a folder is missing."""
    newest: dict[str, tuple[tuple, Source]] = {}
    for folder in folders:
        if not folder.is_dir():
            raise CorpusError(f"{folder} is not a folder")
        projects = [Source(name, version, "folder", path) for name, version, path in find_projects(folder)]
        for source in [*_archives_below(folder), *projects]:
            # Wheels before all others of the same version, then by file name: the same choice on every run.
            rank = (Version(Version(source.version).public), source.kind == "wheel", source.path.name)
            if source.project not in newest or rank > newest[source.project][0]:
                newest[source.project] = (rank, source)
    return [newest[project][1] for project in sorted(newest)]


def _archives_below(folder: Path) -> Iterator[Source]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            try:
                if name.endswith(".whl"):
                    project, version, *_ = parse_wheel_filename(name)
                    yield Source(str(project), str(version), "wheel", Path(root, name))
                elif name.endswith(".tar.gz"):
                    project, version = parse_sdist_filename(name)
                    yield Source(str(project), str(version), "sdist", Path(root, name))
            except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
                continue


@contextmanager
def open_source(source: Source) -> Iterator[Reader]:
    """Opens an archive or folder for reading. UnreadableSource if it cannot be opened."""
    archive: zipfile.ZipFile | None = None
    try:
        if source.kind == "wheel":
            archive = zipfile.ZipFile(source.path)
            reader = _wheel_reader(archive)
        elif source.kind == "sdist":
            reader = _sdist_reader(source.path)
        else:
            reader = _folder_reader(source.path)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise UnreadableSource(f"unreadable archive ({type(error).__name__})") from None
    # Outside the try: what the caller raises, such as a full disk while writing, is not the archive's fault.
    try:
        yield reader
    finally:
        if archive is not None:
            archive.close()


def _wheel_reader(archive: zipfile.ZipFile) -> Reader:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise UnreadableSource(f"more than {MAX_MEMBERS} files")
    by_name = {_installed_path(info.filename): info for info in infos if not info.is_dir() and _is_plain(info.filename)}

    def read(name: str) -> bytes:
        with archive.open(by_name[name]) as member:
            return member.read(MAX_MEMBER_BYTES + 1)

    return Reader(list(by_name), read)


def _installed_path(name: str) -> str:
    """pkg-1.0.data/purelib/pkg/a.py is installed as pkg/a.py."""
    return re.sub(r"^[^/]+\.data/(purelib|platlib)/", "", name)


def _sdist_reader(path: Path) -> Reader:
    """One pass over the stream; keeps only what the corpus may want, because a gzip stream has no random access."""
    kept: dict[str, bytes] = {}
    kept_bytes = seen_bytes = 0
    with tarfile.open(path, mode="r|gz") as archive:
        for number, member in enumerate(archive):
            seen_bytes += member.size
            if number >= MAX_MEMBERS or seen_bytes > MAX_UNPACKED_BYTES:
                raise UnreadableSource("unpacked size is too large")
            name = member.name.partition("/")[2]
            if not member.isfile() or not name or not _is_plain(name) or not _is_wanted(name):
                continue
            if member.size <= MAX_MEMBER_BYTES and (data := archive.extractfile(member)) is not None:
                kept[name] = data.read(MAX_MEMBER_BYTES + 1)
                kept_bytes += len(kept[name])
            if kept_bytes > MAX_KEPT_BYTES:
                raise UnreadableSource("unpacked size is too large")
    return Reader(list(kept), kept.__getitem__)


def _folder_reader(folder: Path) -> Reader:
    def read(name: str) -> bytes:
        with open(folder / name, "rb") as file:
            return file.read(MAX_MEMBER_BYTES + 1)

    names = folder_files(folder)
    if len(names) > MAX_MEMBERS:
        raise UnreadableSource(f"more than {MAX_MEMBERS} files")
    return Reader(names, read)


def folder_files(folder: Path) -> list[str]:
    """The relative paths of the files of a project folder that the corpus may want, hidden folders left out; a little
    more than MAX_MEMBERS of them at most."""
    names = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(root, name)
            if _is_wanted(name) and stat.S_ISREG(path.lstat().st_mode):
                names.append(path.relative_to(folder).as_posix())
        if len(names) > MAX_MEMBERS:
            break
    return names


def _is_plain(name: str) -> bool:
    return not name.startswith("/") and ".." not in PurePosixPath(name).parts and "\\" not in name


def _is_wanted(name: str) -> bool:
    base = name.rpartition("/")[2]
    return base.endswith(".py") or base in ("PKG-INFO", "METADATA", *METADATA_FILES) or is_licence_file(base)


def licence_statement(source: Source, reader: Reader) -> Statement:
    """What the package itself says: metadata and licence files. Nothing found gives an empty statement."""
    metadata: Mapping[str, list[str]] = {}
    for name in reader.names:
        top, _, base = name.rpartition("/")
        if (base == "METADATA" and re.fullmatch(r"[^/]+\.dist-info", top)) or name == "PKG-INFO":
            message = email.parser.HeaderParser().parsestr(reader.read(name).decode("utf-8", errors="replace"))
            metadata = {key: [str(value) for value in message.get_all(key, [])] for key in message}
            break
    else:
        metadata = project_metadata(lambda name: reader.read(name) if name in reader.names else None)
    licence_files = {
        name: reader.read(name).decode("utf-8", errors="replace")
        for name in reader.names
        if is_licence_file(name.rpartition("/")[2])
        and (re.match(r"[^/]+\.dist-info/", name) or "/" not in name)
        and not name.endswith(".py")
    }
    first = lambda key: (metadata.get(key) or [""])[0]  # noqa: E731
    return Statement(
        expression=first("License-Expression"),
        field=first("License"),
        classifiers=metadata.get("Classifier", []),
        licence_files=licence_files,
    )
