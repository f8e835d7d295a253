"""`textDocument/codeAction` and `codeAction/resolve`: one menu for all features that offer actions.

Source: LSP 3.18. Each feature offers `Action`s (features/fix.py, features/rewrite.py); here they are merged, labelled
as written by a model (`tags`, where the client knows them) and never preferred: no key and no "fix all" takes them
unasked. The edit is made when one is chosen. A client that resolves nothing gets a command instead, which has it apply
the edit. Nothing is offered for the light bulb, which editors ask about at every movement, nor on saving.
Left out: finding out what to offer (fixing.py, rewriting.py), messages (wire_actions.py).
"""

import json
import logging
import time
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from lsp_server.actions import FIX_KIND, REWRITE_KIND, Action, is_wanted
from lsp_server.applying import Span, apply, versioned_edit
from lsp_server.client_profile import ClientProfile
from lsp_server.features.rewrite import line_end
from lsp_server.handlers import diagnostic, rewrite
from lsp_server.handlers.fixing import fixes, surest
from lsp_server.handlers.rewriting import rewrites
from lsp_server.outcome import Reason
from lsp_server.positions import Position, without_end
from lsp_server.session import Session
from lsp_server.snapshot import Document
from lsp_server.wire_actions import CodeActionRequest, ResolveRequest

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

APPLY = "seedling.applyAction"
CONTENT_MODIFIED = -32801
# Whoever typed on, closed the document or asked for something newer knows why nothing comes.
_NO_NEWS = frozenset({Reason.STALE, Reason.CLOSED, Reason.SUPERSEDED, Reason.CANCELLED})
_LLM_GENERATED = 1

log = logging.getLogger("seedling.actions")


class CannotResolve(JsonRpcException):
    """A chosen action has no edit any more; the text says why. Becomes error -32801, which the request allows."""

    CODE = CONTENT_MODIFIED

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value, CONTENT_MODIFIED)


def register(server: "SeedlingServer") -> None:
    """Adds the handlers of this file."""
    session = server.session
    options = types.CodeActionOptions(code_action_kinds=[FIX_KIND, REWRITE_KIND], resolve_provider=True)

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, options)
    def code_action(params: CodeActionRequest) -> Coroutine[Any, Any, list[dict[str, Any]]]:
        return _answer(server, params, session.document(params.uri))

    @server.feature(types.CODE_ACTION_RESOLVE)
    def resolve(params: ResolveRequest) -> Coroutine[Any, Any, dict[str, Any]]:
        return _resolved(server, params)

    @server.command(APPLY)
    def apply_action(*arguments: Any) -> Coroutine[Any, Any, dict[str, Any]]:
        if not arguments or not isinstance(arguments[0], dict):
            raise JsonRpcInvalidParams(f"{APPLY} takes the data of an action.")
        return _applied(server, arguments[0], str(arguments[1]) if len(arguments) > 1 else "Seedling")


async def _answer(
    server: "SeedlingServer", request: CodeActionRequest, document: Document | None
) -> list[dict[str, Any]]:
    started_s = time.perf_counter()
    actions: list[Action] = []
    reason: Reason | None = None
    wanted = [kind for kind in (FIX_KIND, REWRITE_KIND) if is_wanted(kind, request.only)]
    if document is None:
        reason = Reason.NOT_OPEN
    elif not request.asked or not wanted:
        reason = Reason.NOT_ASKED
    else:
        if FIX_KIND in wanted:
            found = await fixes(server.session, document, request, diagnostic.shown(server.session, document))
            reason = found if isinstance(found, Reason) else None
            actions += () if isinstance(found, Reason) else found
        if REWRITE_KIND in wanted:
            offered = await rewrites(server.session, document, request)
            reason = (reason or offered) if isinstance(offered, Reason) and not actions else None
            actions += () if isinstance(offered, Reason) else offered
        if not server.session.is_current(document):
            actions, reason = [], Reason.STALE
    _report(server, reason, len(actions), started_s)
    return [to_wire(action, server.session.client) for action in actions]


def _report(server: "SeedlingServer", reason: Reason | None, num_actions: int, started_s: float) -> None:
    name = "shown" if reason is None else reason.slug
    total_ms = (time.perf_counter() - started_s) * 1000
    log.info("%s actions=%d total_ms=%.1f", name, num_actions, total_ms)
    server.trace(json.dumps({"feature": "actions", "reason": name, "num": num_actions, "total_ms": round(total_ms, 2)}))


def to_wire(action: Action, client: ClientProfile) -> dict[str, Any]:
    """An action as LSP has it, as far as this client understands it."""
    shown: dict[str, Any] = {"title": action.title, "kind": action.kind}
    if action.diagnostics:
        shown["diagnostics"] = list(action.diagnostics)
    if action.command is not None:
        name, arguments = action.command
        return {**shown, "command": {"title": action.title, "command": name, "arguments": list(arguments)}}
    if client.action_tags:
        shown["tags"] = [_LLM_GENERATED]
    if client.resolves_edits and not action.is_slow:
        return {**shown, "data": action.data}
    command = {"title": action.title, "command": APPLY, "arguments": [action.data, action.title]}
    return {**shown, "command": command}


async def _resolved(server: "SeedlingServer", request: ResolveRequest) -> dict[str, Any]:
    if "edit" in request.action or "command" in request.action:
        return dict(request.action)  # Neovim resolves whatever is chosen; there is nothing to add
    title = request.action.get("title")
    made = await _made(server, request.data, title if isinstance(title, str) else "Seedling")
    if isinstance(made, Reason):
        log.info("resolve %s", made.slug)
        raise CannotResolve(made)
    return {**request.action, "edit": made[1]}


async def _applied(server: "SeedlingServer", data: Mapping[str, Any], title: str) -> dict[str, Any]:
    made = await _made(server, data, title)
    reason = made if isinstance(made, Reason) else await apply(server, made[0], made[1], title)
    log.info("apply %s", "applied" if reason is None else reason.slug)
    if reason is None:
        return {"applied": True, "reason": None, "sentence": ""}
    if data.get("kind") == "find" and reason not in _NO_NEWS:
        # Chosen before anybody knew that there is none: editors do not show what a command answers.
        server.window_show_message(types.ShowMessageParams(types.MessageType.Info, f"Seedling: {reason.value}"))
    return {"applied": False, "reason": reason.slug, "sentence": reason.value}


async def _made(
    server: "SeedlingServer", data: Mapping[str, Any], title: str
) -> tuple[Document, dict[str, Any]] | Reason:
    """The edit of a chosen action, with the document that it is for."""
    document = server.session.document(data["uri"]) if isinstance(data.get("uri"), str) else None
    if document is None:
        return Reason.NOT_OPEN
    if document.version != data.get("version"):
        return Reason.STALE
    if data.get("kind") in ("fix", "mend"):
        return _repaired(server.session, document, data, title)
    if data.get("kind") == "find":
        found = await surest(server.session, document, data)
        return found if isinstance(found, Reason) else _repaired(server.session, document, *found)
    if data.get("kind") == "rewrite":
        return await rewrite.made(server, document, data, title)
    return Reason.STALE


def _repaired(
    session: Session, document: Document, data: Mapping[str, Any], title: str
) -> tuple[Document, dict[str, Any]] | Reason:
    """The edit that `features.fix.data_of` described. Compared with the text as it stands, whatever the data say."""
    span, new, old = _span(document, data.get("span")), data.get("text"), data.get("old")
    if span is None or not isinstance(new, str) or _text_in(document, span) != old:
        return Reason.STALE
    text = new.replace("\n", line_end(document.lines))
    return document, versioned_edit(session.client, document, span, text, title)


def _span(document: Document, value: Any) -> Span | None:
    match value:
        case [[int() as row, int() as column], [int() as last_row, int() as last_column]]:
            start, end = Position(row, column), Position(last_row, last_column)
            inside = all(_is_inside(document, position) for position in (start, end))
            return Span(start, end) if inside and start <= end else None
    return None


def _is_inside(document: Document, position: Position) -> bool:
    row, column = position
    return 0 <= row < len(document.lines) and 0 <= column <= len(without_end(document.lines[row]))


def _text_in(document: Document, span: Span) -> str:
    """What stands there, with "\\n" as line ends."""
    (first, begin), (last, end) = span.start, span.end
    if first == last:
        return document.lines[first][begin:end]
    rows = [without_end(line) for line in document.lines[first : last + 1]]
    return "\n".join([rows[0][begin:], *rows[1:-1], rows[-1][:end]])
