"""What followed the lines that read most like those above the cursor: the one snippet of a small context.

Source: this project's own design; windows of similar code after Copilot's (Jaccard over identifiers), rare names
counting more. Left out: whose lines may be quoted (texts.py), and several snippets (gather.py).
"""

import math
import re
from collections.abc import Iterable

import msgspec

QUERY_LINES = 4
FOREIGN_WEIGHT = 0.35
"""Of a name that only the other window holds: about what a name weighs on average."""
MAX_LINE_CHARS = 400

_NAME = re.compile(r"[^\W\d]\w+")


class Match(msgspec.Struct, frozen=True):
    """The row with which a window of similar lines ends; `score` between 0 and 1."""

    row: int
    score: float


def query_names(lines: tuple[str, ...], row: int) -> frozenset[str]:
    """The names of the cursor's line, as far as it goes, and of those right above it."""
    return frozenset().union(*map(names_of, lines[max(0, row - QUERY_LINES + 1) : row + 1]))


def names_of(line: str) -> frozenset[str]:
    """The names in a line, none where nobody has written it."""
    return frozenset(_NAME.findall(line)) if len(line) <= MAX_LINE_CHARS else frozenset()


def weights_of(query: frozenset[str], texts: Iterable[tuple[frozenset[str], ...]]) -> dict[str, float]:
    """How much each name of the query says: the fewer lines hold it, the more."""
    counts = dict.fromkeys(query, 0)
    for names in texts:
        for of_line in names:
            for name in of_line & query:
                counts[name] += 1
    return {name: 1 / (1 + math.log(1 + count)) for name, count in counts.items()}


def best_matches(names: tuple[frozenset[str], ...], weights: dict[str, float], num_matches: int) -> list[Match]:
    """The rows below which a text goes on as the cursor's might; `names` are those of its lines."""
    whole, query = sum(weights.values()), weights.keys()
    matches = []
    for row, of_line in enumerate(names):
        if of_line.isdisjoint(query):
            continue  # its window ends with a row that says nothing
        window = frozenset().union(*names[max(0, row - QUERY_LINES + 1) : row + 1])
        shared = window & query
        foreign = (len(window) - len(shared)) * FOREIGN_WEIGHT
        matches.append(Match(row, sum(weights[name] for name in shared) / (whole + foreign)))
    matches.sort(key=lambda match: (-match.score, match.row))
    return matches[:num_matches]
