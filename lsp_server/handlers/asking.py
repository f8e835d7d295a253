"""The work behind an answer: the engine is asked, its answer shaped and remembered; and what is asked ahead.

Both run as flights (in_flight.py): they serve whoever waits for them by then. Left out: who asks (answering.py).
"""

import asyncio
import logging

from lsp_server.engine_link import EngineLink, EngineTrouble
from lsp_server.features.complete import alternatives_to, plan_completion, shape_alternatives
from lsp_server.features.prefetch import line_after
from lsp_server.offers import Offer
from lsp_server.outcome import Outcome, nothing
from lsp_server.session import Session
from lsp_server.snapshot import Snapshot
from model.engine import api

NUM_PREFETCH_TRIES = 2

log = logging.getLogger("seedling.complete")


async def ask_engine(
    session: Session, snapshot: Snapshot, plan: api.DenoiseRequest, *, prefetched: bool = False
) -> Outcome:
    """The engine's answer to `plan` as an outcome; its items are remembered. Asked for by hand there are several."""
    settings = session.settings_for(snapshot.document.uri)
    try:
        if snapshot.trigger == "automatic":
            (done,), others = await session.engine.ask(plan), []
        else:
            done, others = await _with_alternatives(session.engine, plan)
    except EngineTrouble as trouble:
        return nothing(trouble.reason, str(trouble))
    outcome = shape_alternatives(done, others, snapshot, settings, plan)
    session.remember(snapshot, outcome, prefetched=prefetched)
    return outcome


async def _with_alternatives(engine: EngineLink, plan: api.DenoiseRequest) -> tuple[api.Done, list[api.Done]]:
    """The greedy answer, and those drawn beside it, if there are any in time. Both find one prompt in the cache."""
    questions = (engine.ask(plan), engine.ask(alternatives_to(plan)))
    first, others = await asyncio.gather(*questions, return_exceptions=True)
    if isinstance(first, BaseException):
        raise first
    if isinstance(others, EngineTrouble):
        return first[0], []
    if isinstance(others, BaseException):
        raise others
    return first[0], others


async def prefetch(session: Session, offer: Offer) -> None:
    """After an acceptance: asks for the line below it while nothing else is asked, once, and keeps the answer.

    The editor's own request at the end of the accepted item may come meanwhile and cut it: then once more behind that.
    """
    uri = offer.snapshot.document.uri
    for _ in range(NUM_PREFETCH_TRIES):
        await session.flights.idle()
        document = session.document(uri)
        snapshot = None if document is None else line_after(offer, document)
        if snapshot is None or session.type_along.find(snapshot) is not None:
            return
        if session.switches.refusal(uri, snapshot.document.language, snapshot.trigger) is not None:
            return
        plan = plan_completion(snapshot, session.settings_for(uri), session.engine.state, f"{offer.item.id}-next")
        if isinstance(plan, Outcome):
            return
        flight = session.flights.start(snapshot, ask_engine(session, snapshot, plan, prefetched=True))
        await asyncio.wait({flight.task})  # nobody waits for it in the sense of a request
        if not flight.task.cancelled():
            log.info("%s %s", plan.id, flight.task.result().name)
            return
