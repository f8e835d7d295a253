"""The command `seedling.rewrite` and the resolving of rewrite actions: the messages around a rewrite.

`seedling.rewrite {uri, range, instruction, version?, seed?, token?, apply?}` answers `{applied, reason, sentence}` and,
where something was written, `{uri, version, range, text, confidence, steps, forwards, elapsedMs, parses}` with the edit
itself: a client that shows it first asks with `apply: false`. Retrying is asking with another seed. It may be taken
back like any request, or in the editor's progress. Left out: menus (code_action.py), the work itself (rewriting.py).
"""

import json
import logging
import time
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams

from lsp_server.applying import Span, apply, range_of, versioned_edit
from lsp_server.features.rewrite import line_end, position_of
from lsp_server.handlers.canvas_frames import CanvasFrames
from lsp_server.handlers.rewriting import Rewritten, Selection, rewrite
from lsp_server.outcome import Outcome, Reason, nothing
from lsp_server.positions import from_client
from lsp_server.session import Ticket
from lsp_server.snapshot import Document, Snapshot
from lsp_server.wire import UnreadableParams
from lsp_server.wire_rewrite import RewriteRequest, read_rewrite

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

REWRITE = "seedling.rewrite"

log = logging.getLogger("seedling.rewrite")


def register(server: "SeedlingServer") -> None:
    """Adds the command."""

    @server.command(REWRITE)
    def by_command(*arguments: Any) -> Coroutine[Any, Any, dict[str, Any]]:
        try:
            asked = read_rewrite(arguments[0] if arguments else None)
        except UnreadableParams as error:
            raise JsonRpcInvalidParams(f"{REWRITE} cannot be read: {error}.") from None
        return _answer(server, asked, *server.session.arrive_for_canvas(asked.uri, asked.version))


async def made(
    server: "SeedlingServer", document: Document, data: Mapping[str, Any], title: str
) -> tuple[Document, dict[str, Any]] | Reason:
    """The edit of an action of the menu (features/rewrite_menu.py). Call it while nothing else has run since then."""
    try:
        asked = read_rewrite({**data, "range": _range_of(data)})
    except UnreadableParams:
        return Reason.STALE
    ticket, arrived = server.session.arrive_for_canvas(asked.uri, asked.version)
    written = await _written(server, asked, ticket, arrived)
    if isinstance(written, Outcome):
        return written.reason or Reason.STALE
    return document, edit_of(server, document, written, title)


def _range_of(data: Mapping[str, Any]) -> dict[str, Any]:
    ends = {name: data.get(name) for name in ("start", "end")}
    return {
        name: {"line": end[0], "character": end[1]}
        for name, end in ends.items()
        if isinstance(end, list | tuple) and len(end) == 2
    }


async def _answer(
    server: "SeedlingServer", asked: RewriteRequest, ticket: Ticket, arrived: Snapshot | Outcome
) -> dict[str, Any]:
    written = await _written(server, asked, ticket, arrived)
    if isinstance(written, Outcome) or isinstance(arrived, Outcome):
        outcome = written if isinstance(written, Outcome) else nothing(Reason.STALE)
        return _refused(outcome)
    document = arrived.document
    reply = {
        "applied": False,
        "reason": None,
        "sentence": "",
        "uri": document.uri,
        "version": document.version,
        "range": range_of(document, span_of(written), server.session.client),
        "text": written.text,
        "confidence": written.confidence,
        "steps": written.steps,
        "forwards": written.forwards,
        "elapsedMs": written.elapsed_ms,
        "parses": written.parses,
    }
    if not asked.apply:
        return reply
    label = f"Seedling: {asked.instruction}"
    why_not = await apply(server, document, edit_of(server, document, written, label), label)
    return {**reply, "applied": True} if why_not is None else {**reply, **_refused(nothing(why_not))}


async def _written(
    server: "SeedlingServer", asked: RewriteRequest, ticket: Ticket, arrived: Snapshot | Outcome
) -> Rewritten | Outcome:
    """The rewritten code, logged whatever comes of it."""
    session = server.session
    token = ticket.id if asked.token is None else asked.token
    frames = CanvasFrames(server, token, "Seedling: rewriting", lambda: ticket.end(Reason.CANCELLED))
    written: Rewritten | Outcome = nothing(Reason.CANCELLED)
    try:
        if isinstance(arrived, Outcome):
            written = arrived
        elif ticket.cut.done():  # a newer request or a change came in one breath with this one
            written = nothing(ticket.cut.result())
        else:
            written = await rewrite(session, ticket, arrived, _selection(server, asked, arrived), frames)
    finally:
        frames.end()
        session.canvases.end(asked.uri, ticket)
        name = written.name if isinstance(written, Outcome) else "rewritten"
        total_ms = (time.perf_counter() - ticket.arrived_s) * 1000
        log.info("%s %s total_ms=%.1f", ticket.id, name, total_ms)
        server.trace(
            json.dumps({"id": ticket.id, "feature": "rewrite", "reason": name, "total_ms": round(total_ms, 2)})
        )
    return written


def _selection(server: "SeedlingServer", asked: RewriteRequest, snapshot: Snapshot) -> Selection:
    lines, encoding = snapshot.document.lines, server.session.client.encoding
    start, end = from_client(lines, *asked.start, encoding), from_client(lines, *asked.end, encoding)
    return Selection(start, end, asked.instruction, asked.seed)


def span_of(written: Rewritten) -> Span:
    """What of the document is replaced."""
    target = written.target
    return Span(position_of(target.source, target.start), position_of(target.source, target.end))


def edit_of(server: "SeedlingServer", document: Document, written: Rewritten, label: str) -> dict[str, Any]:
    """The WorkspaceEdit for rewritten code; one edit, so one step of undo."""
    doubt = "" if written.parses else " (does not parse)"
    text = written.text.replace("\n", line_end(document.lines))
    return versioned_edit(server.session.client, document, span_of(written), text, f"{label}{doubt}")


def _refused(outcome: Outcome) -> dict[str, Any]:
    reason = None if outcome.reason is None else outcome.reason.slug
    forwards = 0 if outcome.figures is None else outcome.figures.forwards
    return {"applied": False, "reason": reason, "sentence": outcome.sentence, "forwards": forwards}
