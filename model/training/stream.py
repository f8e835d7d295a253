"""A corpus that is larger than memory: shard folders read one after the other, of which few are open at a time.

A folder with parts.json ({"parts": [names]}) holds shard folders beside its own tokenizer.json and held-out split
(`seedling corpus split` makes one); any other shard folder is its own only part. Documents were dealt out to the parts
by chance, so one part at a time is as good as all. A part serves as many micro batches as it has room for once, then
the next one of the epoch's order does. Which part micro batch n is drawn from follows from n alone: the place in the
corpus needs no state, and is the same for any number of processes. Left out: shards behind a network address.
"""

import json
from bisect import bisect_right
from collections import OrderedDict
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from random import Random

import msgspec

from model.tokenizer import Tokenizer
from model.training.shards import ShardError, Shards, open_shards

PARTS_FILE = "parts.json"
NUM_OPEN = 2
"""Workers that make batches ahead may be a little behind or before one another."""


class Parts(msgspec.Struct, frozen=True):
    """What parts.json holds: folders, by name."""

    parts: list[str]


class Stream:
    """Micro batches' shards. `batch_tokens` = clean places of a micro batch."""

    def __init__(self, folder: Path, *, seed: int, batch_tokens: int) -> None:
        """Raises ShardError."""
        self._seed = seed
        self._open: OrderedDict[Path, Shards] = OrderedDict()
        self._folders = _folders(folder)
        first = self._shards(self._folders[0])
        self.tokenizer: Tokenizer = first.tokenizer
        self._num_tokens = [_num_tokens(part, first.tokenizer.sha256) for part in self._folders]
        self._num_batches = [-(-tokens // batch_tokens) for tokens in self._num_tokens]

    @property
    def num_parts(self) -> int:
        return len(self._folders)

    @cached_property
    def num_tokens(self) -> int:
        return sum(self._num_tokens)

    def part_at(self, number: int) -> int:
        """The part that micro batch `number` is drawn from."""
        if self.num_parts == 1:
            return 0
        epoch, place = divmod(number, sum(self._num_batches))
        order = list(range(self.num_parts))
        Random(f"parts/{self._seed}/{epoch}").shuffle(order)
        ends = list(accumulate(self._num_batches[part] for part in order))
        return order[bisect_right(ends, place)]

    def at(self, number: int) -> Shards:
        """The shards that micro batch `number` is drawn from. Raises ShardError."""
        return self._shards(self._folders[self.part_at(number)])

    def _shards(self, folder: Path) -> Shards:
        shards = self._open.pop(folder, None) or open_shards(folder)
        self._open[folder] = shards
        while len(self._open) > NUM_OPEN:
            self._open.popitem(last=False)
        return shards


def _folders(folder: Path) -> list[Path]:
    path = Path(folder) / PARTS_FILE
    if not path.is_file():
        return [Path(folder)]
    try:
        names = msgspec.json.decode(path.read_bytes(), type=Parts).parts
    except (OSError, msgspec.DecodeError) as error:
        raise ShardError(f"{path} is damaged ({error})") from None
    if not names or any(Path(name).name != name for name in names):
        raise ShardError(f"{path} must name the folders beside it that hold the shards")
    return [path.parent / name for name in names]


def _num_tokens(folder: Path, tokenizer_sha256: str) -> int:
    """From the sizes alone: a corpus of thousands of parts is opened in a second."""
    try:
        meta = json.loads((folder / "meta.json").read_text())
        size_bytes = (folder / "train.bin").stat().st_size
    except (OSError, ValueError) as error:
        raise ShardError(f"the shard folder {folder} is incomplete or damaged ({error})") from None
    if not isinstance(meta, dict) or meta.get("tokenizer_sha256", tokenizer_sha256) != tokenizer_sha256:
        raise ShardError(f"the shards in {folder} were written with another tokenizer than those beside them")
    if not size_bytes:
        raise ShardError(f"the shards in {folder} hold no text")
    return size_bytes // 2
