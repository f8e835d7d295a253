"""Which masked rows are unmasked in a step, and where the text ends.

Source: threshold decoding as in Fast-dLLM (arXiv 2505.22618, §3.3), but what is written in any case is the leftmost
mask, not the most confident one: with small weights 8.7 against 6.0 % of lines right, in fewer passes (docs/log.md,
2026-11-21). This project's frontier is the first masked row whose best label is `<eom>`, or `<del>` with nothing
visible to its right in the block. Masks beyond it are never written, because their text would stand behind the end.

Foreign networks are decoded as their makers do, without a frontier: by "confidence" (the best label's probability:
`low_confidence` of LLaDA, arXiv 2502.09992, of SDAR and of Stable-DiffCoder; `maskgit_plus` of Dream), by least
"entropy" or greatest "margin" between the two best labels (Dream, arXiv 2508.15487), each by a threshold or in quotas
(schedules.py). Of equal scores the leftmost goes first.
Left out: edits of visible rows (moves.py), random orders, bounds on summed entropy.
"""

from model.diffusion.block import Ask, Block
from model.diffusion.policy import Order
from model.diffusion.reading import Reading
from model.diffusion.states import MASKED
from model.tokenizer import DEL, EOM, NUM_RESERVED


def frontier_of(block: Block, asks: list[Ask], reading: Reading) -> int:
    """Index of the first row behind which nothing is written; the number of rows where there is no such row."""
    num_rows = len(block.rows)
    if not block.end_open:
        return num_rows
    last_visible = max((i for i, row in enumerate(block.rows) if row.state != MASKED), default=-1)
    for m, ask in enumerate(asks):
        if block.rows[ask.index].state != MASKED:
            continue
        if reading.label[m] == EOM or (reading.label[m] == DEL and ask.index > last_visible):
            return ask.index
    return num_rows


def rows_to_unmask(
    block: Block,
    asks: list[Ask],
    reading: Reading,
    frontier: int,
    tau_mask: float,
    *,
    order: Order = "leftmost",
    num_due: int | None = None,
) -> list[int]:
    """Places in `asks` of the masked rows left of the frontier to obey: the first in order, and all above tau_mask.

    num_due: instead so many, the first in order. Empty only where no mask is left of the frontier. "Obey" is to write
    the label, or to delete a surplus mask where the label is `<del>`.
    """
    masked = [m for m, ask in enumerate(asks) if ask.index < frontier and block.rows[ask.index].state == MASKED]
    first = masked if order == "leftmost" else sorted(masked, key=lambda m: -_score(reading, m))
    if num_due is not None:
        return sorted(first[:num_due])
    return [m for m in masked if m == first[0] or probability(reading, m) > tau_mask]


def probability(reading: Reading, m: int) -> float:
    """Of what the row would be given."""
    return reading.p[m] if reading.label[m] < NUM_RESERVED else reading.sampled_p[m]


def _score(reading: Reading, m: int) -> float:
    return probability(reading, m) if reading.score is None else reading.score[m]
