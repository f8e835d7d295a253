"""Edits of one span of one document, tied to the version they were made for; and having the editor apply them.

Source: LSP 3.18 "WorkspaceEdit", "ChangeAnnotation" and `workspace/applyEdit`. An edit with a version is refused by the
editor where the document has moved on; clients without `documentChanges` have no version, so it is compared here right
before. Nothing but the span is written: one document, one edit. Left out: what to write (features/), and files on the
disk (file_text.py).
"""

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from lsp_server.client_profile import ClientProfile
from lsp_server.outcome import Reason
from lsp_server.positions import Position, to_client
from lsp_server.snapshot import Document

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

ANSWER_TIMEOUT_S = 30.0
_ANNOTATION = "seedling"


class Span(msgspec.Struct, frozen=True):
    """From `start` up to but without `end`."""

    start: Position
    end: Position


def range_of(document: Document, span: Span, client: ClientProfile) -> dict[str, Any]:
    """A span as an LSP range, in the client's units."""
    ends = (to_client(document.lines, position, client.encoding) for position in (span.start, span.end))
    start, end = ({"line": line, "character": character} for line, character in ends)
    return {"start": start, "end": end}


def versioned_edit(
    client: ClientProfile, document: Document, span: Span, new_text: str, annotation: str
) -> dict[str, Any]:
    """A WorkspaceEdit that replaces `span` in this version of the document, and nothing else.

    annotation: a sentence for clients that show one beside the change. Clients without `documentChanges` get the plain
    `changes`, which know no version: `apply` compares it for them.
    """
    edit: dict[str, Any] = {"range": range_of(document, span, client), "newText": new_text}
    if not client.document_changes:
        return {"changes": {document.uri: [edit]}}
    identifier = {"uri": document.uri, "version": document.version}
    if not client.change_annotations:
        return {"documentChanges": [{"textDocument": identifier, "edits": [edit]}]}
    edit["annotationId"] = _ANNOTATION
    return {
        "documentChanges": [{"textDocument": identifier, "edits": [edit]}],
        # Whoever chose the action has seen what it does: to be asked once more would be a nuisance.
        "changeAnnotations": {_ANNOTATION: {"label": annotation, "needsConfirmation": False}},
    }


async def apply(server: "SeedlingServer", document: Document, edit: dict[str, Any], label: str) -> Reason | None:
    """Has the editor apply an edit that was made for `document`; why it was not, or None.

    Refused here when the document has changed since or was closed.
    """
    session = server.session
    if not session.client.apply_edit:
        return Reason.CANNOT_APPLY
    if not session.is_current(document):
        return Reason.STALE
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            # pygls writes only its own classes into a request that the server sends.
            raw = {"label": label, "edit": edit}
            params = server.protocol._converter.structure(raw, types.ApplyWorkspaceEditParams)
            answer = await server.protocol.send_request_async(types.WORKSPACE_APPLY_EDIT, params)
    except (JsonRpcException, TimeoutError):
        return Reason.NOT_APPLIED
    return None if _was_applied(answer) else Reason.NOT_APPLIED


def _was_applied(answer: Any) -> bool:
    return bool(answer.get("applied") if isinstance(answer, dict) else getattr(answer, "applied", False))
