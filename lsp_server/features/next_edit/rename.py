"""Rename: a name has been changed where it is bound, and its uses still have the old one.

Certain by the scope rules (model/syntax/names.py): the old name is looked for in the scope of that binding only. No
follow-up where the new name was in that scope before (then the user means another variable, no new name), where an
earlier binding still has the old one, or where it is assigned again before it is used. Python. Left out:
other files, attributes of anything but `self` and `cls`, names in strings and comments.
"""

import keyword
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tree_sitter

from lsp_server.features.next_edit.history import Run
from lsp_server.features.next_edit.places import FollowUp, place_on_line
from lsp_server.features.next_edit.token_diff import script, tokens
from lsp_server.positions import Position
from model.syntax.incremental import Parsed
from model.syntax.names import LANGUAGE, Occurrence, at, occurrences

MAX_PAIRS = 3


class _Renamed(NamedTuple):
    """`old` stood at `old_at` in the document before and is `new` at `new_at` now."""

    old: str
    new: str
    old_at: Position
    new_at: Position


def renames(run: Run, newer: Sequence[Run], now: Parsed, before: Callable[[], Parsed | None]) -> list[FollowUp]:
    """What follows from the names that `run` has changed. newer: the runs after it; before: the tree before it."""
    if now.language != LANGUAGE:
        return []
    found: dict[tuple[str, str], FollowUp] = {}
    for pair in _pairs(run)[: MAX_PAIRS * 4]:
        names = pair.old, pair.new
        if names not in found and len(found) < MAX_PAIRS and not _is_typed_again(pair.old, newer):
            follow_up = _follow_up(pair, now, before)
            if follow_up is not None:
                found[names] = follow_up
    return list(found.values())


def _pairs(run: Run) -> list[_Renamed]:
    changed = script("".join(run.old), "".join(run.new))
    if changed is None:
        return []
    pairs = []
    for hunk in changed.hunks:
        if hunk.old_end - hunk.old_start != 1 or hunk.new_end - hunk.new_start != 1:
            continue
        old, new = changed.old[hunk.old_start], changed.new[hunk.new_start]
        if _is_name(old.text) and _is_name(new.text):
            old_at = _position(run.old, old.start, run.before_row)
            pairs.append(_Renamed(old.text, new.text, old_at, _position(run.new, new.start, run.row)))
    return pairs


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _position(lines: Sequence[str], offset: int, first_row: int) -> Position:
    for row, line in enumerate(lines, first_row):
        if offset < len(line):
            return Position(row, offset)
        offset -= len(line)
    return Position(first_row + len(lines), 0)


def _is_typed_again(name: str, newer: Sequence[Run]) -> bool:
    """Whether a newer run wrote the old name: it means something then, whatever it was."""
    return any(_num(name, run.new) > _num(name, run.old) for run in newer)


def _num(name: str, lines: Sequence[str]) -> int:
    return sum(token.text == name for line in lines if name in line for token in tokens(line))


def _follow_up(pair: _Renamed, now: Parsed, before: Callable[[], Parsed | None]) -> FollowUp | None:
    found = occurrences(now, (pair.old, pair.new))
    changed = at(found, *pair.new_at)
    if changed is None or not changed.is_binding or changed.variable is None:
        return None
    same = [one for one in found if one.variable == changed.variable]
    left = [one for one in same if one.text == pair.old]
    first_binding = next(one for one in same if one.is_binding)
    if not left or first_binding.text != pair.new or _is_bound_afresh(changed, same):
        return None
    parsed_before = before()
    if parsed_before is None or _was_there(pair, parsed_before):
        return None
    lines = tuple(now.lines)
    places = tuple(place_on_line(lines, one.row, one.column, one.end_column, pair.new) for one in left)
    return FollowUp("rename", f"Rename {pair.old} to {pair.new}", places)


def _is_bound_afresh(changed: Occurrence, same: Sequence[Occurrence]) -> bool:
    """Whether the next thing that happens to an assigned variable is that it is assigned again, in the same block."""
    begun = _assignment(changed)
    later = [one for one in same if begun is not None and one.node.start_byte >= begun.end_byte]
    again = _assignment(later[0]) if later and later[0].is_binding else None
    if begun is None or again is None or begun.parent is None or again.parent is None:
        return False
    is_used = any(one.node.end_byte <= again.end_byte for one in later[1:])
    return not is_used and begun.parent.parent == again.parent.parent


def _assignment(one: Occurrence) -> tree_sitter.Node | None:
    node = one.node.parent
    while node is not None and not node.type.endswith(("assignment", "statement", "definition", "parameters")):
        node = node.parent
    return node if node is not None and node.type == "assignment" else None


def _was_there(pair: _Renamed, before: Parsed) -> bool:
    """Whether the new name meant something in that scope before; also where the change cannot be found there."""
    found = occurrences(before, (pair.old, pair.new))
    bound = at(found, *pair.old_at)
    if bound is None or bound.variable is None:
        return True
    return any(one.text == pair.new and one.variable == bound.variable for one in found)
