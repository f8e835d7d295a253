"""The moves of one step: unmask, substitute, delete, insert, remask, end; decided together, applied together.

Source: this project's own rules (the Seed Diffusion paper, arXiv 2508.02193, leaves the lengths open). Every move
spends something that never comes back (a mask, an edit, an insert, room before the end), so every run ends. Of DreamOn
(arXiv 2602.01326): a mask whose label is `<ins>` becomes two, one whose label is `<del>` none ("expand-delete").
Left out: which masks are written (unmasking.py), reading the network (reading.py), blocks and commits (run.py),
DreamOn's option to turn all masks behind a deleted one into deleted ones.
"""

from itertools import pairwise
from typing import Literal

import msgspec

from model.diffusion.block import Ask, Block, Row, mask_rows
from model.diffusion.policy import Policy
from model.diffusion.reading import Reading
from model.diffusion.schedules import quota
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.diffusion.unmasking import frontier_of, probability, rows_to_unmask
from model.tokenizer import DEL, EOM, INS, MASK, NUM_RESERVED

MAX_INSERT = 16

MoveKind = Literal["unmask", "substitute", "delete", "insert", "remask", "end"]


class Move(msgspec.Struct, frozen=True, array_like=True):
    """What happens to row `index` of the block (as it was before the step).

    token: the new token (−1 if none); removed: the token taken away (−1 if none, `<mask>` for a surplus mask);
    count: masks that an insert puts before the row; p: the probability that decided it.
    """

    kind: MoveKind
    index: int
    token: int = -1
    removed: int = -1
    count: int = 0
    p: float = 0.0


def decide(block: Block, asks: list[Ask], reading: Reading, policy: Policy, room: int) -> list[Move]:
    """All moves of one step, by row. `room`: rows the canvas may still gain.

    An insert asks for masks *before* its row. A `<del>` directly left of an `<ins>` becomes one remask in place. Where
    masks are written in quotas, the block's count of steps goes on.
    """
    frontier = frontier_of(block, asks, reading) if policy.order == "leftmost" else len(block.rows)
    moves: list[Move | None] = [None] * len(block.rows)
    num_due = _num_due(block, asks, policy)
    for m in rows_to_unmask(block, asks, reading, frontier, policy.tau_mask, order=policy.order, num_due=num_due):
        moves[asks[m].index] = _of_mask(block, asks[m].index, reading, m)
    end: Move | None = None
    if policy.edits == "expand-delete":
        _grant_expansions(block, moves)
    elif policy.rereads:
        end = _edits(block, asks, reading, policy, frontier, moves)
        _grant_inserts(block, moves, room)
    if policy.order != "leftmost":
        return _cut_at_end(block, moves)
    return _with_end(block, asks, reading, policy, frontier, moves, end)


def _num_due(block: Block, asks: list[Ask], policy: Policy) -> int | None:
    if policy.steps_per_block is None:
        return None
    num_masks = sum(block.rows[ask.index].state == MASKED for ask in asks)
    num, block.num_steps = quota(num_masks, block.num_steps, policy.steps_per_block, policy.schedule)
    return num


def _of_mask(block: Block, index: int, reading: Reading, m: int) -> Move:
    """What a mask becomes. The end of the text and lengths are never drawn (reading.py)."""
    label, p = reading.label[m], probability(reading, m)
    if label == DEL and not block.ends_anywhere:
        return Move("delete", index, removed=MASK, p=p)
    if label == INS:
        return Move("insert", index, count=1, p=p)
    return Move("unmask", index, token=label if label < NUM_RESERVED else reading.sampled[m], p=p)


def _grant_expansions(block: Block, moves: list[Move | None]) -> None:
    """Drops expansions beyond room and budget, from the left: the right ones are made first. (Where there is neither,
    nobody is asked for them, so a step never drops all.)
    """
    left = min(block.capacity - len(block.rows), block.insert_budget)
    for index in reversed(range(len(moves))):
        move = moves[index]
        if move is not None and move.kind == "insert":
            left -= 1
            if left < 0:
                moves[index] = None


def _edits(
    block: Block, asks: list[Ask], reading: Reading, policy: Policy, frontier: int, moves: list[Move | None]
) -> Move | None:
    """Fills in the edits that labels ask for left of the frontier; gives the first draft row that wants the end."""
    end: Move | None = None
    edited = _edited(block, asks, reading, policy, frontier) if policy.edits != "none" else set()
    for m, ask in enumerate(asks):
        index = ask.index
        if index >= frontier:
            break
        row = block.rows[index]
        if row.state == MASKED:
            continue
        label, p, own = reading.label[m], reading.p[m], reading.own[m]
        if m not in edited:
            is_unsure = label == row.token or p <= policy.tau_edit or policy.edits == "none"
            if is_unsure and row.state == DRAFT and own < policy.tau_remask and row.edits_left > 0:
                moves[index] = Move("remask", index, removed=row.token, p=own)
        elif label == INS:
            moves[index] = Move("insert", index, count=1, p=p)
        elif row.edits_left <= 0:
            continue
        elif label == DEL:
            moves[index] = Move("delete", index, removed=row.token, p=p)
        elif label == EOM:
            end = end or Move("end", index, token=EOM, removed=row.token, p=p)
        else:
            moves[index] = Move("substitute", index, token=label, removed=row.token, p=p)
    return end


def _edited(block: Block, asks: list[Ask], reading: Reading, policy: Policy, frontier: int) -> set[int]:
    """The asks whose label replaces what stands there: the sure ones, and those that they carry along, row by row."""

    def wants_change(m: int, least: float, own_max: float) -> bool:
        row = block.rows[asks[m].index]
        is_change = row.state != MASKED and reading.label[m] != row.token
        return is_change and reading.p[m] > least and reading.own[m] < own_max

    inside = [m for m, ask in enumerate(asks) if ask.index < frontier]
    edited = {m for m in inside if wants_change(m, policy.tau_edit, policy.own_max)}
    if policy.tau_carry is not None:
        for towards in (inside, inside[::-1]):
            for before, m in pairwise(towards):
                is_beside = abs(asks[m].index - asks[before].index) == 1
                if before in edited and is_beside and wants_change(m, policy.tau_carry, 1.0):
                    edited.add(m)
    return edited


def _grant_inserts(block: Block, moves: list[Move | None], room: int) -> None:
    """Gives each insert its masks as far as gap, budget, block and canvas allow, else drops it; fuses `<del> <ins>`."""
    room = min(room, block.capacity - len(block.rows))
    budget = block.insert_budget
    for index, move in enumerate(moves):
        if move is None or move.kind != "insert":
            continue
        row = block.rows[index]
        left = moves[index - 1] if index else None
        if row.ins_left <= 0 or not block.gap_open(index):
            moves[index] = None
        elif left is not None and left.kind == "delete":
            # One token wrong in place, said in two labels. The insert is spent (count 0): this must not recur for ever.
            moves[index] = msgspec.structs.replace(move, count=0)
            moves[index - 1] = msgspec.structs.replace(left, kind="remask")
        else:
            count = min(row.ins_next, room, budget)
            moves[index] = msgspec.structs.replace(move, count=count) if count > 0 else None
            room -= max(count, 0)
            budget -= max(count, 0)


def _with_end(
    block: Block,
    asks: list[Ask],
    reading: Reading,
    policy: Policy,
    frontier: int,
    moves: list[Move | None],
    end: Move | None,
) -> list[Move]:
    """`moves` and, where the step leaves no mask to its left, the end of the text."""
    if end is None and frontier < len(block.rows):
        m = next(m for m, ask in enumerate(asks) if ask.index == frontier)
        was_first_mask = all(row.state != MASKED for row in block.rows[:frontier])
        if was_first_mask or (reading.label[m] == EOM and reading.p[m] > policy.tau_mask):
            end = Move("end", frontier, token=EOM, removed=MASK, p=reading.p[m])
    if end is not None and not _mask_remains(block, moves, end.index) and not _blank_remains(block, moves, end.index):
        kept = [move for move in moves[: end.index] if move is not None]
        return [*kept, end]
    return [move for move in moves if move is not None]


def _mask_remains(block: Block, moves: list[Move | None], stop: int) -> bool:
    """Whether a mask stands left of row `stop` after the moves."""
    for row, move in zip(block.rows[:stop], moves, strict=False):
        if move is None:
            if row.state == MASKED:
                return True
        elif move.kind == "remask" or (move.kind == "insert" and move.count > 0):
            return True
    return False


def _blank_remains(block: Block, moves: list[Move | None], stop: int) -> bool:
    """Whether the canvas would be nothing but white space if it ended at row `stop` (Block.begins_canvas)."""
    if not block.begins_canvas:
        return False
    for row, move in zip(block.rows[:stop], moves, strict=False):
        kind = None if move is None else move.kind
        token = move.token if move is not None and kind in ("unmask", "substitute") else row.token
        if kind != "delete" and token not in block.blank_ids:
            return False
    return True


def _cut_at_end(block: Block, moves: list[Move | None]) -> list[Move]:
    """`moves`, and the end of the text where its token stands after them with no mask before it."""
    for index, (row, move) in enumerate(zip(block.rows, moves, strict=True)):
        if row.state == LOCKED or (move is not None and move.kind == "delete"):
            continue
        if (move.kind in ("insert", "remask")) if move is not None else row.state == MASKED:
            break
        if (row.token if move is None else move.token) in (EOM, DEL):
            p = (row.confidence or 0.0) if move is None else move.p
            kept = [each for each in moves[:index] if each is not None]
            return [*kept, Move("end", index, token=EOM, removed=row.token, p=p)]
    return [move for move in moves if move is not None]


def apply(block: Block, moves: list[Move]) -> bool:
    """Carries out all moves at once; True if the text now ends in this block (its last row is `<eom>`)."""
    by_index = {move.index: move for move in moves}
    rows: list[Row] = []
    for index, row in enumerate(block.rows):
        move = by_index.get(index)
        if move is None:
            rows.append(row)
            continue
        if move.kind == "delete":
            continue
        if move.kind == "end":
            rows.append(Row(token=EOM, state=DRAFT, edits_left=0, confidence=move.p, written=True))
            block.rows = rows
            block.end_open = False
            return True
        if move.kind == "insert":
            rows.extend(mask_rows(move.count))
            row.ins_left -= 1
            row.ins_next = min(2 * row.ins_next, MAX_INSERT)
            block.insert_budget -= move.count
        else:
            assert row.state != LOCKED, "a locked token takes no move but an insert before it"
            _rewrite(row, move)
        rows.append(row)
    block.rows = rows
    return False


def _rewrite(row: Row, move: Move) -> None:
    if move.kind == "unmask":
        row.token, row.state, row.confidence, row.written = move.token, DRAFT, move.p, True
        return
    if row.state == MASKED:
        return  # a surplus mask before an <ins>: the pair leaves it as it is
    row.edits_left -= 1
    row.banned = row.token
    if move.kind == "substitute":
        row.token, row.confidence, row.written = move.token, move.p, True
    else:
        row.token, row.state, row.confidence, row.written = MASK, MASKED, None, False
