"""Exact and near duplicates over the whole corpus, in one pass with bounded memory.

Source: MinHash with banded locality-sensitive hashing (Broder 1997; Lee et al., arXiv 2107.06499, §4). Exact = the
same text up to white space. Near = an estimated Jaccard similarity of the sets of non-trivial lines of at least
`MIN_SIMILARITY`. The first file seen stays, so the result depends on the order, which the build fixes. Left out:
duplicates of parts of files.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

NUM_HASHES = 64
NUM_BANDS = 16
MIN_SIMILARITY = 0.75
MIN_LINES = 8

_ROWS = NUM_HASHES // NUM_BANDS
_random = np.random.default_rng(20_251_121)
_MULTIPLIERS = _random.integers(1, 2**63, NUM_HASHES, dtype=np.uint64) | np.uint64(1)
_OFFSETS = _random.integers(0, 2**63, NUM_HASHES, dtype=np.uint64)


class SeenFiles:
    """Remembers every file it let pass: 16 bytes for the text and about 1 kB for its signature."""

    def __init__(self) -> None:
        self._exact: set[bytes] = set()
        self._bands: dict[bytes, list[int]] = {}
        self._signatures: list[np.ndarray] = []

    def reason(self, text: str, hashes: Sequence[int]) -> str:
        """Why a file is dropped; "" lets it pass and remembers it. `hashes` are the file's `line_hashes`."""
        digest = blake2b(" ".join(text.split()).encode("utf-8", "replace"), digest_size=16).digest()
        if digest in self._exact:
            return "exact duplicate"
        lines = np.array(sorted(set(hashes)), dtype=np.uint64)
        if len(lines) >= MIN_LINES:
            signature = _signature(lines)
            bands = [bytes([band]) + row.tobytes() for band, row in enumerate(signature.reshape(NUM_BANDS, _ROWS))]
            candidates = {number for band in bands for number in self._bands.get(band, ())}
            if any((self._signatures[number] == signature).mean() >= MIN_SIMILARITY for number in candidates):
                return "near duplicate"
            for band in bands:
                self._bands.setdefault(band, []).append(len(self._signatures))
            self._signatures.append(signature)
        self._exact.add(digest)
        return ""


def _signature(lines: np.ndarray) -> np.ndarray:
    """uint32 (NUM_HASHES): the least value of each hash over the lines."""
    mixed = lines[:, None] * _MULTIPLIERS + _OFFSETS
    return (mixed >> np.uint64(32)).min(axis=0).astype(np.uint32)
