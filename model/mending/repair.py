"""Fix and mend: the repairs of a text that are worth showing.

*Fix* looks at rows that somebody named, *mend* at those that look wrong (find.py); both study each row (study.py), rank
its proposals, and show the best one if its number reaches the threshold of the calibration. What a second look at the
repaired row would change again is not shown, and of several repairs of one broken statement only the best is. Source:
this project's own rules. Left out: repairs that touch several lines, languages other than Python.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from model.mending.edits import Kind, smallest
from model.mending.find import broken_rows, doubts, rows_of_unknown_names
from model.mending.ranking import Best, Calibration, best_of
from model.mending.reader import Reader
from model.mending.study import Line, Proposal, study
from model.mending.text_view import TextView
from model.syntax.python import parses

MAX_NAMED_ROWS = 12
LOOKS_PER_1000 = 8
"""Sound rows of 1,000 that the edit head doubts enough for a look."""
MAX_LOOKS_PER_1000 = 30
"""Whatever the text: more looks take too long."""
MIN_LOOKS = 4
MAX_BROKEN_ROWS = 8
MAX_STUDIED = 6
"""Of the rows that a change could mend, the nearest to the one that the parser names."""
MAX_PARSED = 8
MAX_OFFERED = 2
MAX_SCORE = 500.0
SAME_STATEMENT = 3
"""Rows between two repairs that may be alternatives."""


class Finding(NamedTuple):
    """Characters start..end of the text become `text`. score: the ranking's number; confidence: its probability."""

    row: int
    start: int
    end: int
    text: str
    kind: Kind
    score: float
    confidence: float

    def applied(self, text: str) -> str:
        return text[: self.start] + self.text + text[self.end :]


class Mender:
    """A reader with its calibration."""

    def __init__(self, reader: Reader, calibration: Calibration) -> None:
        self.reader, self.calibration = reader, calibration
        self._weights_F = np.array(list(calibration.weights.values()))

    def fix(self, view: TextView, first_row: int, last_row: int) -> Iterator[Finding]:
        """The best repair of each of the named rows that has one; where the parser stumbles, the best two of all."""
        rows = [row for row in range(first_row, last_row + 1) if row < len(view.lines)][:MAX_NAMED_ROWS]
        mended = [] if view.is_sound else self._mended(view, rows)
        yield from mended or self._shown(view, rows, self.calibration.fix_threshold)

    def _mended(self, view: TextView, rows: Sequence[int]) -> list[Finding]:
        """The likeliest changes that make the parser read the text. Something is wrong for certain: no threshold."""
        lines = {row: Line(self.reader, view, row) for row in rows if view.has_words(row)}
        hopeful: list[int] = []
        for row in _nearest(lines, view.error_row):
            self.reader.between()  # hundreds of changes are parsed
            if len(hopeful) < MAX_STUDIED and lines[row].can_be_mended():
                hopeful.append(row)
        ranked: list[tuple[float, int, Proposal]] = []
        for row in hopeful:
            proposals = [proposal for proposal in lines[row].proposals() if proposal.mends]
            ranked += [(float(proposal.features @ self._weights_F), row, proposal) for proposal in proposals]
        ranked.sort(key=lambda one: -one[0])
        total = 1.0 + sum(math.exp(min(score, MAX_SCORE)) for score, _, _ in ranked)
        found = [
            _finding(view, row, proposal, score, math.exp(min(score, MAX_SCORE)) / total)
            for score, row, proposal in ranked[:MAX_PARSED]
        ]
        whole = [finding for finding in found if self._is_whole(view, finding)]
        return (whole or found)[:MAX_OFFERED]

    def _is_whole(self, view: TextView, finding: Finding) -> bool:
        self.reader.breathe()
        return parses(finding.applied(view.text))

    def mend(self, view: TextView, first_row: int = 0, last_row: int | None = None) -> Iterator[Finding]:
        """The repairs of rows first..last (None = the end) that nobody named."""
        assert self.calibration.mend_threshold is not None
        yield from self._shown(view, self.suspects(view, first_row, last_row), self.calibration.mend_threshold)

    def suspects(
        self, view: TextView, first_row: int = 0, last_row: int | None = None, doubt: dict[int, float] | None = None
    ) -> list[int]:
        """The rows that are worth a look: the parser stumbles, a name is unknown, the edit head doubts.

        doubt: of each row, where it is known already.
        """
        inside = range(first_row, len(view.lines) if last_row is None else last_row + 1)
        found = [row for row in broken_rows(view) if row in inside][:MAX_BROKEN_ROWS]
        found += [row for row in rows_of_unknown_names(view) if row in inside]
        if doubt is None:
            doubt = doubts(self.reader, view, inside)
        num = max(MIN_LOOKS, len(inside) * MAX_LOOKS_PER_1000 // 1000)
        least = self.calibration.doubt_threshold
        doubtful = sorted((row for row in doubt if doubt[row] >= least), key=lambda row: -doubt[row])
        return list(dict.fromkeys([*found, *doubtful[:num]]))

    def best(self, view: TextView, row: int) -> tuple[Finding, Best] | None:
        """The best proposal for a row, shown or not."""
        best = best_of(study(self.reader, view, row).proposals, self._weights_F)
        return None if best is None else (_finding(view, row, best.proposal, best.score, best.confidence), best)

    def _shown(self, view: TextView, rows: Sequence[int], threshold: float) -> Iterator[Finding]:
        """In sound text each repair as soon as it is proved; in broken text they wait for their rivals."""
        waiting: list[Finding] = []
        for row in rows:
            best = self.best(view, row) if view.has_code(row) else None
            if best is None or best[0].score < threshold:
                continue
            if not view.is_sound and best[1].proposal.is_of_broken_line:
                waiting.append(best[0])
            elif self._settles(view, best[0], threshold):
                yield best[0]
        for finding in _without_rivals(waiting):
            if self._settles(view, finding, threshold):
                yield finding

    def _settles(self, view: TextView, finding: Finding, threshold: float) -> bool:
        """Whether a second look at the repaired row leaves it as it is."""
        start, end = view.starts[finding.row], view.starts[finding.row + 1]
        line = view.text[start : finding.start] + finding.text + view.text[finding.end : end]
        again = self.best(view.with_row(finding.row, line), finding.row)
        return again is None or again[0].score < threshold


def _finding(view: TextView, row: int, proposal: Proposal, score: float, confidence: float) -> Finding:
    """What a proposal changes of the text."""
    start, code = view.code(row)
    edit = smallest(code, proposal.changed)
    end = edit.end
    if edit.end == len(code) and edit.text:  # blanks at the end of the line stood before what is missing
        line = view.lines[row].rstrip("\r\n")
        end = len(line) - (start - view.starts[row])
    return Finding(row, start + edit.start, start + end, edit.text, proposal.kind, score, confidence)


def _nearest(rows: Iterable[int], named: int | None) -> list[int]:
    """The row that the parser names first, then those around it."""
    return sorted(rows) if named is None else sorted(rows, key=lambda row: (abs(row - named), row))


def _without_rivals(found: Sequence[Finding]) -> list[Finding]:
    """The best of several repairs so near each other that each may mend the same error."""
    kept: list[Finding] = []
    for finding in sorted(found, key=lambda finding: -finding.score):
        if all(abs(finding.row - other.row) > SAME_STATEMENT for other in kept):
            kept.append(finding)
    return kept
