"""Exact and near duplicates over the whole corpus, in one pass with bounded memory.

Source: MinHash with banded locality-sensitive hashing (Broder 1997; Lee et al., arXiv 2107.06499, §4), both from the
library `rensa`. Exact = the same text up to white space. Near = an estimated Jaccard similarity of the sets of
non-trivial lines of at least `MIN_SIMILARITY`. The first file seen stays, so the result depends on the order, which
the build fixes. Left out: duplicates of parts of files.
"""

from collections.abc import Sequence
from hashlib import blake2b

from rensa import RMinHashDeduplicator  # type: ignore[attr-defined]  # compiled, without stubs

# 32 bands of 4 hashes: two files of similarity 0.75 share a band with a probability above 0.9999.
NUM_HASHES = 128
NUM_BANDS = 32
SEED = 20_251_121
MIN_SIMILARITY = 0.75
MIN_LINES = 8


class SeenFiles:
    """Remembers every file it let pass: 16 bytes for the text and about 2 kB for its signature and its bands."""

    def __init__(self) -> None:
        self._exact: set[bytes] = set()
        self._near = RMinHashDeduplicator(MIN_SIMILARITY, NUM_HASHES, True, NUM_BANDS, SEED)

    def reason(self, text: str, hashes: Sequence[int]) -> str:
        """Why a file is dropped; "" lets it pass and remembers it. `hashes` are the file's `line_hashes`."""
        digest = blake2b(" ".join(text.split()).encode("utf-8", "replace"), digest_size=16).digest()
        if digest in self._exact:
            return "exact duplicate"
        lines = [line.to_bytes(8, "little") for line in sorted(set(hashes))]
        if len(lines) >= MIN_LINES and self._near.add_pairs([(digest.hex(), lines)]) != [True]:
            return "near duplicate"
        self._exact.add(digest)
        return ""
