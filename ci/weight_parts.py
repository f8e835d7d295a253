"""A checkpoint folder as one tar file cut into parts of limited size, with a hash list; and the way back.

Plain `cat` and `tar` join the parts, so nothing of this is needed where they arrive. The tar is the same for the same
files. Standard library only. Left out: compression (weights hardly compress).
"""

import hashlib
import tarfile
from collections.abc import Sequence
from pathlib import Path

TAR_NAME = "weights.tar"
HASHES_NAME = "SHA256SUMS"
JOIN = f"sha256sum -c --ignore-missing {HASHES_NAME} && mkdir -p weights && cat {TAR_NAME}.[0-9]* | tar -x -C weights"
_CHUNK_BYTES = 1 << 20


def write_parts(files: Sequence[Path], out: Path, max_bytes: int) -> list[str]:
    """Writes the files as OUT/weights.tar.000, .001, … of at most `max_bytes` each, and SHA256SUMS; their names.

    SHA256SUMS lists every part and, last, the joined tar file. Parts of an earlier call are replaced. OSError if the
    folder cannot be written.
    """
    assert max_bytes > 0
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob(f"{TAR_NAME}*"):
        old.unlink()
    joined = out / f"{TAR_NAME}.part"
    _write_tar(files, joined)
    whole = hashlib.sha256()
    lines: list[str] = []
    names: list[str] = []
    with joined.open("rb") as tar:
        while tar.peek(1):
            name = f"{TAR_NAME}.{len(names):03}"
            lines.append(f"{_copy(tar, out / name, max_bytes, whole)}  {name}\n")
            names.append(name)
    joined.unlink()
    lines.append(f"{whole.hexdigest()}  {TAR_NAME}\n")
    (out / HASHES_NAME).write_text("".join(lines), encoding="ascii")
    return [*names, HASHES_NAME]


def _write_tar(files: Sequence[Path], path: Path) -> None:
    with tarfile.open(path, "w") as tar:
        for file in files:
            member = tarfile.TarInfo(file.name)
            member.size = file.stat().st_size
            member.mode = 0o644
            with file.open("rb") as data:
                tar.addfile(member, data)


def _copy(source, target: Path, num_bytes: int, whole) -> str:
    """Moves at most `num_bytes` bytes on into a new file; its hash. `whole` takes the same bytes in."""
    part = hashlib.sha256()
    with target.open("wb") as file:
        while num_bytes and (chunk := source.read(min(_CHUNK_BYTES, num_bytes))):
            file.write(chunk)
            part.update(chunk)
            whole.update(chunk)
            num_bytes -= len(chunk)
    return part.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
