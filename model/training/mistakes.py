"""Where wrong tokens come from in the edit stage: neighbours, slips of syntax, swapped arguments, look-alike lines.

A slip works on one token's bytes (a bracket or colon dropped, an operator exchanged, `self` dropped, a digit off by
one), so a slip that spans two tokens is not made; arguments are swapped only where commas and brackets are tokens of
their own. The model's own mistakes come from the trainer. Source: the kinds named in this project's design; Seed
Diffusion (arXiv 2508.02193) uses random substitutions, insertions and deletions. Left out: mutations that need a
parse tree.
"""

from collections.abc import Callable, Sequence
from random import Random

from model.diffusion.corruption import MistakeSources
from model.tokenizer import NUM_RESERVED, Tokenizer
from model.training.samples import Sample

_SWAPS = (
    (b"==", b"!="),
    (b"!=", b"=="),
    (b"<=", b"<"),
    (b">=", b">"),
    (b"<", b"<="),
    (b">", b">="),
    (b"+", b"-"),
    (b"-", b"+"),
    (b"*", b"/"),
    (b"//", b"/"),
    (b"%", b"/"),
    (b" and ", b" or "),
    (b" or ", b" and "),
    (b" and", b" or"),
    (b" or", b" and"),
    (b" is not", b" is"),
    (b" not in", b" in"),
    (b"not ", b""),
    (b"True", b"False"),
    (b"False", b"True"),
    (b"=", b"=="),
)
_DROPS = (b"(", b")", b"[", b"]", b"{", b"}", b":", b",", b"self.", b"self, ", b"self", b".", b'"', b"'", b"await ")


class SlipTable:
    """The slips of each token of a vocabulary, found once per token and kept."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._slips: dict[int, tuple[tuple[int, ...], ...]] = {}

    def slips(self, token: int) -> tuple[tuple[int, ...], ...]:
        """Replacements of `token` (each a tuple of ids, empty when the whole token is dropped); () if it has no
        slip."""
        found = self._slips.get(token)
        if found is None:
            found = self._slips[token] = self._find(token)
        return found

    def _find(self, token: int) -> tuple[tuple[int, ...], ...]:
        text = self._tokenizer.token_bytes[token]
        variants: dict[bytes, None] = {}
        for old, new in _SWAPS:
            if old in text:
                variants[text.replace(old, new, 1)] = None
        for old in _DROPS:
            if old in text:
                variants[text.replace(old, b"", 1)] = None
        if len(text) == 1 and text.isdigit():
            digit = int(text)
            variants |= {str(other).encode(): None for other in (digit - 1, digit + 1) if 0 <= other <= 9}
        slips = []
        for variant in variants:
            try:
                ids = tuple(self._tokenizer.encode(variant.decode()))
            except UnicodeDecodeError:
                continue
            if ids != (token,) and len(ids) <= 3:
                slips.append(ids)
        return tuple(slips)


def mistake_sources(sample: Sample, table: SlipTable, *, own: bool) -> MistakeSources:
    """The sources for the blocks of one sample."""
    first = max(0, sample.canvas_start - 128)
    near = [token for token in sample.ids[first:] if token >= NUM_RESERVED]
    token_bytes = table._tokenizer.token_bytes
    near = near or [NUM_RESERVED + ord(" ")]
    line_sets = [frozenset(line) for line in sample.lines]
    starts = _line_starts(sample, table)

    def draft(start: int, clean: Sequence[int], rng: Random) -> list[int] | None:
        return _alike_draft(start, clean, starts, sample.lines, line_sets)

    return MistakeSources(
        neighbour=lambda rng: rng.choice(near),
        mutations=table.slips,
        draft=draft,
        swap_arguments=lambda clean, rng: _swap_arguments(clean, token_bytes, rng),
        own=own,
    )


def _line_starts(sample: Sample, table: SlipTable) -> Callable[[int], bool]:
    """Whether canvas index i begins a line."""
    canvas = sample.ids[sample.canvas_start :]
    token_bytes = table._tokenizer.token_bytes
    return lambda i: sample.line_start if i == 0 else token_bytes[canvas[i - 1]].endswith(b"\n")


def _alike_draft(
    start: int,
    clean: Sequence[int],
    is_line_start: Callable[[int], bool],
    lines: Sequence[tuple[int, ...]],
    line_sets: Sequence[frozenset[int]],
) -> list[int] | None:
    """The block with each whole line replaced by the most alike other line of the file; None if no line has one."""
    pieces: list[tuple[int, int]] = []
    first = 0
    for i in range(1, len(clean) + 1):
        if i == len(clean) or is_line_start(start + i):
            pieces.append((first, i))
            first = i
    draft: list[int] = []
    replaced = False
    for low, high in pieces:
        piece = tuple(clean[low:high])
        best = _most_alike(piece, lines, line_sets) if is_line_start(start + low) and high - low >= 3 else None
        replaced |= best is not None
        draft += piece if best is None else best
    return draft if replaced else None


def _most_alike(
    piece: tuple[int, ...], lines: Sequence[tuple[int, ...]], line_sets: Sequence[frozenset[int]]
) -> tuple[int, ...] | None:
    mine = frozenset(piece)
    best, best_score = None, 0.5  # below half the tokens in common, masks are the better start
    for line, tokens in zip(lines, line_sets, strict=True):
        common = len(mine & tokens)
        score = common / (len(mine) + len(tokens) - common)
        if score > best_score and line != piece:
            best, best_score = line, score
    return best


def _swap_arguments(clean: Sequence[int], token_bytes: Sequence[bytes], rng: Random) -> list[int] | None:
    """The tokens with the two short arguments around one comma exchanged; None if there is no such comma."""
    texts = [token_bytes[token] for token in clean]
    commas = [i for i, text in enumerate(texts) if text.strip() == b","]
    if not commas:
        return None
    comma = rng.choice(commas)
    low = comma
    while low > 0 and comma - low < 5 and not texts[low - 1].rstrip().endswith((b"(", b",", b"[", b"\n")):
        low -= 1
    high = comma + 1
    while high < len(texts) and high - comma < 6 and not texts[high].lstrip().startswith((b")", b",", b"]", b"\n")):
        high += 1
    if low == 0 or low == comma or high == len(texts) or high == comma + 1:
        return None
    if not texts[low - 1].rstrip().endswith((b"(", b",")) or not texts[high].lstrip().startswith((b")", b",")):
        return None
    return [*clean[:low], *clean[comma + 1 : high], clean[comma], *clean[low:comma], *clean[high:]]
