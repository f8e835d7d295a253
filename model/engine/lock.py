"""One engine per place: an exclusive lock held for life, and the socket that only its holder may put there.

Source: flock(2) (a lock dies with its process, so kill -9 leaves none behind), unix(7), rename(2). The order makes any
number of simultaneous starts safe: lock first (losers leave with status 0), then remove what a dead engine left, bind a
temporary name, listen, rename: a client never sees a socket that does not answer. The lock file itself is never
removed, for a removed lock file can be locked twice. Left out: choosing the paths (lsp_server/engine_client/paths.py).
"""

import contextlib
import os
import secrets
import socket
import stat
import sys
from pathlib import Path

import msgspec

BACKLOG = 1024


class UnsafeFolder(Exception):
    """The runtime folder could be entered by others; the message is one sentence for the user."""


def check_private(folder: Path) -> None:
    """Raises UnsafeFolder unless `folder` is a real folder of this user with mode 0700 (POSIX only)."""
    if sys.platform == "win32":
        return
    try:
        status = folder.lstat()
    except OSError as error:
        raise UnsafeFolder(f"The folder {folder} cannot be read ({error.strerror}).") from None
    private = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o077
    if not private:
        raise UnsafeFolder(f"The folder {folder} must be a folder of this user with mode 0700.")


def take_lock(path: Path) -> int | None:
    """The open lock file (keep it open for life), or None when another engine holds it."""
    no_follow = getattr(os, "O_NOFOLLOW", 0)
    file = os.open(path, os.O_RDWR | os.O_CREAT | no_follow, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def bind_unix(path: Path) -> socket.socket:
    """A listening Unix socket at `path` (mode 0600). The caller must hold the lock. Raises OSError."""
    temporary = path.with_name(path.name + ".tmp")  # one name is enough: only the lock's holder comes here
    temporary.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(temporary))
        os.chmod(temporary, 0o600)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        os.rename(temporary, path)  # also replaces the socket of an engine that was killed
    except OSError:
        listener.close()
        raise
    return listener


class _EndpointFile(msgspec.Struct, frozen=True):
    url: str
    token: str


def bind_loopback(host: str, port: int, endpoint_file: Path) -> tuple[socket.socket, str]:
    """A listening loopback TCP socket and its new token, both told in `endpoint_file` (mode 0600). Raises OSError."""
    listener = socket.create_server((host, port), backlog=BACKLOG)
    listener.setblocking(False)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # listening.py says why
    token = secrets.token_urlsafe(32)
    url = f"http://{host}:{listener.getsockname()[1]}"
    temporary = endpoint_file.with_name(endpoint_file.name + ".tmp")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(msgspec.json.encode(_EndpointFile(url=url, token=token)))
    os.replace(temporary, endpoint_file)
    return listener, token
