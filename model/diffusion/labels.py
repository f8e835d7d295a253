"""Labels of a corrupted block: what each position should become, by the cheapest alignment with the clean block.

D[i][j] is the least cost of aligning z[i:] with x[j:]: equal visible token 0, mask with any token 1, surplus mask 2,
visible token with another token 4, missing token 5, surplus visible token 5; a locked token may only be equal. The
walk from (0, 0) takes the diagonal if it is optimal, else "missing", else "surplus". On a diagonal the label is the
clean token, a surplus position gets <del>, and <ins> overrides the label of a visible token that has one or more
missing tokens directly before it (the next step gives its own label). Tokens missing after the last position give no
label here: the next block sees them as missing before its first token.

Source: this project's answer to a question the Seed Diffusion paper leaves open (how insertions and deletions keep the
length). Left out: applying the labels (moves.py in the sampler).
"""

from collections.abc import Sequence

import numpy as np

from model.diffusion.states import LOCKED, MASKED
from model.tokenizer import DEL, INS

MASK_ANY, MASK_SURPLUS, SUBSTITUTE, MISSING, SURPLUS = 1, 2, 4, 5, 5
_FORBIDDEN = 1 << 20


def align_labels(z: Sequence[int], states: Sequence[int], x: Sequence[int]) -> list[int]:
    """One label for every position of the corrupted block `z` (token ids, states beside them) against the clean `x`.

    Raises ValueError if a locked token of `z` has no counterpart in `x` (locked text must be true text).
    """
    if len(z) != len(states):
        raise ValueError(f"{len(z)} tokens but {len(states)} states")
    # Common case without a table: same length and every visible token right. Each mask costs at least 1 in any
    # alignment, so the diagonal is optimal everywhere.
    if len(z) == len(x) and all(
        state == MASKED or token == true for token, state, true in zip(z, states, x, strict=True)
    ):
        return list(x)
    # An equal visible first token is always aligned with its equal (any other choice can be exchanged at no cost, but
    # not with a locked token that needs its place), so a common start needs no table. A common end does: gaps slide
    # right into it.
    locked = {token for token, state in zip(z, states, strict=True) if state == LOCKED}
    start = 0
    while start < len(z) and start < len(x) and states[start] != MASKED and z[start] == x[start]:
        if states[start] != LOCKED and z[start] in locked:
            break
        start += 1
    return list(x[:start]) + _walk(z[start:], states[start:], x[start:])


def _walk(z: Sequence[int], states: Sequence[int], x: Sequence[int]) -> list[int]:
    costs, table = _cost_table(z, states, x)
    if table[0][len(x)] >= _FORBIDDEN:
        raise ValueError("a locked token of the corrupted block is not in the clean block, in this order")
    num_z, num_x = len(z), len(x)
    labels = [DEL] * num_z
    i = j = 0
    gap = False
    while i < num_z or j < num_x:
        here = table[i][num_x - j]
        if i < num_z and j < num_x and here == costs[i][num_x - 1 - j] + table[i + 1][num_x - j - 1]:
            labels[i] = INS if gap else x[j]
            gap = False
            i += 1
            j += 1
        elif j < num_x and here == MISSING + table[i][num_x - j - 1]:
            gap = True
            j += 1
        else:
            i += 1
    return labels


def _cost_table(z: Sequence[int], states: Sequence[int], x: Sequence[int]) -> tuple[list[list[int]], list[list[int]]]:
    """(diagonal costs, D), both with the clean side reversed: column r of D stands for x[len(x) - r:].

    Row by row; inside a row "missing" is a running minimum, so it is one `minimum.accumulate` per row.
    """
    num_z, num_x = len(z), len(x)
    z_ids = np.asarray(z, np.int64)
    x_reversed = np.asarray(x, np.int64)[::-1]
    state_ids = np.asarray(states, np.int64)
    masked = state_ids == MASKED
    costs = np.where(z_ids[:, None] == x_reversed[None, :], 0, SUBSTITUTE)
    costs[state_ids == LOCKED] = np.where(costs[state_ids == LOCKED] == 0, 0, _FORBIDDEN)
    costs[masked] = MASK_ANY
    skips = np.where(masked, MASK_SURPLUS, np.where(state_ids == LOCKED, _FORBIDDEN, SURPLUS))
    ramp = MISSING * np.arange(num_x + 1, dtype=np.int64)
    table = np.empty((num_z + 1, num_x + 1), np.int64)
    table[num_z] = ramp
    for i in range(num_z - 1, -1, -1):
        row = table[i + 1] + skips[i]
        np.minimum(row[1:], table[i + 1, :-1] + costs[i], out=row[1:])
        row -= ramp
        np.minimum.accumulate(row, out=row)
        np.add(row, ramp, out=table[i])
    return costs.tolist(), table.tolist()
