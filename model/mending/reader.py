"""A checkpoint made ready to judge lines: the network, its tokenizer, one cache, and how the engine would ask.

Left out: the engine itself, which gives the prompt (`PromptOf`), so that a line is judged behind the very prompt it
would be repaired with.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from model.checkpoints.load import Checkpoint
from model.mending.forks import MAX_ROWS, Branch, groups_of, run_group
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass

PromptOf = Callable[[str, str, str, str], Sequence[int]]
"""Ids of the prompt at a place: of the path, the text before, the draft there, and the text after it."""
Encode = Callable[[str], list[int]]
Between = Callable[[], None]


class Interrupted(Exception):
    """Raised by a `between` that wants the work to end."""

    def __init__(self, reason: Literal["cancelled", "deadline"]) -> None:
        super().__init__(reason)
        self.reason: Literal["cancelled", "deadline"] = reason


def _go_on() -> None:
    pass


class Reader:
    """Not thread-safe. num_forwards: passes so far."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        prompt_of: PromptOf,
        encode: Encode,
        between: Between = _go_on,
        breathe: Between = _go_on,
    ) -> None:
        """between: called before each pass; it may raise to end the work, or do other work with the network. breathe:
        the same behind each pass and among what takes time without the network.
        """
        self.checkpoint, self.prompt_of, self.encode = checkpoint, prompt_of, encode
        self.between, self.breathe = between, breathe
        self.network, self.tokenizer = checkpoint.network, checkpoint.tokenizer
        weight = checkpoint.network.head_weight
        capacity = checkpoint.preset.context_tokens + 512
        self.cache = KVCache(checkpoint.preset.network, capacity=capacity, device=weight.device, dtype=weight.dtype)
        self.num_forwards = 0

    def run(self, branches: Sequence[Branch]) -> Iterator[Tensor]:
        """The hidden rows of each branch behind what the cache holds (forks.py)."""
        for group in groups_of(branches):
            self.between()
            self.num_forwards += 1
            hidden = run_group(self.network, self.cache, group)
            self.breathe()
            yield from hidden

    def read(self, ids: Sequence[int], num_wanted: int) -> Tensor | None:
        """Puts `ids` into the emptied cache, in pieces; the clean stream's hidden rows (T, D) of the last ones."""
        self.cache.truncate(0)
        hidden_1TD = None
        num_first = len(ids) - num_wanted
        starts = range(0, num_first, MAX_ROWS) if num_first else [0]
        for start in starts:
            is_last = start + MAX_ROWS >= num_first
            piece = ids[start:] if is_last else ids[start : start + MAX_ROWS]
            self.between()
            self.num_forwards += 1
            with torch.inference_mode():
                rows = Rows(torch.tensor([piece], device=self.cache.k_LBGSK.device))
                want = num_wanted if is_last else 0
                hidden_1TD, _ = one_pass(self.network, self.cache, rows, None, want_clean=want)
                self.cache.advance(len(piece))
            self.breathe()
        return None if hidden_1TD is None else hidden_1TD[0]
