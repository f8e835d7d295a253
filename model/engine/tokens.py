"""Who may use an engine that listens for others: a file of tokens, one a line, `NAME TOKEN`.

Source: the project's rules on listening. A token is a password for machines, so a plain SHA-256 protects it (it is far
too long to be guessed); the file may hold `sha256:` with 64 hex digits in its place, and memory holds nothing else. A
name stands on several lines while its token is being changed. Left out: making tokens (docs/deploy.md), limits
(limits.py).
"""

import hashlib
import hmac
import os
import re
import stat
import sys
from pathlib import Path

import msgspec

MIN_TOKEN_CHARACTERS = 24
MAX_FILE_BYTES = 2**20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_TOKEN = re.compile(rf"[!-~]{{{MIN_TOKEN_CHARACTERS},512}}")
_HASHED = re.compile(r"sha256:([0-9a-f]{64})")


class TokenFileError(Exception):
    """The token file cannot be used; the message is one sentence that quotes no token."""


class Tokens(msgspec.Struct, frozen=True):
    """Pairs of a client's name and the SHA-256 of its token."""

    pairs: tuple[tuple[str, bytes], ...]

    def name_of(self, given: bytes) -> str | None:
        """Whose token this is. Every pair is compared in full, so the time tells nothing."""
        digest = hashlib.sha256(given).digest()
        found = None
        for name, known in self.pairs:
            if hmac.compare_digest(digest, known):
                found = name
        return found


def single_token(token: str) -> Tokens:
    """For an engine with one user, who needs no name."""
    return Tokens((("", hashlib.sha256(token.encode()).digest()),))


def read_tokens(path: Path) -> Tokens:
    """The tokens in `path`, which nobody but its owner may read. Raises TokenFileError."""
    try:
        check_secret(path)
        text = path.read_bytes()[: MAX_FILE_BYTES + 1].decode("ascii")
    except OSError as error:
        raise TokenFileError(f"The token file {path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise TokenFileError(f"The token file {path} holds other characters than ASCII.") from None
    if len(text) > MAX_FILE_BYTES:
        raise TokenFileError(f"The token file {path} is larger than {MAX_FILE_BYTES // 2**20} MiB.")
    pairs: dict[bytes, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        digest = _digest(words)
        if digest is None:
            raise TokenFileError(
                f"Line {number} of the token file {path} is not NAME TOKEN, with a token of at least "
                f"{MIN_TOKEN_CHARACTERS} characters or sha256: and 64 hex digits."
            )
        if digest in pairs:
            raise TokenFileError(f"Line {number} of the token file {path} holds the token of another line.")
        pairs[digest] = words[0]
    if not pairs:
        raise TokenFileError(f"The token file {path} holds no token.")
    return Tokens(tuple((name, digest) for digest, name in pairs.items()))


def check_secret(path: Path) -> None:
    """Raises TokenFileError unless the file is regular, ours or root's, and closed to everybody else."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise TokenFileError(f"The token file {path} is not a regular file.")
    if sys.platform == "win32" or _is_credential(path):
        return
    if status.st_uid not in (0, os.getuid()):
        raise TokenFileError(f"The token file {path} belongs to another user.")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise TokenFileError(f"Other users may open the token file {path}: run chmod 600 on it.")


def _digest(words: list[str]) -> bytes | None:
    if len(words) != 2 or not _NAME.fullmatch(words[0]):
        return None
    if hashed := _HASHED.fullmatch(words[1]):
        return bytes.fromhex(hashed[1])
    return hashlib.sha256(words[1].encode()).digest() if _TOKEN.fullmatch(words[1]) else None


def _is_credential(path: Path) -> bool:
    """Is it one of systemd's credentials? Only the service can enter their folder, but an access list shows there as
    a group's right to read."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return folder is not None and Path(folder) in path.parents
