"""A guess at what comes next: what followed the last place in the text that reads like its end.

Source: prompt lookup decoding (Saxena, 2023), after "Inference with Reference" (Yang et al., arXiv 2304.04487). Code
repeats itself, and names are longer than one token. Left out: checking the guess (speculate.py).
"""

from collections import defaultdict
from collections.abc import Iterable

from model.tokenizer import NUM_RESERVED

MAX_MATCH = 6
MAX_PLACES = 64
"""Most recent places of a token that are compared: a newline may stand at hundreds."""


class Lookup:
    """The text so far by token. One per run."""

    def __init__(self, ids: Iterable[int]) -> None:
        self._ids: list[int] = []
        self._places: defaultdict[int, list[int]] = defaultdict(list)
        for token in ids:
            self.add(token)

    def add(self, token: int) -> None:
        self._places[token].append(len(self._ids))
        self._ids.append(token)

    def following(self, num: int) -> list[int]:
        """Text tokens from behind the longest match of the text's end (the last of equally long ones): as many as twice
        its length, at most `num`. The longer the match the longer it goes on (docs/log.md, 2026-11-21).
        """
        if not self._ids or self._ids[-1] < NUM_RESERVED:
            return []
        best, best_length = -1, 0
        for place in reversed(self._places[self._ids[-1]][-1 - MAX_PLACES : -1]):
            length = self._match(place)
            if length > best_length and self._ids[place + 1] >= NUM_RESERVED:
                best, best_length = place, length
                if length == MAX_MATCH:
                    break
        if best < 0:
            return []
        found = self._ids[best + 1 : best + 1 + min(num, 2 * best_length)]
        return found[: next((n for n, token in enumerate(found) if token < NUM_RESERVED), len(found))]

    def _match(self, place: int) -> int:
        """How many tokens up to `place` equal those at the end, at most MAX_MATCH."""
        ids, last = self._ids, len(self._ids) - 1
        length = 1
        while length < MAX_MATCH and length <= place and ids[place - length] == ids[last - length]:
            length += 1
        return length
