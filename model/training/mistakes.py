"""Where wrong tokens come from in the edit stage: neighbours, slips, look-alike lines, earlier versions.

A token slip is cheap and works on one token's bytes (a bracket or colon dropped, an operator exchanged, `self`
dropped, a digit off by one); slips from the parse tree come from canvas_slips.py, the model's own mistakes from the
trainer (edit_stage.py). Source: the kinds named in this project's design; Seed Diffusion (arXiv 2508.02193) uses
random substitutions, insertions and deletions.
"""

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from random import Random

from model.diffusion.corruption import DRAFT_SHARE, MistakeSources
from model.tokenizer import NUM_RESERVED, Tokenizer
from model.training.canvas_slips import CanvasSlips
from model.training.samples import Sample

ALIKE_SHARE = 0.5  # of the drafts that are not the model's own; the others are mutated versions
PARTLY_SHARE = 0.35  # of the old code: some of its edits made already, as between two steps of the sampler
REWRITE_DRAFT_SHARE = 0.8  # the sampler always starts from the old code
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
        self.tokenizer = tokenizer
        self._slips: dict[int, tuple[tuple[int, ...], ...]] = {}

    def slips(self, token: int) -> tuple[tuple[int, ...], ...]:
        """Replacements of `token` (each a tuple of ids, empty when the whole token is dropped); () if it has no
        slip."""
        found = self._slips.get(token)
        if found is None:
            found = self._slips[token] = self._find(token)
        return found

    def _find(self, token: int) -> tuple[tuple[int, ...], ...]:
        text = self.tokenizer.token_bytes[token]
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
                ids = tuple(self.tokenizer.encode(variant.decode()))
            except UnicodeDecodeError:
                continue
            if ids != (token,) and len(ids) <= 3:
                slips.append(ids)
        return tuple(slips)


def mistake_sources(sample: Sample, table: SlipTable, *, own: bool) -> MistakeSources:
    """The sources for the blocks of one sample. The draft of a rewrite is the code that it starts from."""
    first = max(0, sample.canvas_start - 128)
    near = [token for token in sample.ids[first:] if token >= NUM_RESERVED]
    near = near or [NUM_RESERVED + ord(" ")]
    line_sets = [frozenset(line) for line in sample.lines]
    starts = _line_starts(sample, table)
    old_index = _aligned(sample.ids[sample.canvas_start : -1], sample.old) if sample.old else []

    def draft(start: int, clean: Sequence[int], rng: Random) -> list[int] | None:
        if old_index:
            end = min(start + len(clean), len(old_index) - 1)
            old = sample.old[old_index[start] : old_index[end]]
            return list(old) if rng.random() >= PARTLY_SHARE else partly_edited(old, clean, rng)
        if rng.random() >= ALIKE_SHARE:
            return None
        return _alike_draft(start, clean, starts, sample.lines, line_sets)

    return MistakeSources(
        neighbour=lambda rng: rng.choice(near),
        mutations=table.slips,
        slip=CanvasSlips(sample, table.tokenizer).draw,
        draft=draft,
        own=own,
        draft_share=REWRITE_DRAFT_SHARE if sample.old else DRAFT_SHARE,
    )


def partly_edited(old: Sequence[int], new: Sequence[int], rng: Random) -> list[int]:
    """The old tokens with a random share of the single edits made that lead to the new ones."""
    share = rng.random()
    tokens: list[int] = []
    for _, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for k in range(max(i2 - i1, j2 - j1)):
            source = new[j1:j2] if rng.random() < share else old[i1:i2]
            tokens += source[k : k + 1]
    return tokens


def _aligned(new: Sequence[int], old: Sequence[int]) -> list[int]:
    """For each index of `new` (and its end) the index of `old` that a draft queue would have reached there."""
    indices: list[int] = []
    for _, i1, i2, j1, j2 in SequenceMatcher(None, new, old, autojunk=False).get_opcodes():
        indices += [j1 + (i - i1) * (j2 - j1) // (i2 - i1) for i in range(i1, i2)]
    indices.append(len(old))
    indices[0] = 0
    return indices


def _line_starts(sample: Sample, table: SlipTable) -> Callable[[int], bool]:
    """Whether canvas index i begins a line."""
    canvas = sample.ids[sample.canvas_start :]
    token_bytes = table.tokenizer.token_bytes
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
