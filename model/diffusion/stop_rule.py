"""Asking whether what stands at a canvas's left is the text already.

Source: this project; the rules themselves are the caller's (model/engine/stopping.py). Left out: what follows (run.py,
whole_run.py).
"""

from collections.abc import Callable, Sequence

from model.diffusion.block import Row
from model.diffusion.states import LOCKED, MASKED
from model.tokenizer import EOM

Finished = Callable[[list[int]], int | None]
"""Given the final left run of canvas tokens, how many of them are the text, or None."""


class StopRule:
    """Asks about each left run once."""

    def __init__(self, finished: Finished | None) -> None:
        self._finished = finished
        self._asked: list[int] = []

    def num_kept(self, committed: Sequence[int], rows: Sequence[Row]) -> int | None:
        """How many of the committed tokens and of those of the rows behind them are the text; None = it goes on."""
        if self._finished is None:
            return None
        end = next((i for i, row in enumerate(rows) if row.state == MASKED or row.token == EOM), len(rows))
        # Locked text is never cut off: while some of it stands behind a mask there is nothing to ask.
        if any(row.state == LOCKED and row.token != EOM for row in rows[end:]):
            return None
        run = [*committed, *(row.token for row in rows[:end])]
        if not run or run == self._asked:
            return None
        self._asked = run
        num_kept = self._finished(list(run))
        if num_kept is None:
            return None
        last_locked = max((i for i, row in enumerate(rows[:end]) if row.state == LOCKED), default=-1)
        return max(num_kept, len(committed) + last_locked + 1 if last_locked >= 0 else 0)
