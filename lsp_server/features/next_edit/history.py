"""What was changed lately in a document, as runs of keystrokes: which lines they replaced, and by what.

Source: Zed's and Cursor's edit history (what follows is told from what was just done), kept as lines and not as a diff
text, since only rules read it. Keystrokes in the same lines are one run, until something is changed
elsewhere. Told from the texts alone, so undo takes a run away and a whole-document change costs what it changes.
Bounded: few runs, and none of what is large (a paste, a formatter, a rename by another tool: those are complete).
Left out: what the runs mean (token_diff.py, rename.py …).
"""

import msgspec

from model.syntax.incremental import num_equal_at_end, num_equal_at_start

MAX_RUNS = 8
MAX_RUN_LINES = 60
MAX_RUN_CHARS = 8_000
# A run keeps the lines of the document before it: references only, but so many that a huge document is left alone.
MAX_DOCUMENT_LINES = 20_000

Lines = tuple[str, ...]


class Run(msgspec.Struct, frozen=True):
    """The lines from `row` on, which were `old` and are `new`; `before` is the document before, `before_row` the row of
    `old` in it."""

    row: int
    old: Lines
    new: Lines
    before: Lines
    before_row: int

    @property
    def end_row(self) -> int:
        """The row behind the run's lines as they are now."""
        return self.row + len(self.new)

    def is_in(self, lines: Lines) -> bool:
        """Whether `lines` still hold what the run made."""
        return lines[self.row : self.end_row] == self.new


class History(msgspec.Struct, frozen=True):
    """The last runs, the newest last."""

    runs: tuple[Run, ...] = ()

    def after(self, old: Lines, new: Lines) -> "History":
        """The history after a change of the document from the lines `old` to `new`."""
        start, old_end, new_end = _changed_rows(old, new)
        if start == old_end == new_end:
            return self
        if len(new) > MAX_DOCUMENT_LINES or _is_large(old[start:old_end]) or _is_large(new[start:new_end]):
            return History()
        last = self.runs[-1] if self.runs else None
        if last is not None and _goes_on(last, start, old_end):
            merged = _merged(last, old, new, start, old_end)
            earlier = _moved(self.runs[:-1], old_end, new_end - old_end)
            if _is_large(merged.old) or _is_large(merged.new):
                return History()
            return History(earlier if merged.old == merged.new else (*earlier, merged))
        run = Run(start, old[start:old_end], new[start:new_end], old, start)
        return History((*_moved(self.runs, old_end, new_end - old_end), run)[-MAX_RUNS:])

    def followed(self, old: Lines, new: Lines) -> "History":
        """The history after a follow-up was accepted: not the user's own, so what it follows stays the last."""
        _, old_end, new_end = _changed_rows(old, new)
        return History(_moved(self.runs, old_end, new_end - old_end))


def _changed_rows(old: Lines, new: Lines) -> tuple[int, int, int]:
    start = num_equal_at_start(old, new)
    num_after = num_equal_at_end(old[start:], new[start:])
    return start, len(old) - num_after, len(new) - num_after


def _is_large(lines: Lines) -> bool:
    return len(lines) > MAX_RUN_LINES or sum(map(len, lines)) > MAX_RUN_CHARS


def _goes_on(run: Run, start: int, end: int) -> bool:
    """Whether a change of the rows `start` to `end` goes on with the run: in its lines, or new lines after new lines.

    Lines that only touch are other places: the same change line by line is what a repetition consists of.
    """
    if start == end and not run.old:
        return run.row <= start <= run.end_row
    return max(start, run.row) < min(end, run.end_row) or (start == end and run.row < start < run.end_row)


def _merged(run: Run, old: Lines, new: Lines, start: int, end: int) -> Run:
    first, last = min(start, run.row), max(end, run.end_row)
    before = old[first : run.row] + run.old + old[run.end_row : last]
    now = new[first : last + len(new) - len(old)]
    return Run(first, before, now, run.before, run.before_row - (run.row - first))


def _moved(runs: tuple[Run, ...], end: int, num_lines: int) -> tuple[Run, ...]:
    """The runs, those that begin at `end` or below moved by `num_lines`."""
    if num_lines == 0:
        return runs
    return tuple(msgspec.structs.replace(run, row=run.row + num_lines) if run.row >= end else run for run in runs)
