"""URIs of documents and folders: when two mean the same, which path they name, and which file on this machine.

Source: RFC 3986 (appendix B), RFC 8089 (`file`, drive letters, UNC), and what clients really send: VS Code encodes
drive letters (`file:///c%3A/w`), others do not (`file:///C:/w`), and the same client may use both spellings for one
document. Why not urllib: it cuts `file:///w/a#b/.env` at the `#`, which some clients leave unencoded, so a secret's
name would be lost. Left out: cases that only a file system knows (links, upper and lower case beyond drive letters).
"""

import functools
import re
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

_PARTS = re.compile(r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?(?://(?P<authority>[^/]*))?(?P<path>.*)", re.DOTALL)
_DRIVE = re.compile(r"/[A-Za-z]:(?=/|$)")
CELL_SCHEME = "vscode-notebook-cell"
# In these a path means the same file: a cell lies in a notebook, an unsaved document may have its place already.
_FILE_LIKE = frozenset({"file", "untitled", CELL_SCHEME})


class _Uri(NamedTuple):
    """Decoded; a drive letter is lower case. Bytes that are no UTF-8 stay apart, as lone surrogates."""

    scheme: str
    authority: str
    path: str
    rest: str


@functools.lru_cache(maxsize=2048)  # a keystroke asks for the same few again and again
def _split(uri: str) -> _Uri:
    match = _PARTS.fullmatch(uri)
    assert match is not None, "every part of the pattern is optional"
    scheme, authority = (match["scheme"] or "").lower(), match["authority"] or ""
    path, rest = match["path"], ""
    if scheme != "file":
        cut = re.search(r"[?#]", path)
        path, rest = (path[: cut.start()], path[cut.start() :]) if cut else (path, "")
    path = _decoded(path)
    if scheme == "file" and re.fullmatch(r"[A-Za-z](:|%3[Aa])", authority):  # `file://c:/w`: one slash too few
        path, authority = f"/{_decoded(authority)}{path}", ""
    if _DRIVE.match(path):
        path = path[:2].lower() + path[2:]
    authority = _decoded(authority).lower()
    return _Uri(scheme, "" if authority == "localhost" else authority, path, _decoded(rest))


def _decoded(text: str) -> str:
    return unquote(text, errors="surrogateescape")


def document_key(uri: str) -> tuple[str, str, str, str]:
    """The same for all spellings of one document's URI."""
    return _split(uri)


def file_key(uri: str) -> tuple[str, str, str, str]:
    """As `document_key`, but the same for all cells of a notebook."""
    parts = _split(uri)
    return parts._replace(rest="") if parts.scheme == CELL_SCHEME else parts


def uri_scheme(uri: str) -> str:
    """The scheme of `uri` in lower case, or an empty string."""
    return _split(uri).scheme


def uri_path(uri: str) -> str:
    """The decoded path of `uri`, with forward slashes; a UNC path begins with two. Never holds a lone surrogate."""
    parts = _split(uri)
    unc = f"//{parts.authority}" if parts.authority and parts.scheme in _FILE_LIKE else ""
    return unc + parts.path.replace("\\", "/").encode("utf-8", "replace").decode()


def folder_of(uri: str, folder_uris: Iterable[str]) -> str | None:
    """The innermost of the folders that `uri` lies in."""
    return max((folder for folder in folder_uris if _lies_in(uri, folder)), key=lambda it: len(_root(it)), default=None)


def _lies_in(uri: str, folder: str) -> bool:
    document, above = _split(uri), _split(folder)
    if document.scheme != above.scheme and not {document.scheme, above.scheme} <= _FILE_LIKE:
        return False
    return document.authority == above.authority and uri_path(uri).startswith(_root(folder) + "/")


def _root(folder: str) -> str:
    return uri_path(folder).rstrip("/")


def display_path(uri: str, folder_uris: Iterable[str]) -> str:
    """The document's path below its workspace folder (the innermost), else its file name. Forward slashes always."""
    path, folder = uri_path(uri), folder_of(uri, folder_uris)
    return PurePosixPath(path).name if folder is None else path[len(_root(folder)) + 1 :]


def local_path(uri: str) -> Path | None:
    """The file on this machine that `uri` names; None for other schemes and for other machines (UNC, remote)."""
    parts = _split(uri)
    if parts.scheme != "file" or parts.authority or parts.path.startswith("//") or "\0" in parts.path:
        return None
    # On Windows the path of `file:///c:/w` is `c:/w`; elsewhere a folder may really be called `/c:`.
    return Path(parts.path[1:] if sys.platform == "win32" and _DRIVE.match(parts.path) else parts.path)
