"""From a request for code actions to the fixes that are offered: what is named, the engine, what of it may be shown.

Both editors show a menu when the last server has answered, however late (vscode#244273, neovim#34506): so what is not
found within MENU_PATIENCE_S is offered as one entry that waits for it when chosen, and other servers' fixes need not
wait for ours. The search goes on meanwhile; opening the menu again shows what it has found. It is cut by the next
change in the document (session.repairs), and when the editor takes the request back. Left out: the rules
(features/fix.py), messages (code_action.py), what was found unasked (diagnostic.py); searching before anybody asks:
while one types, the document hardly ever parses.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from lsp_server.actions import Action
from lsp_server.engine_link import EngineTrouble
from lsp_server.features.fix import (
    Repair,
    data_of,
    fix_actions,
    late_action,
    rows_in,
    sentence_of,
    usable,
    why_no_engine,
)
from lsp_server.features.mend import SOURCE, mend_actions
from lsp_server.features.quiet import EDIT_RULES, Asked, first_refusal
from lsp_server.features.rewrite import source_of
from lsp_server.fix_searches import Found
from lsp_server.outcome import Reason
from lsp_server.positions import Position, from_client
from lsp_server.session import Session
from lsp_server.snapshot import Document
from lsp_server.wire_actions import CodeActionRequest, Named
from model.engine import api
from model.syntax.errors import Rows, named_rows

MENU_PATIENCE_S = 1.5
DEADLINE_MS = 10_000.0
MAX_MESSAGES = 4
MAX_MESSAGE_CHARS = 400


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
        found = await session.unless_cut(ticket, _found_in_time(session, document, (start, end), named))
    except asyncio.CancelledError:
        if not ticket.cut.done():  # else somebody newer waits for the search
            session.repairs.searches.stop(document.uri)
        raise
    finally:
        session.repairs.end("fix", document.uri, ticket)
    if isinstance(found, Reason):
        return known or found
    rows, repairs = found
    diagnostics = [one.raw for one in named if _is_at(one, rows)]
    if repairs is None:
        return (*known, late_action(document, rows, diagnostics))
    same = [(action.data["span"], action.data["text"]) for action in known if action.data is not None]
    fresh = fix_actions(document, source_of(document.lines), repairs, diagnostics, start.line)
    return (*known, *(one for one in fresh if one.data and (one.data["span"], one.data["text"]) not in same))


async def surest(session: Session, document: Document, data: Mapping[str, Any]) -> tuple[dict[str, Any], str] | Reason:
    """Data and title of the surest fix for a `late_action` that was chosen, or why there is none."""
    rows = rows_in(data, len(document.lines))
    if rows is None:
        return Reason.STALE
    refused = why_not_fix(session, document, Position(rows.first, 0))
    if refused is not None:
        return refused
    ticket = session.repairs.begin("fix", document.uri, session.ticket())
    try:
        search = session.repairs.searches.join(document.uri, rows, lambda: _search(session, document, rows))
        found = await session.unless_cut(ticket, asyncio.wait({search}))
    finally:
        session.repairs.end("fix", document.uri, ticket)
    if isinstance(found, Reason):
        return found
    repairs = _result(search)
    if isinstance(repairs, Reason):
        return repairs
    return data_of("fix", document, source_of(document.lines), repairs[0]), f"Seedling: {sentence_of(repairs[0])}"


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


async def _found_in_time(
    session: Session, document: Document, at: tuple[Position, Position], named: list[Named]
) -> tuple[Rows, tuple[Repair, ...] | None] | Reason:
    """The rows and their repairs; None instead of these where they are still being looked for."""
    # Parsing 5,000 lines takes longer than a keystroke may wait.
    rows = await asyncio.to_thread(
        named_rows,
        source_of(document.lines),
        document.language,
        (at[0].line, at[1].line),
        [found.start[0] for found in named],
    )
    if rows is None:
        return Reason.NOTHING_NAMED
    messages = tuple(found.message for found in named if found.message and _is_at(found, rows))[:MAX_MESSAGES]
    search = session.repairs.searches.join(document.uri, rows, lambda: _search(session, document, rows, messages))
    # An editor that applies no edits for us could not take the late entry.
    await asyncio.wait({search}, timeout=MENU_PATIENCE_S if session.client.apply_edit else None)
    if not search.done():
        return rows, None
    repairs = _result(search)
    return repairs if isinstance(repairs, Reason) else (rows, repairs)


def _result(search: asyncio.Task[Found]) -> Found:
    return Reason.SUPERSEDED if search.cancelled() else search.result()


async def _search(session: Session, document: Document, rows: Rows, messages: tuple[str, ...] = ()) -> Found:
    source = source_of(document.lines)
    question = api.RepairRequest(
        id=session.ticket().id,
        text=source,
        path=session.snapshot_of(document).path,
        language=document.language,
        first_row=rows.first,
        last_row=rows.last,
        messages=tuple(message[:MAX_MESSAGE_CHARS] for message in messages),
        deadline_ms=max(DEADLINE_MS, session.settings_for(document.uri).invoked_deadline_ms),
    )
    try:
        found = await session.engine.repair(question)
    except EngineTrouble as trouble:
        return trouble.reason
    return await asyncio.to_thread(usable, source, document.language, rows, found)


def _is_at(named: Named, rows: Rows) -> bool:
    return named.start[0] <= rows.last and named.end[0] >= rows.first
