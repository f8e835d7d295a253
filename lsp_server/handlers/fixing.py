"""From a request for code actions to the fixes that are offered: what is named, the engine, what of it may be shown.

Cut by the next change in the document (session.repairs). Left out: the rules (features/fix.py), messages
(code_action.py), what was found unasked (diagnostic.py).
"""

import asyncio

from lsp_server.actions import Action
from lsp_server.engine_link import EngineTrouble
from lsp_server.features.fix import Repair, fix_actions, usable, why_no_engine
from lsp_server.features.mend import SOURCE, mend_actions
from lsp_server.features.quiet import EDIT_RULES, Asked, first_refusal
from lsp_server.features.rewrite import source_of
from lsp_server.outcome import Reason
from lsp_server.positions import Position, from_client
from lsp_server.session import Session, Ticket
from lsp_server.snapshot import Document
from lsp_server.wire_actions import CodeActionRequest, Named
from model.engine import api
from model.syntax.errors import Rows, named_rows


async def fixes(
    session: Session, document: Document, request: CodeActionRequest, shown: tuple[Repair, ...]
) -> tuple[Action, ...] | Reason:
    """The fixes at the request's range, or why there are none. shown: what was found unasked, which needs no engine."""
    encoding = session.client.encoding
    start = from_client(document.lines, *request.start, encoding)
    end = from_client(document.lines, *request.end, encoding)
    path = session.snapshot_of(document).path
    known = mend_actions(document, path, shown, start.line, end.line, request.diagnostics)
    refused = why_not_fix(session, document, start)
    if refused is not None:
        if refused is Reason.NO_ENGINE:
            session.engine.start()  # asked for by hand: worth another try, if the restart policy allows one
        return known or refused
    named = [found for found in request.diagnostics if found.source != SOURCE]
    ticket = session.repairs.begin("fix", document.uri, session.ticket())
    try:
        found = await session.unless_cut(ticket, _look(session, ticket, document, (start, end), named))
    finally:
        session.repairs.end("fix", document.uri, ticket)
    if isinstance(found, Reason):
        return known or found
    rows, repairs = found
    diagnostics = [one.raw for one in named if _is_at(one, rows)]
    same = [(action.data["span"], action.data["text"]) for action in known if action.data is not None]
    fresh = fix_actions(document, source_of(document.lines), repairs, diagnostics, start.line)
    return (*known, *(one for one in fresh if one.data and (one.data["span"], one.data["text"]) not in same))


def why_not_fix(session: Session, document: Document, at: Position) -> Reason | None:
    """What the user has switched off or excluded, or what the engine cannot do."""
    settings = session.settings_for(document.uri)
    off = session.switches.refusal(document.uri, document.language, "invoked")
    refused = off or first_refusal(Asked(session.snapshot_of(document, at), settings, session.engine.state), EDIT_RULES)
    if refused is not None:
        return refused.reason
    if not settings.fix_enable:
        return Reason.FIX_OFF
    return why_no_engine(session.engine.state, document.language, "fix")


async def _look(
    session: Session, ticket: Ticket, document: Document, at: tuple[Position, Position], named: list[Named]
) -> tuple[Rows, tuple[Repair, ...]] | Reason:
    source = source_of(document.lines)
    # Parsing 5,000 lines takes longer than a keystroke may wait.
    rows = await asyncio.to_thread(
        named_rows, source, document.language, (at[0].line, at[1].line), [found.start[0] for found in named]
    )
    if rows is None:
        return Reason.NOTHING_NAMED
    try:
        found = await session.engine.repair(
            api.RepairRequest(
                id=ticket.id,
                text=source,
                path=session.snapshot_of(document).path,
                language=document.language,
                first_row=rows.first,
                last_row=rows.last,
                deadline_ms=session.settings_for(document.uri).invoked_deadline_ms,
            )
        )
    except EngineTrouble as trouble:
        return trouble.reason
    repairs = await asyncio.to_thread(usable, source, document.language, rows, found)
    return repairs if isinstance(repairs, Reason) else (rows, repairs)


def _is_at(named: Named, rows: Rows) -> bool:
    return named.start[0] <= rows.last and named.end[0] >= rows.first
