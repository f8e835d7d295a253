"""Mend: pulled diagnostics (LSP 3.17 `textDocument/diagnostic`), worked out in pauses and never on the way of a key.

A pull is answered at once with what is known; two seconds after the last change the document is looked through, and
the editor is told to pull again (`workspace/diagnostic/refresh`), or is pushed the result where it cannot pull. The
next change cuts it; completions go first in the engine. The engine says only what reaches its calibrated confidence.
Off unless `mend.enable`. Left out: what a finding looks like (features/mend.py), choosing its fix (code_action.py).
"""

import asyncio
import hashlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from lsp_server.engine_link import EngineTrouble
from lsp_server.features.fix import Repair, usable, why_no_engine
from lsp_server.features.mend import IGNORE, diagnostics_of, key_of
from lsp_server.features.quiet import EDIT_RULES, Asked, first_refusal
from lsp_server.features.rewrite import source_of
from lsp_server.outcome import Reason
from lsp_server.session import Session, Ticket
from lsp_server.snapshot import Document
from lsp_server.uris import CELL_SCHEME, folder_of, uri_scheme
from lsp_server.wire_actions import PullRequest
from model.engine import api

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

IDLE_S = 2.0
LOOK_AGAIN_S = 1.0
DEADLINE_MS = 30_000.0

log = logging.getLogger("seedling.mend")


def register(server: "SeedlingServer") -> None:
    """Adds the handlers of this file."""
    session = server.session
    options = types.DiagnosticOptions(identifier="seedling", inter_file_dependencies=False, workspace_diagnostics=False)

    @server.feature(types.TEXT_DOCUMENT_DIAGNOSTIC, options)
    def pull(params: PullRequest) -> dict[str, Any]:
        document = session.document(params.uri)
        items = [] if document is None else _items(session, document)
        if document is not None and not session.repairs.is_running("mend", document.uri):
            schedule(server, document.uri)
        result_id = hashlib.blake2b(json.dumps(items).encode(), digest_size=8).hexdigest()
        if result_id == params.previous_result_id:
            return {"kind": "unchanged", "resultId": result_id}
        return {"kind": "full", "resultId": result_id, "items": items}

    @server.command(IGNORE)
    def ignore(*arguments: Any) -> None:
        match arguments:
            case (str() as uri, str() as key):
                session.repairs.dismissed.add(folder_of(uri, session.client.folders), key)
                _tell(server, uri)
            case _:
                raise JsonRpcInvalidParams(f"{IGNORE} takes the URI of a document and the name of a finding.")


def schedule(server: "SeedlingServer", uri: str) -> None:
    """Looks through a document after a pause, unless that was done for this text or nobody wants it."""
    session = server.session
    document = session.document(uri)
    if document is None or not _is_wanted(session, document) or session.repairs.is_done(document):
        return
    ticket = session.repairs.begin("mend", document.uri, session.ticket())
    session.in_background(_mend(server, document, ticket))


def closed(server: "SeedlingServer", uri: str) -> None:
    """An editor that was pushed diagnostics keeps them until it is told otherwise."""
    session = server.session
    if not session.client.pull_diagnostics and session.settings_for(uri).mend_enable:
        _push(server, types.PublishDiagnosticsParams(uri, []))


def switched(server: "SeedlingServer") -> None:
    """Settings or switches are other ones: what is off now disappears, what is on is looked through."""
    session = server.session
    for document in session.open_documents():
        if _is_wanted(session, document):
            schedule(server, document.uri)
        elif session.repairs.drop(document.uri):
            _tell(server, document.uri)


def _is_wanted(session: Session, document: Document) -> bool:
    return session.settings_for(document.uri).mend_enable and why_off(session, document) is None


def why_off(session: Session, document: Document) -> Reason | None:
    """Why this document is not looked through until somebody changes a setting or a switch."""
    settings = session.settings_for(document.uri)
    off = session.switches.refusal(document.uri, document.language, "automatic")
    refused = off or first_refusal(Asked(session.snapshot_of(document), settings, session.engine.state), EDIT_RULES)
    if refused is not None:
        return refused.reason
    if not settings.mend_enable:
        return Reason.MEND_OFF
    return Reason.IN_A_CELL if uri_scheme(document.uri) == CELL_SCHEME else None


def shown(session: Session, document: Document) -> tuple[Repair, ...]:
    """What was found in this document and not sent away."""
    found = session.repairs.mended(document)
    if not found or why_off(session, document) is not None:
        return ()
    path, source = session.snapshot_of(document).path, source_of(document.lines)
    folder = folder_of(document.uri, session.client.folders)
    dismissed = session.repairs.dismissed
    return tuple(one for one in found if not dismissed.has(folder, key_of(path, source, one)))


def _items(session: Session, document: Document) -> list[dict[str, Any]]:
    return diagnostics_of(document, shown(session, document), session.client)


async def _mend(server: "SeedlingServer", document: Document, ticket: Ticket) -> None:
    session = server.session
    started_s = time.perf_counter()
    found: tuple[Repair, ...] | Reason = Reason.CANCELLED
    try:
        found = await session.unless_cut(ticket, _found(session, document, ticket))
        if not isinstance(found, Reason) and session.is_current(document):
            if session.repairs.keep(document, found):
                _tell(server, document.uri)
            found = found or Reason.NO_MISTAKE
    finally:
        session.repairs.end("mend", document.uri, ticket)
        name = found.slug if isinstance(found, Reason) else f"found={len(found)}"
        total_ms = (time.perf_counter() - started_s) * 1000
        log.info("%s %s total_ms=%.1f", ticket.id, name, total_ms)
        reason = found.slug if isinstance(found, Reason) else "shown"
        server.trace(json.dumps({"id": ticket.id, "feature": "mend", "reason": reason, "total_ms": round(total_ms, 2)}))


async def _found(session: Session, document: Document, ticket: Ticket) -> tuple[Repair, ...] | Reason:
    await asyncio.sleep(IDLE_S)
    reason = why_no_engine(session.engine.state, document.language, "mend")
    while reason is Reason.LOADING:  # nothing else would ask again: the document may not change for an hour
        await asyncio.sleep(LOOK_AGAIN_S)
        reason = why_no_engine(session.engine.state, document.language, "mend")
    if reason is not None:
        return reason
    source = source_of(document.lines)
    path = session.snapshot_of(document).path
    question = api.RepairRequest(
        id=ticket.id, text=source, path=path, language=document.language, deadline_ms=DEADLINE_MS
    )
    try:
        findings = await session.engine.repair(question)
    except EngineTrouble as trouble:
        return trouble.reason
    found = await asyncio.to_thread(usable, source, document.language, None, findings, None)
    return () if isinstance(found, Reason) else found


def _tell(server: "SeedlingServer", uri: str) -> None:
    """Shows a new result to the editor, in the way that it knows."""
    session, document = server.session, server.session.document(uri)
    if not session.client.pull_diagnostics:
        if document is not None:
            items = [_typed(item) for item in _items(session, document)]
            _push(server, types.PublishDiagnosticsParams(document.uri, items, document.version))
    elif session.client.refresh_diagnostics:
        session.in_background(_refresh(server))


def _push(server: "SeedlingServer", params: types.PublishDiagnosticsParams) -> None:
    server.protocol.notify(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, params)


def _typed(item: dict[str, Any]) -> types.Diagnostic:
    """A diagnostic as pygls wants it in what it sends by itself."""
    start, end = (types.Position(**item["range"][name]) for name in ("start", "end"))
    severity = types.DiagnosticSeverity(item["severity"])
    fields = {name: item[name] for name in ("message", "code", "source", "data")}
    return types.Diagnostic(range=types.Range(start, end), severity=severity, **fields)


async def _refresh(server: "SeedlingServer") -> None:
    try:
        await server.protocol.send_request_async(types.WORKSPACE_DIAGNOSTIC_REFRESH, None)
    except JsonRpcException:
        return
