"""From the last changes to the next edit: the nearest place that follows from the newest change that has any.

`look` finds places by rules alone, and is slow enough (a parse) to run in a thread; `why_quiet_here` says when nothing
is proposed at all. Never proposed: what would take back a change just made, what breaks sound code, what was rejected.
Left out: filling holes (fill.py), when to look (handlers/next_edit.py).
"""

import itertools
from collections.abc import Callable, Iterator

import msgspec

from lsp_server.features.next_edit.history import History, Lines, Run
from lsp_server.features.next_edit.places import FollowUp, Place, applied, joined_by_line, nearest_first, undoes
from lsp_server.features.next_edit.rename import renames
from lsp_server.features.next_edit.repeat import repetition
from lsp_server.features.next_edit.signature import changed_signatures
from lsp_server.features.quiet import FOLLOW_UP_RULES, SWITCH_RULES, Asked, first_refusal
from lsp_server.outcome import Outcome, Reason, nothing
from lsp_server.positions import Position
from model.syntax.at_cursor import place_at
from model.syntax.incremental import Parsed, parse_lines


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at. known: a tree of an older text of the document, which makes parsing cheap."""

    lines: Lines
    language: str
    history: History
    cursor: Position
    by_hand: bool = False
    rejected: frozenset[int] = frozenset()
    may_fill: bool = False
    known: Parsed | None = None


class Proposal(msgspec.Struct, frozen=True):
    """One edit. key: the hash of what it changes into what; source_key: of the change that it follows."""

    place: Place
    title: str
    key: int
    source_key: int
    num_more: int = 0


class Found(msgspec.Struct, frozen=True):
    """The proposal, or why there is none; and the tree, for the next look."""

    proposal: Proposal | None
    reason: Reason | None
    parsed: Parsed | None


def why_quiet_here(asked: Asked) -> Outcome | None:
    """The reason why nothing is proposed, whatever was changed; None where something may be."""
    refused = first_refusal(asked, SWITCH_RULES)
    if refused is not None:
        return refused
    if not asked.settings.next_edit_enable:
        return nothing(Reason.NEXT_EDIT_OFF)
    return first_refusal(asked, FOLLOW_UP_RULES)


def look(at: Look) -> Found:
    """The next edit. Nothing here knows the session: safe in a thread."""
    if not at.history.runs:
        return Found(None, Reason.NOTHING_FOLLOWS, at.known)
    now = parse_lines(at.lines, at.language, at.known)
    reason = Reason.NOTHING_FOLLOWS
    for follow_ups in _by_run(at, now):
        for result in _proposals(at, now, follow_ups):
            if isinstance(result, Proposal):
                return Found(result, None, now)
            reason = result
    return Found(None, reason, now)


def _by_run(at: Look, now: Parsed | None) -> Iterator[list[FollowUp]]:
    """What follows from each run, the newest first."""
    runs = at.history.runs
    repeated = repetition(runs, at.lines, now, _code_test(now), by_hand=at.by_hand)
    for index in reversed(range(len(runs))):
        run, found = runs[index], list[FollowUp]()
        if now is not None and run.is_in(at.lines) and not now.is_hopeless:
            before = _lazily(run, now)
            found = [*renames(run, runs[index + 1 :], now, before), *changed_signatures(run, now, before)]
        if index == len(runs) - 1 and not found and repeated is not None:
            found = [repeated]
        yield found


def _lazily(run: Run, now: Parsed) -> Callable[[], Parsed | None]:
    known: list[Parsed | None] = []

    def before() -> Parsed | None:
        if not known:
            known.append(parse_lines(run.before, now.language, now))
        return known[0]

    return before


def _code_test(now: Parsed | None) -> Callable[[int, int], bool]:
    """Tells whether a character stands in code: no comment, no text. Without a grammar everything does."""

    def is_code(row: int, column: int) -> bool:
        return now is None or place_at(now, row, column).kind == "code"

    return is_code


def _proposals(at: Look, now: Parsed | None, follow_ups: list[FollowUp]) -> Iterator[Proposal | Reason]:
    """The nearest place first. All those on one line are one, whichever follow-up they are of."""
    titles = {place.start: follow_up.title for follow_up in reversed(follow_ups) for place in follow_up.places}
    source_key = hash(tuple(sorted(follow_up.title for follow_up in follow_ups)))
    places = joined_by_line(itertools.chain.from_iterable(one.places for one in follow_ups), at.lines)
    places = [place for place in places if place.hole is None or at.may_fill]
    for place in nearest_first(places, at.cursor):
        key = hash((place.hole, *applied(place, at.lines)))
        reason = _refusal(place, key, source_key, at, now)
        yield reason or Proposal(place, titles[place.start], key, source_key, len(places) - 1)


def _refusal(place: Place, key: int, source_key: int, at: Look, now: Parsed | None) -> Reason | None:
    if key in at.rejected or source_key in at.rejected:
        return Reason.REJECTED
    if undoes(place, at.lines, at.history.runs):
        return Reason.WOULD_UNDO
    if place.hole is None and now is not None and breaks(place, at.lines, now):
        return Reason.NOTHING_FOLLOWS
    return None


def breaks(place: Place, lines: Lines, now: Parsed) -> bool:
    """Whether sound code would be broken."""
    if now.tree.root_node.has_error:
        return False
    _, new = applied(place, lines)
    after = parse_lines((*lines[: place.start.line], *new, *lines[place.end.line + 1 :]), now.language, now)
    return after is not None and after.tree.root_node.has_error
