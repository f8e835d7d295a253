"""Keys and values of the last few prompts, so that a keystroke re-runs only the tokens that changed.

Source: the idea of a radix prefix cache (SGLang), reduced to what one user at one cursor needs: N whole caches, least
recently used first out, matched by the longest common token prefix. The clean stream is causal, so a row depends on
the tokens up to it alone and may be reused whatever follows. Left out: sharing rows between entries, paging, bounds
by bytes (each entry is bounded by the checkpoint's context).
"""

from collections.abc import Sequence

import torch

from model.network.config import NetworkConfig
from model.network.kv_cache import KVCache

NUM_PROMPTS = 4


class PromptCache:
    """`take` a cache for a prompt, run, `give_back` what it then holds. Owned by one thread."""

    def __init__(
        self,
        config: NetworkConfig,
        *,
        capacity: int,
        device: torch.device | str,
        dtype: torch.dtype,
        num_prompts: int = NUM_PROMPTS,
    ) -> None:
        self._config = config
        self._capacity = capacity
        self._device = device
        self._dtype = dtype
        self._num_prompts = num_prompts
        self._entries: list[tuple[list[int], KVCache]] = []  # least recently used first

    def take(self, prompt_ids: Sequence[int]) -> KVCache:
        """A cache of batch 1 whose rows are those of the longest known prefix of `prompt_ids` (perhaps none).

        An entry that mostly fits is cut and reused; one that shares only its beginning (the same file's header, another
        place) is copied from, because its own document's next keystroke will want the rest.
        """
        best, num_common = -1, 0
        for index, (ids, _) in enumerate(self._entries):
            common = common_prefix(ids, prompt_ids)
            if common > num_common:
                best, num_common = index, common
        if best >= 0 and 2 * num_common >= len(self._entries[best][0]):
            _, cache = self._entries.pop(best)
            cache.truncate(num_common)
            return cache
        # Evicted before copying, unless it is the source: memory never exceeds the bound by more than one entry.
        fresh = KVCache(self._config, capacity=self._capacity, device=self._device, dtype=self._dtype)
        if num_common:
            fresh.write(0, *self._entries[best][1].read(0, 0, num_common))
            self._entries.append(self._entries.pop(best))
        while len(self._entries) >= self._num_prompts:
            self._entries.pop(0)
        return fresh

    def give_back(self, prompt_ids: Sequence[int], cache: KVCache) -> None:
        """Keeps the rows of the prompt (as many as there are) and forgets those of a canvas behind it."""
        num_rows = min(len(prompt_ids), int(cache.lengths_B[0]))
        cache.truncate(num_rows)
        self._entries.append((list(prompt_ids[:num_rows]), cache))


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """The number of equal ids at the beginning."""
    limit = min(len(a), len(b))
    if a[:limit] == b[:limit]:
        return limit
    return next(i for i in range(limit) if a[i] != b[i])
