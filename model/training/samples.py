"""Training samples: a document, or a document with a hole, as one sequence of clean tokens that ends in a canvas.

35 % documents (the whole text is canvas), 65 % infill; half of the holes are syntax nodes of 2..256 tokens, half
random spans (length log-uniform 2..256, half of them inside one line; the ends of half of the spans fall on
characters, the others on token borders). <suf> starts 0..8 lines below the hole, <cur> 0..12 lines above it, as an
editor's anchors do. 2 % of the infill samples have an empty hole, so that "nothing is missing" is learned; 10 % of
those with room begin with snippets (snippets.py). Source: this project's design; FIM after Bavarian et al. (arXiv
2207.14255). Left out: rewrites (rewrites.py), noisy views and packing (packing.py).

Stored documents are tokenized line by line, so only the lines that a cut breaks are tokenized again.
"""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np

from model.prompts import MAX_NEAR_TOKENS, document_ids, layout_ids, path_ids
from model.syntax.spans import node_spans
from model.tokenizer import EOM, LAYOUT_IDS
from model.training.shards import Shards
from model.training.snippets import draw_snippets

DOCUMENT_SHARE = 0.35
MAX_HOLE_TOKENS = 256
WHOLE_LINE_SHARE = 0.5  # of the holes inside one line: what completion is asked for most
MAX_TAIL_LINES = 8
MAX_TAIL_TOKENS = 64
MAX_NEAR_LINES = 12
EMPTY_SHARE = 0.02
SNIPPET_SHARE = 0.1
MIN_SNIPPET_ROOM = 256
MAX_PATH_TOKENS = 48
NAMELESS_SHARE = 0.1  # evaluation prompts and scratch buffers have no path
NEARBY_LINES = 200
_LAYOUT = frozenset(LAYOUT_IDS)


@dataclass(frozen=True)
class Sample:
    """`ids` = prompt and canvas (<eom> included where the text ends); the canvas is ids[canvas_start:].

    `path_end` = first id behind the path line and the snippets (no next-token loss up to there). `kind` is document,
    syntax, span, empty or a kind of rewrite. `lines` = token lines of the same file around the hole (for drafts),
    `line_start` = the canvas begins a line, `old` = the code that a rewrite starts from, `silent` = ids [start, end)
    without next-token loss.
    """

    ids: list[int]
    canvas_start: int
    path_end: int
    kind: str
    lines: tuple[tuple[int, ...], ...] = ()
    line_start: bool = True
    old: tuple[int, ...] = ()
    silent: tuple[int, int] = (0, 0)

    def has_text_label(self, position: int) -> bool:
        """Whether the clean stream has a next-token loss at `position` (its label is text that is to be learned)."""
        label = position + 1
        if self.silent[0] <= label < self.silent[1]:
            return False
        return self.path_end <= label < len(self.ids) and self.ids[label] not in _LAYOUT


def draw_sample(shards: Shards, rng: Random, max_tokens: int, *, with_lines: bool = False) -> Sample:
    """A random sample of at most `max_tokens` ids (at least 64). `with_lines` keeps the neighbour lines for drafts."""
    assert max_tokens >= 64, "a sample needs room for its layout"
    while True:
        index, place = draw_place(shards, rng)
        document = shards.document(index)
        if len(document) < 8:
            continue
        head = draw_head(shards, index, rng)
        if rng.random() >= DOCUMENT_SHARE:
            sample = _infill(shards, index, place, head, rng, max_tokens, with_lines)
            if sample is not None:
                return sample
        return _document(shards, document, place, head, max_tokens, with_lines)


def draw_place(shards: Shards, rng: Random) -> tuple[int, int]:
    """A random document, longer ones more often, and a token index in it."""
    place = rng.randrange(len(shards.tokens))
    index = int(np.searchsorted(shards.offsets, place, side="right")) - 1
    return index, place - int(shards.offsets[index])


def draw_head(shards: Shards, index: int, rng: Random) -> list[int]:
    """The ids of a document's path line (its end, as the engine cuts it), one time in ten of a nameless one."""
    path = "" if rng.random() < NAMELESS_SHARE else shards.paths[index]
    return path_ids(shards.tokenizer, path)[-MAX_PATH_TOKENS:]


def _document(
    shards: Shards, document: np.ndarray, place: int, head: list[int], max_tokens: int, with_lines: bool
) -> Sample:
    ids = document_ids(head)
    canvas_start = len(ids)
    room = max_tokens - canvas_start - 1  # one for <eom>
    start = 0
    if len(document) > room:
        breaks = np.flatnonzero(shards.ends_line[document])
        before = int(np.searchsorted(breaks, place))
        start = int(breaks[before - 1]) + 1 if before else 0
        # Near the end of the document the window moves up to a line start that still fills it.
        if len(document) - start < room:
            first = int(np.searchsorted(breaks, len(document) - room - 1))
            start = min(start, int(breaks[first]) + 1) if first < len(breaks) else start
    text = document[start : start + room].tolist()
    ids += text
    if start + room >= len(document):
        ids.append(EOM)
    lines = lines_around(shards, document, start, start + len(text)) if with_lines else ()
    return Sample(ids, canvas_start, canvas_start, "document", lines)


def _infill(
    shards: Shards,
    index: int,
    place: int,
    head: list[int],
    rng: Random,
    max_tokens: int,
    with_lines: bool,
) -> Sample | None:
    """A hole in a window of whole lines; None if the place has no usable window (one endless line, an empty text)."""
    document = shards.document(index)
    room = max_tokens - len(head) - 8 - 12  # layout and <eom>; slack for what a cut line costs more when cut
    num_snippets = rng.randint(1, 2) if max_tokens >= MIN_SNIPPET_ROOM and rng.random() < SNIPPET_SHARE else 0
    snippet_room = max_tokens // 5
    low, high = draw_window(shards, document, place, room - num_snippets * snippet_room, rng)
    if high - low < 8:
        return None
    snippets = draw_snippets(shards, index, (low, high), num_snippets, rng, snippet_room - 1)
    window = document[low:high].tolist()
    ends = np.cumsum(shards.num_bytes[document[low:high]])
    starts = np.concatenate(([0], ends[:-1])).tolist()
    text = shards.tokenizer.decode_bytes(window)
    breaks = np.flatnonzero(shards.ends_line[document[low:high]]).tolist()
    hole, on_tokens, kind = _draw_hole(text, starts, breaks, rng)
    if hole is None:
        return None
    parts = _cut(shards, window, text, starts, breaks, hole, on_tokens, rng)
    if parts is None:
        return None
    suffix, prefix, tail, line, canvas, begins_line = parts
    path_end = 2 + len(head) + sum(1 + len(snippet) for snippet in snippets)
    room = max_tokens - path_end - 5
    excess = len(suffix) + len(prefix) + len(tail) + len(line) + len(canvas) - room
    if excess > 0:
        prefix, excess = drop_lines(shards, prefix, excess)
        if excess > 0:
            suffix = suffix[: max(0, len(suffix) - excess)]
            if len(suffix) + len(prefix) + len(tail) + len(line) + len(canvas) > room:
                return None
    prompt = layout_ids(path=head, snippets=snippets, suffix=suffix, prefix=prefix, tail=tail, line=line)
    lines = lines_around(shards, document, low, high) if with_lines else ()
    return Sample([*prompt, *canvas, EOM], len(prompt), path_end, kind, lines, line_start=begins_line)


def _draw_hole(
    text: bytes, starts: list[int], breaks: list[int], rng: Random
) -> tuple[tuple[int, int] | None, bool, str]:
    """Bytes of the hole, whether its ends are token borders, and its kind."""
    if rng.random() < EMPTY_SHARE:
        return *_empty_hole(text, starts, breaks, rng), "empty"
    hole = _syntax_hole(text, starts, rng) if rng.random() < 0.5 else None
    if hole is not None:
        return hole, False, "syntax"
    return *_span_hole(text, starts, breaks, len(starts), rng), "span"


def _empty_hole(text: bytes, starts: list[int], breaks: list[int], rng: Random) -> tuple[tuple[int, int], bool]:
    """A place where nothing is missing: a line's end, a line's start, or anywhere, in equal parts."""
    form = rng.randrange(3)
    if form == 2 or not breaks:
        offset = _char_border(text, rng.randrange(len(text)))
        return (offset, offset), False
    newline = rng.choice(breaks)
    offset = starts[newline]
    if form == 1:
        offset = starts[newline + 1] if newline + 1 < len(starts) else 0
    return (offset, offset), True


def draw_window(shards: Shards, document: np.ndarray, place: int, room: int, rng: Random) -> tuple[int, int]:
    """Token borders of whole lines around `place`, at most `room` tokens."""
    if len(document) <= room:
        return 0, len(document)
    near = max(0, place - room)
    borders = np.flatnonzero(shards.ends_line[document[near : place + 2 * room]]) + near + 1
    if near == 0:
        borders = np.concatenate(([0], borders))
    if place + 2 * room >= len(document) and (not len(borders) or borders[-1] != len(document)):
        borders = np.append(borders, len(document))
    low = max(0, min(place - int(room * rng.random()), len(document) - room))
    first = int(np.searchsorted(borders, low))
    if first >= len(borders):
        return 0, 0
    last = int(np.searchsorted(borders, borders[first] + room, side="right")) - 1
    return int(borders[first]), int(borders[last])


def _syntax_hole(text: bytes, starts: list[int], rng: Random) -> tuple[int, int] | None:
    """Bytes of a random node of 2..256 tokens; the kinds (statement, expression, block, arguments) have equal
    chances."""
    source = text.decode("utf-8", errors="replace")
    spans = node_spans(source, "python")
    ascii_only = len(source) == len(text)
    byte_of = None if ascii_only else _byte_offsets(source)
    by_kind: dict[str, list[tuple[int, int]]] = {}
    for span in spans:
        start, end = (span.start, span.end) if byte_of is None else (byte_of[span.start], byte_of[span.end])
        num_tokens = bisect.bisect_left(starts, end) - bisect.bisect_right(starts, start) + 1
        if 2 <= num_tokens <= MAX_HOLE_TOKENS:
            by_kind.setdefault(span.kind, []).append((start, end))
    if not by_kind:
        return None
    return rng.choice(by_kind[rng.choice(sorted(by_kind))])


def _byte_offsets(source: str) -> list[int]:
    offsets = [0]
    for char in source:
        offsets.append(offsets[-1] + len(char.encode("utf-8")))
    return offsets


def _span_hole(
    text: bytes, starts: list[int], breaks: list[int], num_tokens: int, rng: Random
) -> tuple[tuple[int, int] | None, bool]:
    """Bytes of a random span and whether its ends are token borders."""
    on_tokens = rng.random() < 0.5
    length = int(math.exp(rng.uniform(math.log(2), math.log(MAX_HOLE_TOKENS + 1))))
    if rng.random() < 0.5:  # inside one line
        lines = [(a + 1, b) for a, b in pairwise([-1, *(breaks or [num_tokens])]) if b - a > 2]
        if not lines:
            return None, on_tokens
        first, last = rng.choice(lines)  # two tokens or more; the newline itself stays
        if rng.random() < WHOLE_LINE_SHARE:
            start_byte, end_byte = starts[first], starts[last] if last < num_tokens else len(text)
            if rng.random() < 0.5:  # behind the indentation, where an editor's cursor stands on a new line
                start_byte = end_byte - len(text[start_byte:end_byte].lstrip(b" \t"))
            return ((start_byte, end_byte) if end_byte > start_byte else None), True
        begin = rng.randrange(first, last - 1)
        # Completions mostly run to the end of the line.
        end = last if rng.random() < 0.5 else min(last, begin + length)
    else:
        begin = rng.randrange(0, max(1, num_tokens - length))
        end = min(num_tokens, begin + length)
    border = [*starts, len(text)]
    start_byte, end_byte = border[begin], border[end]
    if not on_tokens:
        start_byte = _char_border(text, rng.randrange(border[begin], border[begin + 1]))
        if end < num_tokens and text[border[end] : border[end] + 1] != b"\n":
            end_byte = _char_border(text, rng.randrange(border[end], border[end + 1]))
    return (start_byte, end_byte) if end_byte > start_byte else None, on_tokens


def _char_border(text: bytes, offset: int) -> int:
    while 0 < offset < len(text) and text[offset] & 0xC0 == 0x80:
        offset -= 1
    return offset


def _cut(
    shards: Shards,
    window: list[int],
    text: bytes,
    starts: list[int],
    breaks: list[int],
    hole: tuple[int, int],
    on_tokens: bool,
    rng: Random,
) -> tuple[list[int], list[int], list[int], list[int], list[int], bool] | None:
    """(suffix, prefix, tail, line, canvas, whether the canvas begins a line) of a window with a hole [start, end) in
    bytes, as ids; `line` has the lines from the upper anchor on. None if a cut falls into a character."""
    start, end = hole
    borders = [0] + [i + 1 for i in breaks]  # token indices of line starts
    if borders[-1] != len(window):
        borders.append(len(window))
    border_bytes = [starts[i] if i < len(window) else len(text) for i in borders]
    row = bisect.bisect_right(border_bytes, start) - 1
    # First line border at or behind the hole's end; what stands behind an empty hole is the rest of its line.
    after = bisect.bisect_left(border_bytes, end) if start < end else bisect.bisect_right(border_bytes, end)
    if after >= len(borders):
        return None
    near = max(0, row - rng.randint(0, MAX_NEAR_LINES))
    while near < row and borders[row] - borders[near] > MAX_NEAR_TOKENS:
        near += 1
    prefix, above = window[: borders[near]], window[borders[near] : borders[row]]
    anchor = min(after + rng.randint(0, MAX_TAIL_LINES), len(borders) - 1)
    while anchor > after and borders[anchor] - borders[after] > MAX_TAIL_TOKENS:
        anchor -= 1
    if on_tokens:
        first, last = bisect.bisect_left(starts, start), bisect.bisect_left(starts, end)
        line, canvas, rest = window[borders[row] : first], window[first:last], window[last : borders[after]]
    else:
        encode = shards.tokenizer.encode
        try:
            line = encode(text[border_bytes[row] : start].decode())
            canvas = encode(text[start:end].decode())
            rest = encode(text[end : border_bytes[after]].decode())
        except UnicodeDecodeError:  # the corpus cut a character; there is no text to train on here
            return None
    if not canvas and start < end:
        return None
    tail = rest + window[borders[after] : borders[anchor]]
    return window[borders[anchor] :], prefix, tail, above + line, canvas, not line


def drop_lines(shards: Shards, prefix: list[int], excess: int) -> tuple[list[int], int]:
    """The prefix without its first lines, so that `excess` tokens go; and what is still too much."""
    if len(prefix) <= excess:
        return [], excess - len(prefix)
    cut = excess
    while cut < len(prefix) and not shards.ends_line[prefix[cut - 1]]:
        cut += 1
    return prefix[cut:], 0


def lines_around(shards: Shards, document: np.ndarray, low: int, high: int) -> tuple[tuple[int, ...], ...]:
    """Token lines from 200 lines above the window to 200 below."""
    breaks = np.flatnonzero(shards.ends_line[document])
    first = max(0, int(np.searchsorted(breaks, low)) - NEARBY_LINES)
    last = int(np.searchsorted(breaks, high)) + NEARBY_LINES
    borders: Sequence[int] = [int(breaks[first - 1]) + 1 if first else 0, *(breaks[first:last] + 1).tolist()]
    return tuple(tuple(document[a:b].tolist()) for a, b in pairwise(borders) if 3 <= b - a <= 64)
