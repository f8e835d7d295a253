"""Snippets for training prompts: a few lines of another place of the document or of another document of its project.

They stand between path and suffix, each with its own path line, as a server that looks for related code sends them.
Source: this project's layout (model/prompts.py); repository context in training after RepoFusion (arXiv 2306.10998).
Left out: choosing related code. A random place teaches the layout and that what stands there may be copied or may not
matter.
"""

from random import Random

import numpy as np

from model.prompts import path_ids
from model.training.shards import Shards, project_of

MAX_SNIPPET_TOKENS = 96
MAX_PATH_TOKENS = 24


def draw_snippets(
    shards: Shards, index: int, window: tuple[int, int], num_snippets: int, rng: Random, room: int
) -> list[list[int]]:
    """At most `num_snippets` snippets (path line and whole lines, as ids), none of the document's `window`.

    `window` = token borders in document `index`; `room` = most tokens of one snippet.
    """
    snippets = []
    for _ in range(num_snippets):
        owner, start, end = _source(shards, index, window, rng)
        head = path_ids(shards.tokenizer, shards.paths[owner])[-MAX_PATH_TOKENS:]
        lines = _lines(shards, shards.document(owner)[start:end], rng, min(MAX_SNIPPET_TOKENS, room) - len(head))
        if lines:
            snippets.append([*head, *lines])
    return snippets


def _source(shards: Shards, index: int, window: tuple[int, int], rng: Random) -> tuple[int, int, int]:
    """(document, first token, end) to take a snippet from: half the time the same document, if it has more text."""
    low, high = window
    size = int(shards.offsets[index + 1] - shards.offsets[index])
    around = [(index, 0, low), (index, high, size)]
    others = shards.documents_of[project_of(shards.paths[index])]
    other = rng.choice(others)
    if other == index or (low + size - high > 0 and rng.random() < 0.5):
        return rng.choices(around, (low + 1, size - high + 1))[0]
    return other, 0, int(shards.offsets[other + 1] - shards.offsets[other])


def _lines(shards: Shards, tokens: np.ndarray, rng: Random, room: int) -> list[int]:
    """A random run of whole lines of `tokens`, at most `room` tokens; [] if there is none."""
    if len(tokens) < 8:
        return []
    near = max(0, rng.randrange(len(tokens)) - room)
    stretch = tokens[near : near + 2 * room]
    borders = np.flatnonzero(shards.ends_line[stretch]) + 1
    if near == 0:
        borders = np.concatenate(([0], borders))
    if len(borders) < 2:
        return []
    first = rng.randrange(len(borders) - 1)
    last = int(np.searchsorted(borders, borders[first] + room, side="right")) - 1
    return stretch[borders[first] : borders[last]].tolist()
