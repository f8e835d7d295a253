"""Places where a change has a follow-up, and what may never be one: what takes back the change itself.

Source: users of next-edit suggestions complain most about proposals that undo what they have just done
(microsoft/vscode-copilot-release#8763). Left out: finding places (rename.py, signature.py, repeat.py).
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from lsp_server.features.next_edit.history import Lines, Run
from lsp_server.positions import Position, split_lines

Kind = Literal["rename", "signature", "repeat"]


class Place(msgspec.Struct, frozen=True):
    """`text` replaces `old`, from `start` to `end`. hole: where in `text` the model has something to write."""

    start: Position
    end: Position
    old: str
    text: str
    hole: int | None = None


class FollowUp(msgspec.Struct, frozen=True):
    """What follows from one change: its places, in any order. `title` is for people."""

    kind: Kind
    title: str
    places: tuple[Place, ...]


def place_on_line(lines: Lines, row: int, start: int, end: int, text: str) -> Place:
    """The place on one line whose characters `start` to `end` become `text`."""
    return Place(Position(row, start), Position(row, end), lines[row][start:end], text)


def joined_by_line(places: Iterable[Place], lines: Lines) -> list[Place]:
    """The places, all those on one line as one: a line is looked at and accepted once."""
    by_row: dict[int, Place] = {}
    others: list[Place] = []
    for place in sorted(set(places), key=lambda place: place.start):
        before = by_row.get(place.start.line)
        if place.start.line != place.end.line or place.hole is not None:
            others.append(place)
        elif before is None:
            by_row[place.start.line] = place
        elif before.end <= place.start:
            row, between = place.start.line, lines[place.start.line][before.end.column : place.start.column]
            by_row[row] = Place(
                before.start, place.end, before.old + between + place.old, before.text + between + place.text
            )
    return sorted([*by_row.values(), *others], key=lambda place: place.start)


def applied(place: Place, lines: Lines) -> tuple[Lines, Lines]:
    """The lines that the place touches, and what they become; as a document has them, where more lines follow."""
    first, last = place.start.line, place.end.line
    old = lines[first : last + 1]
    new = old[0][: place.start.column] + place.text + old[-1][place.end.column :]
    found = split_lines(new)
    return old, found[:-1] if last + 1 < len(lines) and not found[-1] else found


def undoes(place: Place, lines: Lines, runs: Iterable[Run]) -> bool:
    """Whether the place would bring a line back that a run has just replaced."""
    old, new = applied(place, lines)
    return any(
        set(old) & set(run.new) and any(line in run.old and line not in old for line in new if line.strip())
        for run in runs
    )


def nearest_first(places: Iterable[Place], cursor: Position) -> list[Place]:
    """The places by their distance in lines; what stands below the cursor is nearer than what stands above."""

    def distance(place: Place) -> tuple[int, Position]:
        rows = place.start.line - cursor.line
        return (rows * 2 if rows >= 0 else -rows * 2 + 1, place.start)

    return sorted(places, key=distance)
