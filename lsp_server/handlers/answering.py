"""From a request that has arrived to its outcome: the part that inline and plain completion share.

The first half (`arrive`) runs while the message is dispatched; the second waits for the engine and for whatever makes
the answer useless. A request that our server cuts (superseded, stale, closed) is answered with an empty list, not with
an error: -32802 ServerCancelled is only for requests whose specification allows it (this one's does not), -32801
ContentModified must not be sent for changes that the client itself reported, and Neovim logs every error. A request
that the *client* cancels gets -32800 from the protocol class.
"""

import json
import logging
import time
from typing import TYPE_CHECKING

import msgspec

from lsp_server.engine_link import EngineTrouble
from lsp_server.features.complete import plan_completion, shape_completion
from lsp_server.outcome import Outcome, Reason, nothing
from lsp_server.session import Ticket
from lsp_server.snapshot import Snapshot
from model.engine import api

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

log = logging.getLogger("seedling.complete")


async def complete(server: "SeedlingServer", uri: str, ticket: Ticket, arrived: Snapshot | Outcome) -> Outcome:
    """The outcome for a request that has arrived; logged, and forgotten by the session, whatever happens."""
    outcome = nothing(Reason.CANCELLED)
    try:
        outcome = arrived if isinstance(arrived, Outcome) else await _ask(server, ticket, arrived)
        return outcome
    finally:
        server.session.finish(uri, ticket)
        _report(server, ticket, outcome)


async def _ask(server: "SeedlingServer", ticket: Ticket, snapshot: Snapshot) -> Outcome:
    session = server.session
    plan = plan_completion(snapshot, session.settings, session.engine.state, ticket.id)
    if isinstance(plan, Outcome):
        if plan.reason is Reason.NO_ENGINE and snapshot.trigger == "invoked":
            session.engine.start()  # asked for by hand: worth another try, if the restart policy allows one
        return plan
    try:
        done = await session.unless_cut(ticket, session.engine.ask(plan))
    except EngineTrouble as trouble:
        return nothing(trouble.reason, str(trouble))
    if isinstance(done, Reason):
        return nothing(done)
    assert isinstance(done, api.Done)
    return shape_completion(done, snapshot, session.settings, plan)


def _report(server: "SeedlingServer", ticket: Ticket, outcome: Outcome) -> None:
    total_ms = (time.perf_counter() - ticket.arrived_s) * 1000
    reason = "shown" if outcome.reason is None else outcome.reason.slug
    figures = {} if outcome.figures is None else msgspec.structs.asdict(outcome.figures)
    numbers = " ".join(f"{name}={value:.4g}" for name, value in figures.items())
    log.info("%s %s total_ms=%.1f %s", ticket.id, reason, total_ms, numbers or outcome.detail)
    server.trace(json.dumps({"id": ticket.id, "reason": reason, "total_ms": round(total_ms, 2), **figures}))
