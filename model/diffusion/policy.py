"""How a canvas is denoised: thresholds, block sizes and limits, as one frozen struct.

The thresholds belong to a checkpoint (they are calibrated with it and stand in its preset); the rest belongs to a
request. Left out: the rules themselves (unmasking.py, moves.py) and deadlines, which are asked for step by step.
"""

from typing import Literal

import msgspec

Edits = Literal["none", "substitute", "insert-delete", "expand-delete"]
Order = Literal["leftmost", "confidence", "entropy", "margin"]
Schedule = Literal["even", "time"]
Caching = Literal["exact", "none", "prefix", "dual"]
Length = Literal["grows", "probed", "given"]

MAX_BLOCK = 64
"""The widest block of a network that was trained here: training draws block sizes from 1..64."""
MAX_CANVAS = 4096


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes count tokens, thresholds are probabilities.

    tau_mask: a masked row is unmasked when its best token has p above it (above 1 = exactly one token a step).
    tau_edit, own_max: a visible row is edited when another label has p above the one and its own token below the
    other.
    tau_carry: beside an edited row, a row whose best label is a change is edited too from this p on, so that what
    belongs together does not fall apart; None = never.
    tau_remask: a visible row whose own token has p below it, and no better label, becomes a mask again.
    edits: which edits the checkpoint was trained for; with "none" visible rows are never read again.
    first_block, block: rows of the first masked block and of every other block. Of a block-causal network every block
    is a unit; of one that sees the whole canvas `block` says how far from the left masks may be written before those
    behind them, and `first_block` how many masks a canvas that finds its length starts with.
    extra_edit_steps: further steps on a block after its last mask (0 for completions, 8 for edits).
    max_steps: limit on steps of the whole run; None = none needed, every run ends by itself.
    temperature, top_p: sampling of unmasked tokens (0 = greedy); edits are always greedy.
    seed: with it, the position and the step, the noise is fixed.
    blank_ids: tokens of white space; a hole that is filled with these alone is not finished.
    num_drafts: most tokens that `speculate` guesses ahead; 0 = one token a pass.
    doubt: epsilon below which a given guess is doubtful to the clean stream (speculate.py), None = every token must be
    the clean stream's own.
    verify: epsilon below which a token is doubtful when its block is committed (verify.py), None = nobody looks.

    For foreign networks (unmasking.py has the sources). order: which masks are written first; all but "leftmost" write
    the end of the text wherever they believe in it, and the text ends where no mask is left before it.
    steps_per_block: so many steps write a block, in quotas, whatever tau_mask says; None = all above tau_mask, at least
    one a step. schedule: how the quotas are cut, equal or by the time steps of Dream. remask: visible rows are read
    again, and those whose own token has p below tau_remask become masks, even where nothing may be edited.
    caching, length: of a network that sees the whole canvas (whole.py, canvas_length.py).
    """

    tau_mask: float = 0.3
    tau_edit: float = 0.9
    own_max: float = 0.1
    tau_carry: float | None = None
    tau_remask: float = 0.02
    edits: Edits = "none"
    first_block: int = 16
    block: int = 32
    extra_edit_steps: int = 0
    max_steps: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    blank_ids: frozenset[int] = frozenset()
    num_drafts: int = 12
    doubt: float | None = None
    verify: float | None = None
    order: Order = "leftmost"
    steps_per_block: int | None = None
    schedule: Schedule = "even"
    remask: bool = False
    caching: Caching = "exact"
    length: Length = "grows"

    @property
    def rereads(self) -> bool:
        """Whether visible rows are read again."""
        return self.remask or self.edits in ("substitute", "insert-delete")

    def __post_init__(self) -> None:
        for name, size in (("first_block", self.first_block), ("block", self.block)):
            if not 1 <= size <= MAX_CANVAS:
                raise ValueError(f"{name} must be between 1 and {MAX_CANVAS}, not {size}")
        if self.steps_per_block is not None and self.steps_per_block < 1:
            raise ValueError(f"steps_per_block must be at least 1, but is {self.steps_per_block}")
        if self.temperature < 0:
            raise ValueError(f"temperature must not be negative, but is {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if not 0 <= self.num_drafts < MAX_BLOCK:
            raise ValueError(f"num_drafts must be between 0 and {MAX_BLOCK - 1}, not {self.num_drafts}")
        if self.doubt is not None and not 0 < self.doubt < 1:
            raise ValueError(f"doubt must lie between 0 and 1, but is {self.doubt}")
        if self.verify is not None and not 0 <= self.verify < 1:
            raise ValueError(f"verify must be at least 0 and below 1, but is {self.verify}")
        if self.extra_edit_steps < 0:
            raise ValueError(f"extra_edit_steps must not be negative, but is {self.extra_edit_steps}")
        if self.max_steps is not None and self.max_steps < 0:
            raise ValueError(f"max_steps must not be negative, but is {self.max_steps}")
