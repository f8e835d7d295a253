"""The active block: its rows with their counters, and which labels each row may have.

Source: this project's own rules for labels and edits. The rows live in Python lists on the
CPU: a block has at most 64 rows, and a list costs less than the dispatch of a single tensor operation for each rule.
The same update as one gather on the device is kernels/canvas_update, and a test holds both equal.
Left out: reading the network (reading.py), deciding (unmasking.py, moves.py), applying (moves.py).
"""

from dataclasses import dataclass

from model.diffusion.canvas import capacity_of
from model.diffusion.policy import MAX_BLOCK, Edits
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.tokenizer import DEL, EOM, MASK

NUM_EDITS = 2
NUM_INSERTS = 6
INSERT_BUDGET = 16
DRAFT_INSERT_BUDGET = 48
"""A docstring or a body that a draft lacks comes through one gap: 47 masks, which a network that knows them all needs
(measured with one: with 15, two of three such edits were cut short)."""


@dataclass(slots=True)
class Row:
    """One position. `edits_left`, `banned` (the token last removed here, −1 = none) and, for the gap before it,
    `ins_left` and `ins_next` (masks the next `<ins>` brings: 1, 2, 4, 8, 16) travel with it through all shifts.

    confidence: of a token the model wrote, its probability when written (a second look is asked whether to change a
    visible token, and nearly always says no, so it tells little about the first guess); of a given token, when last
    read; of a mask, its best label's in the last step; None = never read.
    """

    token: int
    state: int
    edits_left: int = NUM_EDITS
    banned: int = -1
    ins_left: int = NUM_INSERTS
    ins_next: int = 1
    confidence: float | None = None
    written: bool = False


@dataclass(slots=True)
class Block:
    """Rows in order. `capacity` bounds their number, `insert_budget` the masks that `<ins>` may still bring.

    prev_locked: whether the token before the block is locked (the prompt's end is); it decides on the first gap.
    end_open: whether `<eom>` may be placed in this block (a growing canvas with nothing queued behind the block).
    begins_canvas: row `num_before` is the canvas's first token (those before it are the prompt's, of a block that must
    begin at a unit). Neither it nor a row behind `blank_ids` alone is ever `<eom>`: who
    asks for masks to be filled wants some text. (Training shows a few empty canvases, so that the end of a text is
    also learned where nothing is missing.)
    ends_anywhere: the end is written wherever it is believed in (unmasking.py); `<del>` is a second token for it then,
    as chat models have one for the end of an answer and one for what follows.
    num_steps: steps of a schedule that are over (schedules.py).
    """

    rows: list[Row]
    capacity: int
    insert_budget: int
    prev_locked: bool
    end_open: bool
    begins_canvas: bool = False
    blank_ids: frozenset[int] = frozenset()
    num_before: int = 0
    ends_anywhere: bool = False
    num_steps: int = 0

    def num_masks(self) -> int:
        return sum(row.state == MASKED for row in self.rows)

    def gap_open(self, index: int) -> bool:
        """Whether masks may come before row `index`: not between two locked tokens."""
        if self.rows[index].state != LOCKED:
            return True
        return not (self.prev_locked if index == 0 else self.rows[index - 1].state == LOCKED)


def make_row(token: int, state: int) -> Row:
    return Row(token=token, state=state, edits_left=0 if state == LOCKED else NUM_EDITS)


def make_block(
    rows: list[Row],
    *,
    prev_locked: bool,
    end_open: bool,
    begins_canvas: bool = False,
    blank_ids: frozenset[int] = frozenset(),
    num_before: int = 0,
    ends_anywhere: bool = False,
) -> Block:
    has_draft = any(row.state == DRAFT for row in rows)
    return Block(
        rows=rows,
        capacity=MAX_BLOCK if has_draft else capacity_of(len(rows)),
        insert_budget=(DRAFT_INSERT_BUDGET if has_draft else INSERT_BUDGET) + len(rows) // 2,
        prev_locked=prev_locked,
        end_open=end_open,
        begins_canvas=begins_canvas,
        blank_ids=blank_ids,
        num_before=num_before,
        ends_anywhere=ends_anywhere,
    )


def mask_rows(num: int) -> list[Row]:
    return [Row(token=MASK, state=MASKED) for _ in range(num)]


@dataclass(slots=True)
class Ask:
    """What one row wants from the head. Its labels: text tokens, those of the flags, and always its own token.

    The flags are the sets of labels a row can have: `<ins>` never on a masked row (but to expand it), edits only as far
    as the checkpoint was trained for them, `<eom>` only where the text may end, `<del>` on a mask only where it can be
    obeyed (to delete it) or means the end.
    """

    index: int
    token: int
    locked: bool
    eom: bool
    delete: bool
    insert: bool
    banned: int
    prefix: bool = False


def asks_of(
    block: Block, edits: Edits, *, healed_row: int | None = None, remask: bool = False, stop: int | None = None
) -> list[Ask]:
    """The rows before `stop` that need the head in this step: masks always, visible ones as far as `edits` or `remask`
    could move them.

    healed_row: it is restricted to tokens that start with the typed bytes.
    """
    asks: list[Ask] = []
    indels = edits == "insert-delete"
    resizes = edits == "expand-delete"  # masks alone
    expands = resizes and block.insert_budget > 0 and len(block.rows) < block.capacity
    reads_drafts = remask or edits in ("substitute", "insert-delete")
    rows = block.rows
    last_visible = last_locked = -1
    for index, row in enumerate(rows):
        if row.state != MASKED:
            last_visible = index
            if row.state == LOCKED:
                last_locked = index
    first_text = _first_text(block) if block.begins_canvas else -1
    for index, row in enumerate(rows[:stop]):
        end_here = block.end_open and index > last_locked and index != first_text
        if row.state == MASKED:
            is_inside = index < last_visible and not block.ends_anywhere
            surplus = resizes or (indels if is_inside else end_here)
            asks.append(Ask(index, row.token, False, end_here, surplus, expands, row.banned, index == healed_row))
        elif index == healed_row:
            continue  # a healed token stays
        elif row.state == DRAFT and reads_drafts and row.token not in (EOM, DEL):
            asks.append(Ask(index, row.token, False, end_here, indels, indels, row.banned))
        elif indels and (row.state == LOCKED or row.token == EOM) and block.gap_open(index):
            asks.append(Ask(index, row.token, True, False, False, True, row.banned))
    return asks


def _first_text(block: Block) -> int:
    """The first row that is a mask or more than white space."""
    rows = block.rows[block.num_before :]
    blank = (row.state != MASKED and row.token in block.blank_ids for row in rows)
    return block.num_before + next((index for index, is_blank in enumerate(blank) if not is_blank), len(rows))
