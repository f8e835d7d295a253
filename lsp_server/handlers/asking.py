"""The work behind an answer: the engine is asked, its answer shaped and remembered; and what is asked ahead.

Both run as flights (in_flight.py): they serve whoever waits for them by then. Left out: who asks (answering.py).
"""

import asyncio
import logging

from lsp_server.engine_link import EngineLink, EngineTrouble
from lsp_server.features.complete import Question, alternatives_to, plan_completion, shape_alternatives
from lsp_server.features.prefetch import line_after
from lsp_server.offers import Offer
from lsp_server.outcome import Outcome, nothing
from lsp_server.session import Session
from lsp_server.snapshot import Snapshot
from model.engine import api

NUM_PREFETCH_TRIES = 2
# Alternatives come 50 ms behind the first answer on two cores (90 % within 110 ms); later ones are not waited for.
ALTERNATIVES_PATIENCE_S = 0.12

log = logging.getLogger("seedling.complete")


async def ask_engine(session: Session, snapshot: Snapshot, question: Question, *, prefetched: bool = False) -> Outcome:
    """The engine's answer as an outcome; its items are remembered. Asked for by hand there are several."""
    settings = session.settings_for(snapshot.document.uri)
    # By hand where something is shown already means: another one. VS Code asks so for its next and previous.
    wants_others = snapshot.trigger == "invoked" and session.type_along.find(snapshot) is not None
    try:
        if snapshot.trigger == "automatic" or (session.engine.state.is_metered and not wants_others):
            (done,), others = await session.engine.ask(question.request), []
        else:
            patience_s = None if wants_others else ALTERNATIVES_PATIENCE_S
            done, others = await _with_alternatives(session.engine, question.request, patience_s)
    except EngineTrouble as trouble:
        return nothing(trouble.reason, str(trouble))
    outcome = shape_alternatives(done, others, snapshot, settings, question)
    session.remember(snapshot, outcome, prefetched=prefetched)
    return outcome


async def _with_alternatives(
    engine: EngineLink, request: api.DenoiseRequest, patience_s: float | None
) -> tuple[api.Done, list[api.Done]]:
    """The greedy answer, and those drawn beside it that come at most `patience_s` later. Both find one prompt cached.

    Both editors cycle among the items of one answer: VS Code does not ask again where it has asked by hand, Neovim
    never does. So what is not in this answer is never seen, and what makes it late is felt.
    """
    first = asyncio.ensure_future(engine.ask(request))
    others = asyncio.ensure_future(engine.ask(alternatives_to(request)))
    try:
        (done,) = await first
        await asyncio.wait({others}, timeout=patience_s)
        is_there = others.done() and not others.cancelled() and not isinstance(others.exception(), EngineTrouble)
        return done, others.result() if is_there else []
    finally:
        for task in (first, others):
            task.cancel()
        await asyncio.gather(first, others, return_exceptions=True)


async def prefetch(session: Session, offer: Offer) -> None:
    """After an acceptance: asks for the line below it while nothing else is asked, once, and keeps the answer.

    The editor's own request at the end of the accepted item may come meanwhile and cut it: then once more behind that.
    Where each question costs money none is asked before anybody wants to know.
    """
    if session.engine.state.is_metered:
        return
    uri = offer.snapshot.document.uri
    for _ in range(NUM_PREFETCH_TRIES):
        await session.idle()
        document = session.document(uri)
        snapshot = None if document is None else line_after(offer, document)
        if snapshot is None or session.type_along.find(snapshot) is not None:
            return
        if session.switches.refusal(uri, snapshot.document.language, snapshot.trigger) is not None:
            return
        settings, snippets = session.settings_for(uri), session.context.snippets_for(snapshot)
        others = session.context.lines_for(snapshot)
        plan = plan_completion(snapshot, settings, session.engine.state, f"{offer.item.id}-next", snippets, others)
        if isinstance(plan, Outcome):
            return
        flight = session.flights.start(snapshot, ask_engine(session, snapshot, plan, prefetched=True))
        await asyncio.wait({flight.task})  # nobody waits for it in the sense of a request
        if not flight.task.cancelled():
            log.info("%s %s", plan.request.id, flight.task.result().name)
            return
