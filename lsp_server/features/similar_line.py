"""A line of the document that begins as the cursor's line does: a first guess for its rest, checked in one pass.

Code repeats itself, and the prompt's window holds a few dozen lines of it; looking through a whole document costs
nothing. Where such a line exists its rest is the true one about every second time (docs/log.md), far more often than
what a small model writes, and the engine keeps of it what the model does not doubt. Source: this project's own design;
drafts from retrieved text after "Inference with Reference" (Yang et al., arXiv 2304.04487). Left out: checking it (the
engine), other files (context/).
"""

import re
from collections.abc import Iterator

from lsp_server.positions import without_end
from lsp_server.snapshot import Snapshot

MIN_BEGUN_CHARS = 4
MAX_LINE_CHARS = 200
MAX_LINES = 20_000
MAX_COMPARED = 200

_WORD = re.compile(r"\w+|[^\w\s]")


def rest_of_similar_line(snapshot: Snapshot) -> str:
    """The rest of the line that begins like the cursor's, with a newline; empty where there is none.

    Of several the one below the line that is most like the one above the cursor, then the nearest. Where too little is
    begun, only lines below an equal line count.
    """
    begun = snapshot.line_before.lstrip()
    if snapshot.line_after.strip() or len(begun) > MAX_LINE_CHARS:
        return ""
    lines, row = snapshot.document.lines, snapshot.cursor.line
    above = _line_above(lines, row)
    if len(begun) >= MIN_BEGUN_CHARS:
        rows = _rows_with(lines, begun, row)
    elif len(above) >= MIN_BEGUN_CHARS:
        rows = _rows_below(lines, above, row)
    else:
        return ""
    similar = [found for found in rows if _goes_on(lines[found].strip(), begun)]
    similar.sort(key=lambda found: abs(found - row))
    if not similar:
        return ""
    words = frozenset(_WORD.findall(above))
    # Of equals `max` takes the first.
    best = max(similar[:MAX_COMPARED], key=lambda found: _likeness(words, _line_above(lines, found)))
    return lines[best].strip()[len(begun) :] + "\n"


def _goes_on(line: str, begun: str) -> bool:
    return len(line) <= MAX_LINE_CHARS and line.startswith(begun) and bool(line[len(begun) :].strip())


def _rows_with(lines: tuple[str, ...], text: str, row: int) -> Iterator[int]:
    """The rows around `row`, but not this one, that hold `text`."""
    first = max(0, row - MAX_LINES // 2)
    for index in range(first, min(len(lines), first + MAX_LINES)):
        if text in lines[index] and index != row:
            yield index


def _rows_below(lines: tuple[str, ...], text: str, row: int) -> Iterator[int]:
    """The first rows that are not blank below those that hold nothing but `text`."""
    for found in _rows_with(lines, text, row):
        if lines[found].strip() == text:
            below = next((index for index in range(found + 1, len(lines)) if lines[index].strip()), None)
            # What stands below the cursor stands below the line above it too, and is no guess.
            if below is not None and not found < row <= below:
                yield below


def _line_above(lines: tuple[str, ...], row: int) -> str:
    """The nearest line above that is not blank, without its indentation."""
    return next((without_end(lines[above]).strip() for above in range(row - 1, -1, -1) if lines[above].strip()), "")


def _likeness(words: frozenset[str], line: str) -> float:
    other = frozenset(_WORD.findall(line[:MAX_LINE_CHARS]))
    return len(words & other) / max(1, len(words | other))
