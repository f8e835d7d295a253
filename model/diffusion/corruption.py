"""Noisy views of a canvas: partition it into blocks, mask a block, or edit it, and label every row.

Source: Seed Diffusion (arXiv 2508.02193) section 2: masks at rate t with weight 1/t, then k = floor(n * alpha) edits.
Ours: the random partition (the paper trains no blocks), m ~ U{1..n} masks with weight n/m (the same bound as t ~ U(0,
1) with weight 1/t, never empty, less variance), surplus masks behind the end of the text, and alignment labels for
edits. Left out: where wrong tokens come from (training/mistakes.py) and packing (training/packing.py).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from model.diffusion.labels import align_labels
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.tokenizer import DEL, EOM, MASK, NUM_RESERVED

IGNORE = -100
MAX_BLOCK = 64
RIGHT_RUN_SHARE = 0.25
DRAFT_SHARE = 0.10
KIND_WEIGHTS = {"masks": 45, "edits+masks": 20, "edits": 15, "unchanged": 10}  # of the blocks that are no drafts
SYNTAX_SHARE = 0.3  # of the edits, as far as the block has places for them
OWN_DRAFT_SHARE = 0.5
MAX_OWN_MISCOUNT = 3


@dataclass(frozen=True, slots=True)
class NoisyBlock:
    """One corrupted block. All lists have one entry per noisy row; `clean` is the text it came from.

    `start` = canvas index of the first clean token; labels are IGNORE where a row has no loss; `own` = rows whose
    token is to be replaced by the model's own sample (`with_own_samples`), shown as masks until then; `own_truth` =
    their true tokens. `is_draft` = the block is the model's own draft: its most probable tokens are wanted.
    """

    start: int
    clean: list[int]
    tokens: list[int]
    states: list[int]
    labels: list[int]
    weights: list[float]
    own: tuple[int, ...] = ()
    own_truth: tuple[int, ...] = ()
    is_draft: bool = False


@dataclass(frozen=True, slots=True)
class BlockSlip:
    """Rows start..end of a block become `tokens` (equal start and end: an insertion before that row)."""

    start: int
    end: int
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MistakeSources:
    """Where edits come from. Tokens are ids; every function draws from the Random it is given.

    `neighbour(rng)` = a token of the surroundings; `mutations(token)` = replacements (token tuples, perhaps empty) a
    slip of the keyboard or the mind would leave; `slip(start, size, rng)` = a slip of syntax or naming inside the
    canvas tokens [start, start + size) or None; `draft(start, clean, rng)` = an earlier version of the block or None
    (then it is mutated); `own` = substitutions, and half of the drafts, are left to the model itself; `draft_share` =
    share of the blocks that are drafts.
    """

    neighbour: Callable[[Random], int]
    mutations: Callable[[int], Sequence[tuple[int, ...]]]
    slip: Callable[[int, int, Random], BlockSlip | None]
    draft: Callable[[int, Sequence[int], Random], list[int] | None]
    own: bool = False
    draft_share: float = DRAFT_SHARE


def partition(num_tokens: int, rng: Random, smallest: int = 1) -> list[tuple[int, int]]:
    """Blocks (start, drawn size) that cover a canvas, sizes log-uniform in smallest..64; the last may be drawn too
    large."""
    blocks: list[tuple[int, int]] = []
    start = 0
    while start < num_tokens:
        size = int(smallest * math.exp(rng.random() * math.log((MAX_BLOCK + 1) / smallest)))
        blocks.append((start, size))
        start += size
    return blocks


def mask_block(clean: Sequence[int], *, start: int, drawn_size: int, level: float, rng: Random) -> NoisyBlock:
    """Masks m = 1 + floor(level * n) of the n real tokens (level in [0, 1)), one time in four a right run.

    Masked rows weigh n/m; the surplus masks behind a masked <eom> (up to `drawn_size`) weigh as one masked token.
    Visible rows are all locked or all draft, with equal chance, and have no loss. With a visible <eom> the block ends
    there.
    """
    n = len(clean)
    m = min(n, 1 + int(level * n))
    masked = set(range(n - m, n)) if rng.random() < RIGHT_RUN_SHARE else set(rng.sample(range(n), m))
    visible_state = LOCKED if rng.random() < 0.5 else DRAFT
    weight = n / m
    num_surplus = max(0, drawn_size - n) if clean[-1] == EOM and n - 1 in masked else 0
    tokens = [MASK if i in masked else token for i, token in enumerate(clean)] + [MASK] * num_surplus
    states = [MASKED if i in masked else visible_state for i in range(n)] + [MASKED] * num_surplus
    labels = [token if i in masked else IGNORE for i, token in enumerate(clean)] + [DEL] * num_surplus
    weights = [weight if i in masked else 0.0 for i in range(n)]
    weights += [weight / max(1, num_surplus)] * num_surplus
    return NoisyBlock(start, list(clean), tokens, states, labels, weights)


def edit_stage_block(
    clean: Sequence[int],
    *,
    start: int,
    drawn_size: int,
    level: float,
    num_edits: int,
    sources: MistakeSources,
    rng: Random,
) -> NoisyBlock:
    """A block of the edit stage: masks only, edits and masks, edits only, a draft, or unchanged.

    `num_edits` = how many of the canvas's k edits fall into this block ("edits only" makes at least one). Masks-only
    blocks keep the loss of `mask_block`; the other kinds have a label and weight 1 on every row.
    """
    if rng.random() < sources.draft_share:
        if sources.own and len(clean) > 1 and rng.random() < OWN_DRAFT_SHARE:
            return _own_draft_block(clean, start=start, level=level, sources=sources, rng=rng)
        return _draft_block(clean, start=start, drawn_size=drawn_size, sources=sources, rng=rng)
    kind = rng.choices(list(KIND_WEIGHTS), list(KIND_WEIGHTS.values()))[0]
    if kind == "masks":
        return mask_block(clean, start=start, drawn_size=drawn_size, level=level, rng=rng)
    writing = _Writing.of(clean, _locked_rows(clean, rng))
    if kind == "edits":
        _edit(writing, start, max(1, num_edits), sources, rng)
    elif kind == "edits+masks":
        _edit(writing, start, num_edits, sources, rng)
        _mask(writing, level, drawn_size, rng)
    return _labelled(writing, start)


def with_own_samples(block: NoisyBlock, sampled: Sequence[int]) -> NoisyBlock:
    """The block with the model's samples (one id per entry of `own`) as drafts, labelled anew.

    A sample that is no text token leaves the true token: reserved ids are never mistakes. An own draft that is too
    far from the truth becomes masks again.
    """
    tokens, states = list(block.tokens), list(block.states)
    for row, token, true_token in zip(block.own, sampled, block.own_truth, strict=True):
        tokens[row] = token if token >= NUM_RESERVED else true_token
        states[row] = DRAFT
    finished = _finish(block.start, block.clean, tokens, states)
    if not block.is_draft or not _is_far(finished):
        return finished
    masked = [state if token == EOM else MASKED for token, state in zip(tokens, states, strict=True)]
    tokens = [token if token == EOM else MASK for token in tokens]
    return _finish(block.start, block.clean, tokens, masked)


@dataclass(slots=True)
class _Writing:
    """A block while it is being corrupted; lists run in parallel."""

    clean: list[int]
    tokens: list[int]
    states: list[int]
    own: list[bool] = field(default_factory=list)

    @classmethod
    def of(cls, clean: Sequence[int], locked: set[int]) -> "_Writing":
        states = [LOCKED if i in locked else DRAFT for i in range(len(clean))]
        return cls(list(clean), list(clean), states, [False] * len(clean))

    def put(self, row: int, width: int, tokens: Sequence[int], state: int) -> None:
        """Replaces `width` rows from `row` on by `tokens`."""
        self.tokens[row : row + width] = tokens
        self.states[row : row + width] = [state] * len(tokens)
        self.own[row : row + width] = [False] * len(tokens)


def _locked_rows(clean: Sequence[int], rng: Random) -> set[int]:
    n = len(clean)
    locked: set[int] = set()
    if n > 1 and rng.random() < 0.3:
        r = rng.randint(1, max(1, n // 2))
        locked = set(range(r)) if rng.random() < 0.5 else set(range(n - r, n))
    # The sampler shows a draft's <eom> locked; one it has accepted itself is a draft.
    if clean[-1] == EOM and rng.random() < 0.7:
        locked.add(n - 1)
    return locked


def _editable(writing: _Writing) -> list[int]:
    return [
        i
        for i, (token, state) in enumerate(zip(writing.tokens, writing.states, strict=True))
        if state == DRAFT and token != EOM and not writing.own[i]
    ]


def _edit(writing: _Writing, start: int, num_edits: int, sources: MistakeSources, rng: Random) -> None:
    """Makes `num_edits` mistakes in unlocked, still true text: 30 % slips from the parse tree (as far as there are
    places for them), of the others 60 % substitutions, 20 % insertions and 20 % deletions.

    Substitutions are the model's own where `sources.own`, else slips of tokens and neighbour tokens in equal parts.
    """
    wanted = sum(rng.random() < SYNTAX_SHARE for _ in range(num_edits))
    slips = _draw_slips(writing, start, wanted, sources, rng)
    for slip in reversed(slips):  # from the right, so that the rows of the others keep their numbers
        if 0 < len(writing.tokens) + len(slip.tokens) - (slip.end - slip.start) <= MAX_BLOCK:
            writing.put(slip.start, slip.end - slip.start, slip.tokens, DRAFT)
    for _ in range(num_edits - len(slips)):
        rows = _editable(writing)
        if not rows:
            return
        row = rng.choice(rows)
        u = rng.random()
        if u < 0.6:
            _substitute(writing, row, rows, sources, rng)
        elif u < 0.8 and len(writing.tokens) < MAX_BLOCK:
            end = len(writing.tokens) - 1
            before = end if writing.tokens[end] == EOM and rng.random() < 0.1 else row  # now and then at the very end
            if before == row or _is_open_gap(writing, before):
                writing.put(before, 0, [sources.neighbour(rng)], DRAFT)
        else:
            wanted = 1 if rng.random() < 0.7 else rng.randint(2, 4)
            width = 1
            while width < wanted and row + width in rows:
                width += 1
            if width < len(writing.tokens):  # never an empty block
                writing.put(row, width, [], DRAFT)


def _draw_slips(writing: _Writing, start: int, wanted: int, sources: MistakeSources, rng: Random) -> list[BlockSlip]:
    """Up to `wanted` slips of a block that is still true text, ascending, in unlocked rows and not touching."""
    taken: list[BlockSlip] = []
    for _ in range(wanted):
        slip = sources.slip(start, len(writing.clean), rng)
        if slip is None:
            break
        free = all(slip.end < other.start or other.end < slip.start for other in taken)
        rows = range(slip.start, slip.end)
        unlocked = all(writing.states[i] == DRAFT and writing.clean[i] != EOM for i in rows)
        if free and (unlocked if rows else _is_open_gap(writing, slip.start)):
            taken.append(slip)
    return sorted(taken, key=lambda slip: slip.start)


def _is_open_gap(writing: _Writing, row: int) -> bool:
    """Whether text may be missing or surplus before `row`: not between two locked tokens (the prompt's end is one)."""
    return writing.states[row] == DRAFT or (row > 0 and writing.states[row - 1] == DRAFT)


def _substitute(writing: _Writing, row: int, rows: list[int], sources: MistakeSources, rng: Random) -> None:
    if sources.own:
        writing.own[row] = True
        return
    if rng.random() < 0.5:
        mutable = [i for i in rows if sources.mutations(writing.tokens[i])]
        if mutable:
            row = rng.choice(mutable)
            replacement = rng.choice(list(sources.mutations(writing.tokens[row])))
            if len(writing.tokens) + len(replacement) > MAX_BLOCK or len(writing.tokens) + len(replacement) == 1:
                return
            writing.put(row, 1, replacement, DRAFT)
            return
    writing.put(row, 1, [sources.neighbour(rng)], DRAFT)


def _mask(writing: _Writing, level: float, drawn_size: int, rng: Random) -> None:
    """Masks m ~ U{1..n} of the unlocked rows, then makes a quarter of the holes in visible text 1-8 masks too long or
    short."""
    rows = [i for i, state in enumerate(writing.states) if state == DRAFT]
    if not rows:
        return
    m = min(len(rows), 1 + int(level * len(rows)))
    masked = rows[len(rows) - m :] if rng.random() < RIGHT_RUN_SHARE else rng.sample(rows, m)
    for i in masked:
        writing.tokens[i], writing.states[i], writing.own[i] = MASK, MASKED, False
    end_masked = writing.clean[-1] == EOM and writing.states[-1] == MASKED
    _miscount_holes(writing, rng)
    if end_masked:
        num_surplus = max(0, drawn_size - len(writing.tokens))
        writing.put(len(writing.tokens), 0, [MASK] * num_surplus, MASKED)


def _miscount_holes(writing: _Writing, rng: Random) -> None:
    end = len(writing.tokens)
    while end > 0 and writing.states[end - 1] == MASKED:
        end -= 1  # a hole that ends the block has no visible text to its right
    row = end - 1
    while row >= 0:
        if writing.states[row] != MASKED:
            row -= 1
            continue
        last = row
        while row >= 0 and writing.states[row] == MASKED:
            row -= 1
        width = last - row
        if rng.random() >= 0.25:
            continue
        k = rng.randint(1, 8)
        if rng.random() < 0.5:
            k = min(k, MAX_BLOCK - len(writing.tokens))
            writing.put(row + 1, 0, [MASK] * k, MASKED)
        else:
            writing.put(row + 1, min(k, width), [], MASKED)


def _draft_block(
    clean: Sequence[int], *, start: int, drawn_size: int, sources: MistakeSources, rng: Random
) -> NoisyBlock:
    """An earlier, a most alike or a mutated version as the start. One that is too far away becomes masks."""
    draft = sources.draft(start, clean, rng)
    if draft is None:
        writing = _Writing.of(clean, set())
        _edit(writing, start, max(1, int(len(clean) * rng.uniform(0.05, 0.3))), replace(sources, own=False), rng)
        draft = writing.tokens
    ends = clean[-1] == EOM
    draft = [token for token in draft if token != EOM][: MAX_BLOCK - ends] + [EOM] * ends
    if not draft:
        return mask_block(clean, start=start, drawn_size=drawn_size, level=1.0, rng=rng)
    states = [DRAFT] * (len(draft) - ends) + [LOCKED] * ends  # the sampler shows a draft's <eom> locked
    block = _finish(start, list(clean), draft, states)
    if _is_far(block):
        return mask_block(clean, start=start, drawn_size=drawn_size, level=1.0, rng=rng)
    return block


def _own_draft_block(
    clean: Sequence[int], *, start: int, level: float, sources: MistakeSources, rng: Random
) -> NoisyBlock:
    """A block whose m ~ U{1..n} masked rows the model will fill as a draft, half the time the right run; three times
    in ten it has one to three masks too many or too few, as a completion of another length would."""
    ends = clean[-1] == EOM
    n = len(clean) - ends
    m = min(n, 1 + int(level * n))
    rows = range(n - m, n) if rng.random() < 0.5 else sorted(rng.sample(range(n), m))
    writing = _Writing.of(clean, {n} if ends else set())
    for row in rows:
        writing.own[row] = True
    if rng.random() < 0.3:
        k = rng.randint(1, MAX_OWN_MISCOUNT)
        row = rng.choice(rows)
        if rng.random() < 0.5 and len(clean) + k <= MAX_BLOCK:
            writing.put(row, 0, [sources.neighbour(rng) for _ in range(k)], DRAFT)
            writing.own[row : row + k] = [True] * k
        else:
            writing.put(row, min(k, m - 1, n - row), [], DRAFT)  # at least one row stays the model's
    return replace(_labelled(writing, start), is_draft=True)


def _is_far(block: NoisyBlock) -> bool:
    """Whether more than half of a draft is wrong, so that masks are the better start; the sampler asks the same."""
    num_wrong = sum(label != token for label, token in zip(block.labels, block.tokens, strict=True))
    return 2 * max(num_wrong, abs(len(block.tokens) - len(block.clean))) > len(block.clean)


def _labelled(writing: _Writing, start: int) -> NoisyBlock:
    """Labels a block; rows left to the model stand as masks until `with_own_samples` labels the block again."""
    tokens, states = writing.tokens, writing.states
    own = tuple(i for i, mine in enumerate(writing.own) if mine)
    own_truth = tuple(tokens[i] for i in own)
    for i in own:
        tokens[i], states[i] = MASK, MASKED
    return replace(_finish(start, writing.clean, tokens, states), own=own, own_truth=own_truth)


def _finish(start: int, clean: list[int], tokens: list[int], states: list[int]) -> NoisyBlock:
    labels = align_labels(tokens, states, clean)
    weights = [1.0] * len(tokens)
    end = len(labels)
    while end > 0 and labels[end - 1] == DEL and states[end - 1] == MASKED:
        end -= 1
    if end < len(labels) and clean[-1] == EOM:
        weights[end:] = [1.0 / (len(labels) - end)] * (len(labels) - end)
    return NoisyBlock(start, clean, tokens, states, labels, weights)
