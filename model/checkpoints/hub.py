"""A model's repository on the Hugging Face hub: what it holds, and one file of it, fetched or gone on with.

Source: huggingface_hub 2 (`HfApi.model_info` for sizes and hashes, `http_get` for the bytes). Its own
`snapshot_download` starts an interrupted file anew; here what has arrived is kept and gone on with, and each file's
hash is compared at the end. Only tensors, JSON and text are ever asked for: no pickle, no code. HF_ENDPOINT and
HF_TOKEN mean what they mean everywhere. Left out: which files make a model (pull.py), the hub's other transfer
protocol (xet).
"""

import errno
import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

SUFFIXES = (".safetensors", ".json", ".txt")
LIBRARY = "seedling-lsp"
TIMEOUT_S = 20.0
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
"""A file beside the others: no folder, drive or hidden file of any system."""
_HASH_BYTES = 1 << 20

OnBytes = Callable[[int], None]
"""Called with the number of bytes that have just arrived, or are here already; negative: they were thrown away."""


class HubError(Exception):
    """What could not be fetched, and why; the message is one sentence for the user."""

    @property
    def sentence(self) -> str:
        return str(self)


class RemoteFile(msgspec.Struct, frozen=True):
    """`sha256`: of its content, where the hub keeps it apart (large files); else `git_sha1`, git's name for it."""

    name: str
    size_bytes: int
    sha256: str | None = None
    git_sha1: str | None = None


class Repository(msgspec.Struct, frozen=True):
    """A repository at one commit. `files`: those that this program would ever fetch; `others`: the rest's names."""

    name: str
    commit: str
    licence: str
    files: tuple[RemoteFile, ...]
    others: tuple[str, ...] = ()


class Hub:
    """Asks one hub. `endpoint` None: HF_ENDPOINT, else the public one."""

    def __init__(self, endpoint: str | None = None) -> None:
        # Read when it is imported: no telemetry, no look for updates, no terminal output of its own.
        for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_UPDATE_CHECK", "HF_HUB_DISABLE_PROGRESS_BARS"):
            os.environ[name] = "1"
        from importlib.metadata import version

        from huggingface_hub import constants

        self._version = version("seedling-lsp")
        constants.HF_HUB_DISABLE_TELEMETRY = True  # something else may have imported it before
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        self.endpoint = endpoint or constants.ENDPOINT

    def look(self, name: str, revision: str | None) -> Repository:
        """Files with sizes and hashes, commit and licence of a repository. Raises HubError."""
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self.endpoint, library_name=LIBRARY, library_version=self._version)
        with self._in_a_sentence(name, revision):
            info = api.model_info(name, revision=revision or None, files_metadata=True, timeout=TIMEOUT_S)
        if not info.sha:
            raise HubError(f"{self.endpoint} does not say which commit of {name} it has.")
        files, others = [], []
        for found in info.siblings or []:
            if not PLAIN_NAME.fullmatch(found.rfilename) or not found.rfilename.endswith(SUFFIXES):
                others.append(found.rfilename)
                continue
            sha256 = found.lfs.sha256 if found.lfs is not None else None
            files.append(RemoteFile(found.rfilename, found.size or 0, sha256, found.blob_id))
        card: Any = info.card_data or {}
        licence = str(card.get("license_name") or card.get("license") or "")
        return Repository(name, info.sha, licence, tuple(files), tuple(others))

    def fetch(self, repository: Repository, file: RemoteFile, folder: Path, on_bytes: OnBytes) -> None:
        """The file as `folder / file.name`, whole and right; what an earlier try has left is kept. Raises HubError."""
        target = folder / file.name
        if target.is_file() and is_right(target, file):
            on_bytes(file.size_bytes)
            return
        part = folder / f"{file.name}.part"
        with self._in_a_sentence(repository.name, repository.commit):
            self._fetch_part(repository, file, part, on_bytes)
            if not is_right(part, file):
                part.unlink()
                raise HubError(
                    f"What came as {file.name} is not what {repository.name} lists (its hash is another), and was "
                    "removed: pull again, and distrust this source if it happens twice."
                )
            os.replace(part, target)

    def _fetch_part(self, repository: Repository, file: RemoteFile, part: Path, on_bytes: OnBytes) -> None:
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers

        num_there = part.stat().st_size if part.exists() else 0
        if num_there > file.size_bytes:
            part.unlink()
            num_there = 0
        on_bytes(num_there)
        headers = build_hf_headers(library_name=LIBRARY, library_version=self._version)
        with part.open("ab") as stream:
            http_get(
                hf_hub_url(repository.name, file.name, revision=repository.commit, endpoint=self.endpoint),
                stream,
                resume_size=num_there,
                headers={**headers, "Accept-Encoding": "identity"},
                expected_size=file.size_bytes,
                tqdm_class=_bar_of(on_bytes),
            )

    @contextmanager
    def _in_a_sentence(self, name: str, revision: str | None) -> Iterator[None]:
        """What the hub's library raises becomes a HubError."""
        import httpx2
        from huggingface_hub import errors

        goes_on = "what has arrived is kept, and the same command goes on with it"
        try:
            yield
        except errors.OfflineModeIsEnabled:
            raise HubError("HF_HUB_OFFLINE is set, so nothing is fetched: unset it to pull.") from None
        except errors.HFValidationError:
            raise HubError(f"{name!r} is not the name of a repository (OWNER/NAME).") from None
        except errors.GatedRepoError:
            raise HubError(
                f"{name} is for people who have accepted its terms: do so at {self.endpoint}/{name}, then set HF_TOKEN "
                "to a token of yours."
            ) from None
        except errors.RevisionNotFoundError:
            raise HubError(f"{name} at {self.endpoint} has no revision {revision} (any more).") from None
        except errors.RepositoryNotFoundError:
            raise HubError(f"There is no repository {name} at {self.endpoint}, or it is not public.") from None
        except errors.EntryNotFoundError:
            raise HubError(f"A file of {name} that {self.endpoint} lists is not there (any more).") from None
        except errors.HfHubHTTPError as error:
            raise HubError(f"{self.endpoint} answered {error.response.status_code}: try later; {goes_on}.") from None
        except (httpx2.TransportError, httpx2.TooManyRedirects) as error:
            raise HubError(f"{self.endpoint} cannot be reached ({_one_line(error)}): {goes_on}.") from None
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise HubError(f"The disk is full: {goes_on}.") from None
            raise HubError(f"A file of {name} could not be fetched ({_one_line(error)}): {goes_on}.") from None


def is_right(path: Path, file: RemoteFile) -> bool:
    """Whether a file has the size and the hash that its repository lists; without a hash the size must do."""
    if path.stat().st_size != file.size_bytes:
        return False
    if file.sha256 is not None:
        return _digest(path, hashlib.sha256()) == file.sha256
    if file.git_sha1 is not None:
        return _digest(path, hashlib.sha1(b"blob %d\0" % file.size_bytes, usedforsecurity=False)) == file.git_sha1
    return True


def _digest(path: Path, algorithm: Any) -> str:
    with path.open("rb") as stream:
        while piece := stream.read(_HASH_BYTES):
            algorithm.update(piece)
    return algorithm.hexdigest()


def _bar_of(on_bytes: OnBytes) -> Any:
    """What http_get wants for a progress bar: a class whose instances are told of each piece."""

    class Bar:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, num_bytes: float | None = 1) -> None:
            on_bytes(int(num_bytes or 0))

    return Bar


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
