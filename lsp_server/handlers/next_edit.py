"""`textDocument/copilotInlineEdit`: the next edit, and what clients tell about those they were given.

Source: the custom methods of Copilot's language server (`copilotInlineEdit`, `didShowInlineEdit`), of its first agent
(`notifyRejected`), which clients already speak; and the command `seedling.nextEdit` for asking by hand. One edit is
answered, the nearest: the protocol does not say whether several are alternatives or parts. Left out: looking for it
(looking.py).
"""

import json
import logging
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams

from lsp_server import wire
from lsp_server.handlers.inline_completion import range_to_wire
from lsp_server.handlers.looking import next_edit
from lsp_server.outcome import Outcome, Reason, nothing
from lsp_server.session import Session
from lsp_server.snapshot import Snapshot
from lsp_server.wire import CompletionRequest, Feedback, Rejected

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

METHOD = "textDocument/copilotInlineEdit"
NEXT_EDIT = "seedling.nextEdit"
ACCEPTED = "seedling.nextEditAccepted"

log = logging.getLogger("seedling.next_edit")


def register(server: "SeedlingServer") -> None:
    """Adds the handlers of this file."""
    edits = server.session.next_edits

    @server.feature(METHOD)
    def inline_edit(params: CompletionRequest) -> Coroutine[Any, Any, dict]:
        return _begin(server, params)

    @server.command(NEXT_EDIT)
    def by_hand(*arguments: Any) -> Coroutine[Any, Any, dict]:
        try:
            return _begin(server, wire.read_next_edit(arguments[0] if arguments else None, by_hand=True))
        except wire.UnreadableParams as error:
            raise JsonRpcInvalidParams(f"{NEXT_EDIT} takes what {METHOD} takes: {error}.") from None

    @server.feature("textDocument/didShowInlineEdit")
    def did_show(params: Feedback) -> None:
        edits.shown(params.item_id)

    @server.feature("notifyRejected")
    def rejected(params: Rejected) -> None:
        for item_id in params.item_ids:
            if edits.reject(item_id):
                server.log_feedback("rejected", item_id, None)

    @server.command(ACCEPTED)
    def accepted(*arguments: Any) -> None:
        item_id = arguments[0] if arguments and isinstance(arguments[0], str) else None
        if edits.accepted(item_id):
            server.log_feedback("accepted", item_id, None)


def _begin(server: "SeedlingServer", request: CompletionRequest) -> Coroutine[Any, Any, dict]:
    session = server.session
    ticket, arrived = session.arrive_for_edit(request)
    started_s = time.perf_counter()

    async def answer() -> dict:
        outcome = nothing(Reason.CANCELLED)
        try:
            outcome = arrived if isinstance(arrived, Outcome) else await next_edit(session, ticket, arrived)
        finally:
            if not isinstance(arrived, Outcome):
                session.next_edits.end(arrived.document.uri, ticket)
            total_ms = (time.perf_counter() - started_s) * 1000
            log.info("%s %s total_ms=%.1f", ticket.id, outcome.name, total_ms)
            trace = {"id": ticket.id, "feature": "next_edit", "reason": outcome.name, "total_ms": round(total_ms, 2)}
            server.trace(json.dumps(trace))
        return _to_wire(outcome, arrived, session)

    return answer()


def _to_wire(outcome: Outcome, arrived: Snapshot | Outcome, session: Session) -> dict[str, Any]:
    if not outcome.items or isinstance(arrived, Outcome):
        reason = None if outcome.reason is None else outcome.reason.slug
        return {"edits": [], "reason": reason, "sentence": outcome.sentence}
    (item,), document = outcome.items, arrived.document
    edit = {
        "text": item.text,
        "range": range_to_wire(item, document.lines, session.client.encoding),
        "textDocument": {"uri": document.uri, "version": document.version},
        "command": {"title": outcome.title, "command": ACCEPTED, "arguments": [item.id]},
    }
    return {"edits": [edit]}
