"""One line looked at closely: every repair worth considering, and the numbers by which they are ranked.

Proposals come from rules (rules.py) and from the noisy stream (blind.py); a cheap score keeps the likeliest, the clean
stream weighs those (likelihood.py), the parser drops those that read worse. Left out: the weights of the numbers
(ranking.py) and which lines to look at (find.py).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from model.mending.blind import Draft, Holes, read_draft, read_holes
from model.mending.edits import KINDS, Change, Kind, change_of, is_of_quotes, smallest
from model.mending.likelihood import Judged
from model.mending.reader import Reader
from model.mending.rules import LineRules
from model.mending.text_view import TextView
from model.mending.words import Elsewhere, runs_of, words_of
from model.syntax.python import parses

MAX_JUDGED = 40
MAX_FILLINGS = 64
MAX_LINE_TOKENS = 96
_LONG_STRING = re.compile(r"""^(?:''|"")|'''|\"""|[\w.!?](?:''|"")$""")
"""What may be three quotes, or has been."""
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")

NUMBERS = (
    "gain",
    "gain up to 6",
    "blind",
    "edit",
    "surprisal",
    "mended",
    "still broken",
    "unknown removed",
    "unknown added",
    "removed elsewhere",
    "added elsewhere",
    "pairs lost",
    "pairs new",
    "triples lost",
    "triples new",
    "size",
    "fewer tokens",
    "gain, broken",
    "chars removed, broken",
    "chars added, broken",
    "written twice, broken",
)
MENDED = NUMBERS.index("mended")
FEATURES = (*NUMBERS, *(f"{kind}, sound" for kind in KINDS), *(f"{kind}, broken" for kind in KINDS))


class Proposal(NamedTuple):
    """`changed` in place of the line's code; `features` in the order of FEATURES."""

    changed: str
    kind: Kind
    features: np.ndarray

    @property
    def is_of_broken_line(self) -> bool:
        """Whether the parser cannot read the line as it is."""
        return bool(self.features[len(NUMBERS) + len(KINDS) :].any())

    @property
    def mends(self) -> bool:
        """Whether the parser reads the changed line, and not the line as it is."""
        return bool(self.features[MENDED])


class Study(NamedTuple):
    """The code of a row, where it begins, and its proposals (none where there is nothing to propose)."""

    row: int
    start: int
    code: str
    proposals: Sequence[Proposal]


def study(reader: Reader, view: TextView, row: int) -> Study:
    """The proposals for one row of code."""
    start, code = view.code(row)
    line = Line(reader, view, row) if view.has_code(row) else None
    return Study(row, start, code, () if line is None else line.proposals())


class Line:
    """A row of code. The network reads it when proposals are asked for."""

    def __init__(self, reader: Reader, view: TextView, row: int) -> None:
        self._reader, self._view, self._row = reader, view, row
        self._start, self._code = view.code(row)
        self._ids = reader.encode(self._code)
        self._words: dict[str, tuple[str, ...]] = {}
        self._verdicts: dict[tuple[str, ...], bool] = {}
        self._elsewhere: Elsewhere = view.elsewhere(row)
        self._excerpt = view.excerpt(row)
        self._indent = view.text[view.starts[row] : self._start]
        self._end = view.lines[row][len(self._indent) + len(self._code) :]
        self._errors = self._read(self._code)
        # Of a statement that is too long for an excerpt, or a string that may be cut by it, all of the text is read.
        self._is_long = self._excerpt.is_cut or bool(_LONG_STRING.search(self._code))
        self._is_broken = not view.is_sound and (self._errors != (0, True) or self._is_long)
        self._depth = _depth(word.text for word in words_of(self._code))
        if self._is_broken:  # as many brackets as open must close
            self._depth -= self._excerpt.excess

    def can_be_mended(self) -> bool:
        """Whether the parser reads one of the changes that need no network, and not the line as it is."""
        is_hopeful = self._is_broken and len(self._ids) <= MAX_LINE_TOKENS
        return is_hopeful and any(self._reads(changed) for changed in self._ruled)

    def proposals(self) -> list[Proposal]:
        if len(self._ids) > MAX_LINE_TOKENS:
            return []
        start, end = self._start, self._start + len(self._code)
        prompt = self._reader.prompt_of(self._view.path, self._view.text[:start], self._code, self._view.text[end:])
        self._judged = Judged(self._reader, prompt, self._ids)
        self._holes: Holes = read_holes(self._reader, self._judged.num_prompt, self._ids)
        self._draft: Draft = read_draft(self._reader, self._judged.num_prompt, self._ids)
        changes = self._ruled | self._changes(self._filled())
        if self._is_broken:
            changes = self._readable(changes)
        encoded = {changed: self._reader.encode(changed) for changed in changes}
        cheap = {changed: self._cheap(change, encoded[changed]) for changed, change in changes.items()}
        chosen = sorted(changes, key=lambda changed: -cheap[changed])
        if not self._is_broken:
            chosen = self._no_worse(chosen)
        chosen = chosen[:MAX_JUDGED]
        gains = self._judged.gains([encoded[changed] for changed in chosen])
        return [
            Proposal(changed, changes[changed].kind, self._features(changed, changes[changed], encoded[changed], gain))
            for changed, gain in zip(chosen, gains, strict=True)
        ]

    @cached_property
    def _ruled(self) -> dict[str, Change]:
        """The changes that need no network."""
        rules = LineRules(
            self._code,
            self._start,
            self._view.scopes,
            self._view.names_near(self._row),
            is_broken=self._is_broken,
            begins_parameters=self._view.begins_parameters(self._row),
        )
        return self._changes(edit.applied(self._code).rstrip() for edit in rules.edits())

    def _filled(self) -> Iterator[str]:
        for filling in self._holes.fillings()[:MAX_FILLINGS]:
            ids = [*self._ids[: filling.start], *filling.ids, *self._ids[filling.end :]]
            try:
                yield self._reader.tokenizer.decode_bytes(ids).decode().rstrip()
            except UnicodeDecodeError:
                continue

    def _changes(self, texts: Iterable[str]) -> dict[str, Change]:
        """Proposed lines with what each changes."""
        old = words_of(self._code)
        changes: dict[str, Change] = {}
        for text in dict.fromkeys(texts):
            if text.strip() == text and text and "\n" not in text and text != self._code:
                words = words_of(text)
                change = change_of(old, words)
                if change is not None:
                    changes[text] = change._replace(kind="quote") if is_of_quotes(self._code, text) else change
                    self._words[text] = tuple(word.text for word in words)
        return changes

    def _read(self, changed: str) -> tuple[int, bool]:
        self._reader.breathe()
        return self._excerpt.errors(self._indent + changed + self._end)

    def _readable(self, changes: dict[str, Change]) -> dict[str, Change]:
        """Of a broken line: the changes that mend it, or if there are none, those that make it no worse."""
        mended = {text: change for text, change in changes.items() if self._reads(text)}
        if mended:
            return mended
        return {text: change for text, change in changes.items() if self._read(text)[0] < self._errors[0]}

    def _reads(self, changed: str) -> bool:
        """Whether CPython reads the changed line; asked once for all that differ in blanks alone."""
        words = self._words[changed]
        if words not in self._verdicts and self._is_broken and not self._may_read(changed):
            self._verdicts[words] = False
        if words not in self._verdicts:
            self._verdicts[words] = self._is_read(changed)
        return self._verdicts[words]

    def _is_read(self, changed: str) -> bool:
        self._reader.breathe()
        line = self._indent + changed + self._end
        if not self._is_broken or not self._is_long:
            return self._excerpt.is_read(line)
        starts = self._view.starts
        return parses(self._view.text[: starts[self._row]] + line + self._view.text[starts[self._row + 1] :])

    def _may_read(self, changed: str) -> bool:
        """Whether brackets, as many as open, are closed again; where quotes change nobody knows what a bracket is."""
        if any(self._code.count(quote) != changed.count(quote) for quote in "'\""):
            return True
        return _depth(self._words[changed]) == self._depth

    def _no_worse(self, ordered: Sequence[str]) -> list[str]:
        """The first of a sound line's changes that read no worse."""
        kept: list[str] = []
        for text in ordered:
            if len(kept) >= MAX_JUDGED:
                break
            if self._reads(text) or (not self._errors[1] and self._read(text)[0] <= self._errors[0]):
                kept.append(text)
        return kept

    def _cheap(self, change: Change, ids: Sequence[int]) -> float:
        """A guess at the worth of a change before the clean stream has seen it."""
        start, end, new = _unlike(self._ids, ids)
        blind = self._holes.first(start, new[0], end - start) if new else 0.0
        known = self._scope(change)
        draft = self._draft.margin(start, end, new)
        bonus = {"spelling": 2.0, "equals": 6.0, "self": 4.0, "arguments": 3.0, "number": 2.0, "operator": 2.0}
        return (
            max(blind, -12.0) / 2
            + max(draft, -12.0) / 4
            + 4.0 * known[0]
            - 4.0 * known[1]
            + bonus.get(change.kind, 0.0)
        )

    def _scope(self, change: Change) -> tuple[int, int]:
        """How many names that nothing binds go, and how many come."""
        place = self._start
        gone = sum(self._is_unknown(word.text, place + word.start) for word in change.removed if word.kind == "name")
        come = sum(self._is_unknown(word.text, place) for word in change.added if word.kind == "name")
        return gone, come

    def _is_unknown(self, name: str, offset: int) -> bool:
        """Neither bound here nor used anywhere else: an attribute is known by being used."""
        return not self._view.scopes.is_known(name, offset) and not (
            self._elsewhere.count(name) and name in self._view.scopes.attributes
        )

    def _features(self, changed: str, change: Change, ids: Sequence[int], gain: float) -> np.ndarray:
        self._reader.breathe()
        start, end, new = _unlike(self._ids, ids)
        unknown = self._scope(change)
        names = {"name", "keyword"}
        removed = [math.log1p(self._elsewhere.count(word.text)) for word in change.removed if word.kind in names]
        added = [math.log1p(self._elsewhere.count(word.text)) for word in change.added if word.kind in names]
        reads = self._reads(changed) if self._is_broken else True
        numbers = [
            max(-20.0, min(gain, 40.0)) / 4,
            max(-6.0, min(gain, 6.0)) / 2,
            max(-12.0, min(self._holes.first(start, new[0], end - start) if new else 0.0, 12.0)) / 4,
            max(-12.0, min(self._draft.margin(start, end, new), 12.0)) / 4,
            max(self._judged.surprisals[start : max(end, start + 1)]) / 4,
            float(self._is_broken and reads),
            float(not reads),
            float(unknown[0]),
            float(unknown[1]),
            min(removed, default=0.0),
            min(added, default=0.0),
            *self._neighbours(changed),
            math.log1p(abs(len(changed) - len(self._code)) + len(change.removed) + len(change.added)),
            (len(self._ids) - len(ids)) / 2,
            *(self._slip(changed, gain) if self._is_broken else (0.0, 0.0, 0.0, 0.0)),
        ]
        kinds = np.zeros(2 * len(KINDS))
        kinds[KINDS.index(change.kind) + len(KINDS) * self._is_broken] = 1.0
        return np.concatenate((np.array(numbers), kinds))

    def _slip(self, changed: str, gain: float) -> tuple[float, float, float, float]:
        """Of a broken line: the gain, and how likely a hand makes this slip: few characters, or a word twice."""
        edit = smallest(self._code, changed)
        gone = self._code[edit.start : edit.end].strip()
        beside = (self._code[: edit.start].rstrip(), self._code[edit.end :].lstrip())
        is_twice = bool(gone) and not edit.text.strip() and (beside[0].endswith(gone) or beside[1].startswith(gone))
        num_gone, num_come = len(gone), len(edit.text.strip())
        return max(-20.0, min(gain, 40.0)) / 4, min(num_gone, 20) / 4, min(num_come, 20) / 4, float(is_twice)

    def _neighbours(self, changed: str) -> tuple[float, float, float, float]:
        """How usual the pairs and triples of neighbours are in the rest of the text: those lost, and those new."""
        found: list[float] = []
        for length in (2, 3):
            old, new = Counter(runs_of(self._code, length)), Counter(runs_of(changed, length))
            for some in (old - new, new - old):
                counts = [math.log1p(self._elsewhere.count(*run)) for run in some]
                found.append(sum(counts) / len(counts) if counts else 0.0)
        return found[0], found[1], found[2], found[3]


def _depth(words: Iterable[str]) -> int:
    """Brackets that open less those that close."""
    return sum((word in _OPENING) - (word in _CLOSING) for word in words)


def _unlike(old: Sequence[int], new: Sequence[int]) -> tuple[int, int, Sequence[int]]:
    """Tokens start..end of the old line and those that take their place."""
    limit = min(len(old), len(new))
    start = next((i for i in range(limit) if old[i] != new[i]), limit)
    num_after = next((i for i in range(limit - start) if old[-1 - i] != new[-1 - i]), limit - start)
    return start, len(old) - num_after, new[start : len(new) - num_after]
