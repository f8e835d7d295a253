"""The tensors of a folder's safetensors files by name: one file, or several with or without their index.

Source: the safetensors format (the first 8 bytes are the length of a JSON header) and the index that Hugging Face
writes beside the parts of a large checkpoint (`weight_map`: name → file). Left out: any other format; pickles are never
opened.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from model.checkpoints.error import CheckpointError

INDEX_FILE = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100_000_000  # as the library's own limit


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies, and what its header says of it."""

    path: Path
    shape: tuple[int, ...]
    dtype: str
    size_bytes: int


class WeightFiles(Mapping[str, Stored]):
    """Headers are read at once, tensors one at a time (`take`). Raises CheckpointError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stored = {name: stored for path in _files(folder) for name, stored in read_header(path).items()}
        self._open: tuple[Path, Any] | None = None

    def __getitem__(self, name: str) -> Stored:
        return self._stored[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def take(self, name: str) -> Tensor:
        """A tensor as it is stored. Raises CheckpointError."""
        if name not in self._stored:
            raise CheckpointError(f"The model in {self.folder} lacks the weight {name}.")
        path = self._stored[name].path
        try:
            # A file stays open until another is wanted: opening reads all names, and a mixture has thousands.
            if self._open is None or self._open[0] != path:
                self._open = path, safe_open(path, "pt")
            return self._open[1].get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} is not a readable safetensors file ({_one_line(error)}).") from None


def read_header(path: Path) -> dict[str, Stored]:
    """What a file holds, without reading the tensors. Raises CheckpointError, for a file that was cut short too."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= MAX_HEADER_BYTES:
                raise ValueError("its header has no length")
            header: dict[str, Any] = json.loads(file.read(length))
        found = {}
        end = 0
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            first, last = entry["data_offsets"]
            end = max(end, last)
            found[name] = Stored(path, tuple(entry["shape"]), entry["dtype"], last - first)
        size_bytes = path.stat().st_size
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file ({_one_line(error)}).") from None
    if size_bytes != 8 + length + end:
        raise CheckpointError(f"{path} has {size_bytes} bytes, but should have {8 + length + end}: it is not whole.")
    return found


def _files(folder: Path) -> list[Path]:
    index = folder / INDEX_FILE
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
            paths = [folder / name for name in names if Path(name).name == name]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise CheckpointError(f"{index} is not the index of a model's weights.") from None
        missing = next((path for path in paths if not path.is_file()), None)
        if missing is not None or not paths:
            raise CheckpointError(f"The weights in {folder} are not whole: {missing or 'every file'} is missing.")
        return paths
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise CheckpointError(f"There are no weights (*.safetensors) in {folder}.")
    return paths


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
