"""From a request for the next edit to its outcome: waits for a pause in typing, looks in a thread, has a hole filled.

All of it is cut by the next keystroke in the document (session.unless_cut). Left out: the messages (next_edit.py), what
follows from what (features/next_edit).
"""

import asyncio

from lsp_server.engine_link import EngineTrouble
from lsp_server.features.next_edit.fill import filled, hole_question
from lsp_server.features.next_edit.places import Place
from lsp_server.features.next_edit.propose import Look, Proposal, breaks, look, why_quiet_here
from lsp_server.features.quiet import Asked
from lsp_server.outcome import Item, Outcome, Reason, nothing
from lsp_server.session import Session, Ticket
from lsp_server.snapshot import Snapshot

# Longer than between two keys of a word that is being typed: a half-written name has no follow-up.
PAUSE_S = 0.3


async def next_edit(session: Session, ticket: Ticket, snapshot: Snapshot) -> Outcome:
    """The next edit for a request that has arrived, or the reason for none."""
    uri, by_hand = snapshot.document.uri, snapshot.trigger == "invoked"
    settings = session.settings_for(uri)
    refused = why_quiet_here(Asked(snapshot, settings, session.engine.state))
    if refused is not None:
        return refused
    pause_s = 0.0 if by_hand else PAUSE_S - (asyncio.get_running_loop().time() - session.changed_at_s)
    at = Look(
        lines=snapshot.document.lines,
        language=snapshot.document.language,
        history=session.next_edits.history(uri),
        cursor=snapshot.cursor,
        by_hand=by_hand,
        rejected=session.next_edits.rejected,
        may_fill=_may_fill(session, snapshot),
        known=session.next_edits.tree(uri),
    )
    if pause_s > 0:
        cut = await session.unless_cut(ticket, asyncio.sleep(pause_s))
        if isinstance(cut, Reason):
            return nothing(cut)
    found = await session.unless_cut(ticket, asyncio.to_thread(look, at))
    if isinstance(found, Reason):
        return nothing(found)
    session.next_edits.keep_tree(uri, found.parsed)
    if found.proposal is None:
        return nothing(found.reason or Reason.NOTHING_FOLLOWS)
    place = found.proposal.place
    if place.hole is not None:
        written = await session.unless_cut(ticket, _fill(session, ticket, snapshot, place))
        if isinstance(written, Reason):
            return nothing(written)
        place = written
        if found.parsed is not None and breaks(place, at.lines, found.parsed):
            return nothing(Reason.NOTHING_FOLLOWS)
    return _offered(session, ticket, snapshot, found.proposal, place)


def _may_fill(session: Session, snapshot: Snapshot) -> bool:
    """Whether the loaded model writes what no rule knows."""
    capabilities = session.engine.state.capabilities
    return capabilities is not None and capabilities.next_edit and snapshot.document.language in capabilities.languages


async def _fill(session: Session, ticket: Ticket, snapshot: Snapshot, place: Place) -> Place | Reason:
    capabilities = session.engine.state.capabilities
    if capabilities is None:
        return Reason.NO_ENGINE
    settings = session.settings_for(snapshot.document.uri)
    question = hole_question(snapshot, place, capabilities.context_tokens, settings, ticket.id)
    try:
        (done,) = await session.engine.ask(question)
    except EngineTrouble as trouble:
        return trouble.reason
    return filled(place, done, settings)


def _offered(session: Session, ticket: Ticket, snapshot: Snapshot, proposal: Proposal, place: Place) -> Outcome:
    session.next_edits.offer(ticket.id, snapshot.document, proposal, place)
    return Outcome(items=(Item(ticket.id, place.text, place.start, place.end),), title=proposal.title)
