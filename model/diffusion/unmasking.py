"""Which masked rows are unmasked in a step, and where the text ends.

Source: threshold decoding as in Fast-dLLM (arXiv 2505.22618, §3.3), but what is written in any case is the leftmost
mask, not the most confident one: with small weights 8.7 against 6.0 % of lines right, in fewer passes (docs/log.md,
2026-11-21). This project's frontier is the first masked row whose best label is `<eom>`, or `<del>` with nothing
visible to its right in the block. Masks beyond it are never written, because their text would stand behind the end.
Left out: edits of visible rows (moves.py).
"""

from model.diffusion.block import Ask, Block
from model.diffusion.reading import Reading
from model.diffusion.states import MASKED
from model.tokenizer import DEL, EOM


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


def rows_to_unmask(block: Block, asks: list[Ask], reading: Reading, frontier: int, tau_mask: float) -> list[int]:
    """Places in `asks` of the masked rows left of the frontier to obey: the leftmost, and all above tau_mask.

    Empty only where no mask is left of the frontier. "Obey" is to write the label, or to delete a surplus mask where
    the label is `<del>`.
    """
    taken: list[int] = []
    for m, ask in enumerate(asks):
        if ask.index >= frontier:
            break
        if block.rows[ask.index].state != MASKED:
            continue
        p = reading.p[m] if reading.label[m] == DEL else reading.sampled_p[m]
        if not taken or p > tau_mask:
            taken.append(m)
    return taken
