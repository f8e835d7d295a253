"""From a request that has arrived to its outcome: the part that inline and plain completion share.

The first half (`arrive`) runs while the message is dispatched; the second looks for an answer where there is one
already (typed along, under way), asks the engine otherwise, and waits for that and for whatever makes the answer
useless. A request that our server cuts (superseded, stale, closed) is answered with an empty list, not with an error:
-32802 ServerCancelled is only for requests whose specification allows it (this one's does not), -32801 ContentModified
must not be sent for changes that the client itself reported, and Neovim logs every error. A request that the *client*
cancels gets -32800 from the protocol class.
"""

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING

import msgspec

from lsp_server.debounce import remaining_pause_s
from lsp_server.features.complete import build_question, offer_again, with_guess
from lsp_server.features.guess import guess_after
from lsp_server.features.quiet import QUIET_REASONS, Asked, why_quiet
from lsp_server.handlers.asking import ask_engine
from lsp_server.outcome import Outcome, Reason, nothing
from lsp_server.session import Session, Ticket
from lsp_server.snapshot import Snapshot
from lsp_server.type_along import spot_of

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

log = logging.getLogger("seedling.complete")


async def complete(server: "SeedlingServer", uri: str, ticket: Ticket, arrived: Snapshot | Outcome) -> Outcome:
    """The outcome for a request that has arrived; logged, and forgotten by the session, whatever happens."""
    outcome = nothing(Reason.CANCELLED)
    try:
        if isinstance(arrived, Outcome):
            outcome = arrived
        elif ticket.cut.done():
            # An editor may send the next change or request in one breath with this one, before this line is reached.
            outcome = nothing(ticket.cut.result())
        else:
            outcome = await _answer(server.session, ticket, arrived)
            server.session.offers.add(arrived, outcome.items)
        return outcome
    finally:
        server.session.finish(uri, ticket)
        _report(server, ticket, outcome)
        server.status.answered(uri, outcome)


async def _answer(session: Session, ticket: Ticket, snapshot: Snapshot) -> Outcome:
    settings, engine = session.settings_for(snapshot.document.uri), session.engine.state
    refused = why_quiet(Asked(snapshot, settings, engine))
    unasked = snapshot.trigger == "automatic"
    if unasked and (refused is None or refused.reason in QUIET_REASONS):
        found = session.type_along.find(snapshot)
        if found is not None:
            return offer_again(found, snapshot, ticket.id, "prefetched" if found.shown.prefetched else "typed_along")
    if refused is not None:
        if refused.reason is Reason.NO_ENGINE and not unasked:
            session.engine.start()  # asked for by hand: worth another try, if the restart policy allows one
        return refused
    if unasked:
        answered = await _join(session, ticket, snapshot) or await _pause(session, ticket)
        if answered is not None:
            return answered
    snippets, others = session.context.snippets_for(snapshot), session.context.lines_for(snapshot)
    question = build_question(snapshot, settings, engine, ticket.id, snippets, others)
    broken = session.type_along.broken_at(snapshot) if unasked and not question.guess else None
    question = question if broken is None else with_guess(question, guess_after(*broken))
    flight = session.flights.start(snapshot, ask_engine(session, snapshot, question))
    outcome = await session.unless_cut(ticket, flight.wait())
    return nothing(outcome) if isinstance(outcome, Reason) else outcome


async def _pause(session: Session, ticket: Ticket) -> Outcome | None:
    """Waits until a slow engine is worth asking; the outcome of a request that became useless meanwhile, or None."""
    since_keystroke_s = asyncio.get_running_loop().time() - session.changed_at_s
    pause_s = remaining_pause_s(session.flights.expected_s, since_keystroke_s)
    if pause_s == 0:
        return None
    cut = await session.unless_cut(ticket, asyncio.sleep(pause_s))
    return nothing(cut) if isinstance(cut, Reason) else None


async def _join(session: Session, ticket: Ticket, snapshot: Snapshot) -> Outcome | None:
    """The answer to the question that is under way, where it is one to this request too."""
    flight = session.flights.joinable(snapshot)
    if flight is None:
        return None
    outcome = await session.unless_cut(ticket, flight.wait())
    if isinstance(outcome, Reason):
        return nothing(outcome)
    found = session.type_along.find(snapshot)
    if found is not None:
        return offer_again(found, snapshot, ticket.id, "joined")
    was_same_question = flight.spot == spot_of(snapshot) and not flight.task.cancelled()
    return outcome if was_same_question else None


def _report(server: "SeedlingServer", ticket: Ticket, outcome: Outcome) -> None:
    total_ms = (time.perf_counter() - ticket.arrived_s) * 1000
    figures = {} if outcome.figures is None else msgspec.structs.asdict(outcome.figures)
    numbers = " ".join(f"{name}={value:.4g}" for name, value in figures.items())
    log.info("%s %s total_ms=%.1f %s", ticket.id, outcome.name, total_ms, numbers or outcome.detail)
    server.trace(json.dumps({"id": ticket.id, "reason": outcome.name, "total_ms": round(total_ms, 2), **figures}))
