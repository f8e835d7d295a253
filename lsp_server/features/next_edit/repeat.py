"""Repetition: the same change was made on two lines, and there are more lines that it fits.

The same = the same tokens gone and the same tokens come, whatever the rest of the lines says. It fits a line of their
shape (names, numbers and marks in the same order) that says the same wherever the two examples do; where they agree on
no word at all, only next to them. Or it fits wherever the tokens that went stand between the same neighbours, if they
say enough to be recognised; a name in Python only where it means the same variable. Source: "repeated edits" as Copilot
and Cursor describe them. Left out: one example (a guess, unless it is asked for by hand), changes that span lines,
inserted text that differs from line to line.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from lsp_server.features.next_edit.history import Lines, Run
from lsp_server.features.next_edit.places import FollowUp, Place, place_on_line
from lsp_server.features.next_edit.token_diff import Script, Token, script, tokens
from model.syntax.incremental import Parsed
from model.syntax.names import LANGUAGE, Variable, at, occurrences

MAX_HUNKS = 4
MAX_PLACES = 50
NUM_NEIGHBOURS = 1
MIN_WORD_CHARS = 3


class _Change(NamedTuple):
    """One hunk for any line: the tokens `gone`, and the characters that replace what begins where the first of them
    begins, or behind token `at_token` - 1 where none are gone."""

    at_token: int
    gone: tuple[str, ...]
    come: str


class _Example(NamedTuple):
    row: int
    old: list[str]
    changes: tuple[_Change, ...]
    script: Script

    @property
    def shape(self) -> tuple[tuple[tuple[str, ...], str], ...]:
        return tuple((change.gone, change.come) for change in self.changes)


def repetition(
    runs: Sequence[Run], lines: Lines, now: Parsed | None, is_code: Callable[[int, int], bool], *, by_hand: bool
) -> FollowUp | None:
    """What follows from the last two runs that made the same change; by hand, from the last one alone."""
    examples = [one for run in runs if run.is_in(lines) and (one := _example(run)) is not None]
    if not examples or not runs or examples[-1].row != runs[-1].row:
        return None
    last = examples[-1]
    alike = [one for one in examples[:-1] if one.shape == last.shape and one.row != last.row]
    if not alike and not by_hand:
        return None
    if not all(is_code(last.row, last.script.new[hunk.new_start].start) for hunk in last.script.hunks if _comes(hunk)):
        return None
    other = alike[-1] if alike else last
    taken = {one.row for one in (*alike, last)}
    places = list(_places(last, other, taken, lines, now, is_code))
    return FollowUp("repeat", _title(last), tuple(places)) if 0 < len(places) <= MAX_PLACES else None


def _comes(hunk) -> bool:
    return hunk.new_end > hunk.new_start


def _title(example: _Example) -> str:
    change = example.changes[0]
    gone, come = " ".join(change.gone), change.come.strip()
    return f"Replace {gone} by {come}" if gone and come else f"Add {come}" if come else f"Remove {gone}"


def _example(run: Run) -> _Example | None:
    if len(run.old) != 1 or len(run.new) != 1:
        return None
    changed = script(run.old[0], run.new[0])
    if changed is None or not 0 < len(changed.hunks) <= MAX_HUNKS:
        return None
    changes = []
    for hunk in changed.hunks:
        gone = tuple(token.text for token in changed.old[hunk.old_start : hunk.old_end])
        if hunk.old_start == 0 and hunk.old_end == len(changed.old):
            return None  # the whole line is another one
        changes.append(_Change(hunk.old_start, gone, _come(changed, hunk, run.new[0])))
    return _Example(run.row, [token.text for token in changed.old], tuple(changes), changed)


def _come(changed: Script, hunk, new: str) -> str:
    """The characters that come: with the white space before them where they stand behind a token and none is gone."""
    if hunk.new_start == hunk.new_end:
        return ""
    end = changed.new[hunk.new_end - 1].end
    if hunk.old_start == hunk.old_end:
        if hunk.new_start == 0:
            return new[changed.new[0].start : changed.new[hunk.new_end].start]
        return new[changed.new[hunk.new_start - 1].end : end]
    return new[changed.new[hunk.new_start].start : end]


def _places(
    last: _Example,
    other: _Example,
    taken: set[int],
    lines: Lines,
    now: Parsed | None,
    is_code: Callable[[int, int], bool],
) -> Iterator[Place]:
    context = _context(last, other)
    meant = _meaning(last, other, now)
    beside = _beside(last, taken, lines)
    for row, line in enumerate(lines):
        if row in taken or not all(gone in line for change in last.changes for gone in change.gone):
            continue
        found = tokens(line)
        changes = last.changes if _fits(last, other, found, is_beside=row in beside) else ()
        if not changes and context is not None:
            changes = _moved(last.changes[0], *context, found)
        if meant is not None:
            changes = tuple(change for change in changes if _means(meant, last, found[change.at_token], row, now))
        place = _place(changes, found, line, row, lines)
        if place is not None and all(is_code(row, _start(change, found)) for change in changes):
            yield place


def _masked(texts: Sequence[str]) -> list[str]:
    return ["w" if text.isidentifier() else "9" if text[0].isdigit() else text for text in texts]


def _fits(last: _Example, other: _Example, found: Sequence[Token], *, is_beside: bool) -> bool:
    """Whether a line has the shape of the examples and says the same where they do."""
    texts = [token.text for token in found]
    if len(texts) != len(last.old) or len(other.old) != len(last.old) or _masked(texts) != _masked(last.old):
        return False
    if _masked(other.old) != _masked(last.old) or not _goes(last.changes, texts):
        return False
    fixed = [index for index, text in enumerate(last.old) if text == other.old[index]]
    if last is other and not is_beside:
        return False  # one example says nothing of what may differ
    fixed = [] if last is other else fixed
    if any(texts[index] != last.old[index] for index in fixed):
        return False
    return is_beside or any(last.old[index].isidentifier() for index in fixed)


def _goes(changes: Sequence[_Change], texts: Sequence[str]) -> bool:
    return all(tuple(texts[change.at_token : change.at_token + len(change.gone)]) == change.gone for change in changes)


def _beside(last: _Example, taken: set[int], lines: Lines) -> set[int]:
    """The rows of the block of lines around the last example that have its shape, as it was or as it is now."""
    shapes = (_masked(last.old), _masked([token.text for token in last.script.new]))
    indent, found = _indent(lines[last.row]), set[int]()
    for step in (1, -1):
        row = last.row + step
        while 0 <= row < len(lines) and (row in taken or _is_alike(lines[row], indent, shapes)):
            found.add(row)
            row += step
    return found


def _is_alike(line: str, indent: str, shapes: tuple[list[str], ...]) -> bool:
    return _indent(line) == indent and _masked([token.text for token in tokens(line)]) in shapes


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _context(last: _Example, other: _Example) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The tokens before and behind the one hunk that both examples have; None where that says too little."""
    if len(last.changes) != 1 or last is other:
        return None
    change, others = last.changes[0], other.changes[0]
    if not any(text.isidentifier() and len(text) >= MIN_WORD_CHARS for text in change.gone):
        return None
    before = _common(last.old[: change.at_token][::-1], other.old[: others.at_token][::-1])[::-1]
    behind = _common(last.old[change.at_token + len(change.gone) :], other.old[others.at_token + len(others.gone) :])
    return (tuple(before), tuple(behind)) if before or behind else None


def _common(one: Sequence[str], other: Sequence[str]) -> list[str]:
    common = []
    for text, other_text in zip(one[:NUM_NEIGHBOURS], other[:NUM_NEIGHBOURS], strict=False):
        if text != other_text:
            break
        common.append(text)
    return common


def _moved(
    change: _Change, before: tuple[str, ...], behind: tuple[str, ...], found: Sequence[Token]
) -> tuple[_Change, ...]:
    """The hunk wherever its tokens stand between those neighbours."""
    wanted = (*before, *change.gone, *behind)
    texts = tuple(token.text for token in found)
    starts = (start for start in range(len(texts) - len(wanted) + 1) if texts[start : start + len(wanted)] == wanted)
    return tuple(change._replace(at_token=start + len(before)) for start in starts)


def _meaning(last: _Example, other: _Example, now: Parsed | None) -> tuple[Variable | None, ...] | None:
    """Which variables the examples' new name is, where one name replaced another in Python; else None."""
    change, is_one = last.changes[0], len(last.changes) == 1
    if not is_one or now is None or now.language != LANGUAGE or len(change.gone) != 1 or not change.come.isidentifier():
        return None
    found = occurrences(now, (change.gone[0], change.come))
    meant = []
    for example in (last, other):
        token = example.script.new[example.script.hunks[0].new_start]
        one = at(found, example.row, token.start)
        meant.append(None if one is None else one.variable)
    return tuple(meant)


def _means(meant: tuple[Variable | None, ...], last: _Example, token: Token, row: int, now: Parsed | None) -> bool:
    if now is None:
        return False
    one = at(occurrences(now, (last.changes[0].gone[0], last.changes[0].come)), row, token.start)
    return one is not None and one.variable in meant


def _start(change: _Change, found: Sequence[Token]) -> int:
    return found[change.at_token].start if change.gone or change.at_token < len(found) else found[-1].end


def _place(changes: Sequence[_Change], found: Sequence[Token], line: str, row: int, lines: Lines) -> Place | None:
    """All hunks of one line as one place."""
    if not changes:
        return None
    text, first, done = "", -1, 0
    for change in changes:
        start, end = _span(change, found)
        if first < 0:
            first = done = start
        text += line[done:start] + change.come
        done = end
    return place_on_line(lines, row, first, done, text)


def _span(change: _Change, found: Sequence[Token]) -> tuple[int, int]:
    last = change.at_token + len(change.gone)
    if change.gone and (change.come or change.at_token == 0):
        return found[change.at_token].start, found[last - 1].end
    if change.gone:
        return found[change.at_token - 1].end, found[last - 1].end  # with the white space before what goes
    at_start = found[0].start if change.at_token == 0 else found[change.at_token - 1].end
    return at_start, at_start
