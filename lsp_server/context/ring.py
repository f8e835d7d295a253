"""Code that was edited or looked at lately: a ring of chunks, the newest first.

Source: llama.vim's ring of extra context (chunks of some lines around the place, picked on pauses, on leaving a file,
on saving; what is nearly the same as a new one makes room for it). Pure functions over a tuple. Left out: when a chunk
is picked (live.py), which chunks help (gather.py).
"""

import msgspec

from lsp_server.snapshot import Document

MAX_CHUNKS = 32
CHUNK_LINES = 48
MAX_CHUNK_CHARS = 6_000
SAME_SHARE = 0.9


class Chunk(msgspec.Struct, frozen=True):
    """The rows from `row` on of a document as they were when it was picked."""

    uri: str
    language: str
    row: int
    lines: tuple[str, ...]

    @property
    def end_row(self) -> int:
        return self.row + len(self.lines)


def chunk_around(document: Document, row: int) -> Chunk | None:
    """The lines around `row`; None where there is nothing but blank ones."""
    first = max(0, min(row - CHUNK_LINES // 2, len(document.lines) - CHUNK_LINES))
    lines = document.lines[first : first + CHUNK_LINES]
    while lines and sum(map(len, lines)) > MAX_CHUNK_CHARS:
        # The end that is farther from the place goes first.
        if row - first > len(lines) // 2:
            first, lines = first + 1, lines[1:]
        else:
            lines = lines[:-1]
    return Chunk(document.uri, document.language, first, lines) if any(map(str.strip, lines)) else None


def with_chunk(ring: tuple[Chunk, ...], chunk: Chunk) -> tuple[Chunk, ...]:
    """The ring with `chunk` as its newest; older versions of it and what is nearly the same are gone."""
    kept = (old for old in ring if not _same_place(old, chunk) and similarity(old.lines, chunk.lines) <= SAME_SHARE)
    return (chunk, *kept)[:MAX_CHUNKS]


def _same_place(old: Chunk, new: Chunk) -> bool:
    overlap = min(old.end_row, new.end_row) - max(old.row, new.row)
    return old.uri == new.uri and 2 * overlap >= min(len(old.lines), len(new.lines))


def similarity(first: tuple[str, ...], second: tuple[str, ...]) -> float:
    """The Jaccard similarity of two texts as sets of lines, without blank ones and indentation."""
    one, other = ({line.strip() for line in lines} - {""} for lines in (first, second))
    return len(one & other) / len(one | other) if one or other else 1.0
