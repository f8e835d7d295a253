"""What was offered lately, found again when the user types into it: answered without the engine.

Source: Copilot's completionsCache.ts and current.ts (an answer is found by the text before the cursor, which the begun
text must continue, and by the exact text after it), Zed's `interpolate`. An entry keeps the lines that it was made
for and is compared with those of today, so it can never be served for other code: any other change of the document
makes it miss, undoing that change makes it hit again. Typing, backspacing into it, typing the brackets that the editor
has closed, and accepting a word or a line are all the same case. Left out: what typing breaks (features/guess.py).
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from lsp_server.outcome import Item
from lsp_server.shaping.draft import Draft, Surroundings
from lsp_server.shaping.suffix_overlap import merge_suffix
from lsp_server.snapshot import Document, Snapshot

MAX_ENTRIES = 48
MAX_BYTES = 8 * 2**20


class Spot(msgspec.Struct, frozen=True):
    """A cursor and all text around it, as a snapshot has them (the popup's selected item counts as typed)."""

    uri: str
    lines: tuple[str, ...]
    row: int
    line_before: str
    line_after: str
    above: tuple[str, ...]


def spot_of(snapshot: Snapshot) -> Spot:
    """The spot of `snapshot`."""
    document, row = snapshot.document, snapshot.cursor.line
    return Spot(document.uri, document.lines, row, snapshot.line_before, snapshot.line_after, snapshot.above)


def typed_since(before: Spot, now: Spot) -> str | None:
    """What was typed at the spot `before` to get to `now`, with `\\n` line ends; None where anything else differs.

    The rest of the cursor's line is not compared: `rest_of` looks at it.
    """
    typed = _text_since(before, now)
    return typed if typed is not None and _same_around(before, now) else None


def _text_since(before: Spot, now: Spot) -> str | None:
    """`typed_since`, as far as the lines between the two cursors tell."""
    num_below = len(before.lines) - before.row
    if before.uri != now.uri or now.row < before.row or len(now.lines) - now.row != num_below:
        return None
    text = "".join((*now.lines[before.row : now.row], now.line_before))
    if not text.startswith(before.line_before):
        return None
    return text[len(before.line_before) :].replace("\r\n", "\n").replace("\r", "\n")


def _same_around(before: Spot, now: Spot) -> bool:
    same_above = before.lines[: before.row] == now.lines[: before.row] and before.above == now.above
    return same_above and before.lines[before.row + 1 :] == now.lines[now.row + 1 :]


def could_become(before: Spot, document: Document) -> bool:
    """Whether `document` may be what comes of typing at the spot, on its line; where the cursor is now is not known."""
    row = before.row
    if before.uri != document.uri or len(before.lines) != len(document.lines):
        return False
    line = document.lines[row].rstrip("\r\n")
    if len(line) < len(before.line_before) + len(before.line_after):
        return False
    if not (line.startswith(before.line_before) and line.endswith(before.line_after)):
        return False
    return before.lines[:row] == document.lines[:row] and before.lines[row + 1 :] == document.lines[row + 1 :]


class Shown(msgspec.Struct, frozen=True):
    """An answer: at `spot`, `text` in place of the `num_replaced` characters behind the cursor."""

    spot: Spot
    text: str
    num_replaced: int
    prefetched: bool = False


def shown_at(snapshot: Snapshot, item: Item, *, prefetched: bool = False) -> Shown:
    """`item` as it was made for `snapshot`."""
    selected = "" if snapshot.selected is None else snapshot.selected.text
    num_replaced = item.end.column - snapshot.replaced_from_cursor.column
    return Shown(spot_of(snapshot), item.text.removeprefix(selected), num_replaced, prefetched)


class Found(NamedTuple):
    """What is left of an answer behind the typed text."""

    text: str
    num_replaced: int
    shown: Shown


class TypeAlong:
    """The answers of one session, the last used last. Bounded by number and by bytes."""

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._max_entries, self._max_bytes = max_entries, max_bytes
        # A list, as hashing an answer would read its whole document.
        self._answers: list[Shown] = []
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    def add(self, shown: Shown) -> None:
        """Keeps an answer as the newest one."""
        self._drop_where(lambda answer: answer.text == shown.text and answer == shown)
        self._answers.append(shown)
        self.size_bytes += _size_bytes(shown)
        while len(self) > 1 and (len(self) > self._max_entries or self.size_bytes > self._max_bytes):
            self.size_bytes -= _size_bytes(self._answers.pop(0))

    def find(self, snapshot: Snapshot) -> Found | None:
        """What the newest answer that fits has left at `snapshot`."""
        now = spot_of(snapshot)
        for index in range(len(self) - 1, -1, -1):
            found = rest_of(self._answers[index], now)
            if found is not None:
                self._answers.append(self._answers.pop(index))
                return found
        return None

    def broken_at(self, snapshot: Snapshot) -> tuple[str, str] | None:
        """The newest answer that was given where `snapshot` was typed on, fitting or not: (typed since, its text)."""
        now = spot_of(snapshot)
        for shown in reversed(self._answers):
            typed = typed_since(shown.spot, now)
            if typed is not None and now.line_after.endswith(shown.spot.line_after):
                return typed, shown.text
        return None

    def forget(self, uri: str) -> None:
        """Drops the answers for a document."""
        self._drop_where(lambda answer: answer.spot.uri == uri)

    def clear(self) -> None:
        """Drops everything: other settings may give other answers."""
        self._drop_where(lambda answer: True)

    def _drop_where(self, is_dropped: Callable[[Shown], bool]) -> None:
        self.size_bytes -= sum(_size_bytes(answer) for answer in self._answers if is_dropped(answer))
        self._answers = [answer for answer in self._answers if not is_dropped(answer)]


def _size_bytes(shown: Shown) -> int:
    # Lines are shared between versions, but not always (a client may send whole documents): counted as if never.
    lines = (*shown.spot.above, *shown.spot.lines)
    return 8 * len(lines) + sum(map(len, lines)) + len(shown.text)


def rest_of(shown: Shown, now: Spot) -> Found | None:
    """What is left of `shown` at `now`; None where it does not fit, or nothing visible is left."""
    typed = _text_since(shown.spot, now)
    # All other lines are compared last: this is what costs most, and most answers are out by then.
    if typed is None or not shown.text.startswith(typed) or not _same_around(shown.spot, now):
        return None
    text = shown.text[len(typed) :]
    if not text.strip():
        return None
    num_replaced = _still_replaced(shown, typed, text, now)
    # VS Code shows an item only if what it replaces is a subsequence of its text (isInlineSuggestion.ts).
    if num_replaced is None or not _holds(text, now.line_after[:num_replaced]):
        return None
    return Found(text, num_replaced, shown)


def _still_replaced(shown: Shown, typed: str, text: str, now: Spot) -> int | None:
    """How many characters behind the cursor `text` replaces, or None where they are not those of the answer."""
    old, new = shown.spot.line_after, now.line_after
    num_consumed = len(old) - len(new)
    if num_consumed >= 0:
        # Closers that the answer replaces may have been typed over: they left the line behind the cursor one by one.
        fits = num_consumed <= shown.num_replaced and old[num_consumed:] == new and _holds(typed, old[:num_consumed])
        return shown.num_replaced - num_consumed if fits else None
    # Closers that the editor added to typed openers; the answer closes them too, and must say so by the usual rule.
    if not new.endswith(old) or not typed:
        return None
    merged = merge_suffix(Draft(text), Surroundings(line_before=now.line_before, line_after=new))
    expected = Draft(text, shown.num_replaced - num_consumed)
    return expected.num_replaced if merged == expected else None


def _holds(text: str, characters: str) -> bool:
    """Whether `characters` stand in `text` in their order."""
    rest = iter(text)
    return all(character in rest for character in characters)
