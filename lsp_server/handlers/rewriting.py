"""From a request to rewrite to its outcome: rules first, then the engine, which a keystroke in the document cuts.

Finding the statements of 5,000 lines takes longer than a keystroke may wait, so that runs in threads.
Left out: the messages (rewrite.py), what is sent and what comes of the answer (features/rewrite.py).
"""

import asyncio

import msgspec

from lsp_server.actions import Action
from lsp_server.engine_link import EngineTrouble
from lsp_server.features.quiet import Asked
from lsp_server.features.rewrite import (
    Target,
    breaks_syntax,
    rewrite_request,
    rewritten,
    target_of,
    why_not_rewritten,
)
from lsp_server.features.rewrite_menu import rewrite_actions
from lsp_server.handlers.canvas_frames import CanvasFrames
from lsp_server.outcome import Figures, Outcome, Reason, nothing
from lsp_server.positions import Position, from_client
from lsp_server.session import Session, Ticket
from lsp_server.snapshot import Document, Snapshot
from lsp_server.wire_actions import CodeActionRequest


class Rewritten(msgspec.Struct, frozen=True, kw_only=True):
    """`text` ("\\n" as line ends) replaces the target's draft. parses: whether the document is as sound as it was."""

    target: Target
    text: str
    confidence: float
    steps: int
    forwards: int
    elapsed_ms: float
    parses: bool


class Selection(msgspec.Struct, frozen=True):
    """Where and what is asked for, in the document of the snapshot; equal ends are a cursor."""

    start: Position
    end: Position
    instruction: str
    seed: int = 0


async def rewrites(session: Session, document: Document, request: CodeActionRequest) -> list[Action] | Reason:
    """The actions of the menu for a selection, or why there are none. Nothing is asked of the engine yet."""
    refused = session.switches.refusal(document.uri, document.language, "invoked")
    if refused is not None and refused.reason is not None:
        return refused.reason
    lines, encoding = document.lines, session.client.encoding
    start, end = from_client(lines, *request.start, encoding), from_client(lines, *request.end, encoding)
    asked = Asked(session.snapshot_of(document, start), session.settings_for(document.uri), session.engine.state)
    return await asyncio.to_thread(rewrite_actions, asked, start, end, (request.start, request.end))


async def rewrite(
    session: Session, ticket: Ticket, snapshot: Snapshot, selection: Selection, frames: CanvasFrames
) -> Rewritten | Outcome:
    """The rewritten code for a request that has arrived, or the reason for none."""
    document = snapshot.document
    asked = Asked(snapshot, session.settings_for(document.uri), session.engine.state)
    refused = why_not_rewritten(asked, selection.instruction)
    if refused is not None:
        if refused.reason is Reason.NO_ENGINE:
            session.engine.start()  # asked for by hand: worth another try, if the restart policy allows one
        return refused
    capabilities = session.engine.state.capabilities
    assert capabilities is not None, "refused without"
    context_tokens = capabilities.context_tokens
    found = asyncio.to_thread(target_of, snapshot, selection.start, selection.end, context_tokens)
    target = await session.unless_cut(ticket, found)
    if target is None or isinstance(target, Reason):
        return nothing(target or Reason.NOTHING_SELECTED)
    request = rewrite_request(target, snapshot, selection.instruction, selection.seed, context_tokens, ticket.id)
    frames.asked()
    try:
        answers = await session.unless_cut(ticket, session.engine.ask(request, frames.show))
    except EngineTrouble as trouble:
        return nothing(trouble.reason, str(trouble))
    if isinstance(answers, Reason):
        return nothing(answers)
    elapsed_ms = frames.elapsed_ms
    text = rewritten(target, answers[0])
    if isinstance(text, Reason):
        return nothing(text, figures=Figures(forwards=answers[0].forwards))
    done = answers[0]
    breaks = await session.unless_cut(ticket, asyncio.to_thread(breaks_syntax, target, text, document.language))
    if isinstance(breaks, Reason):
        return nothing(breaks)
    return Rewritten(
        target=target,
        text=text,
        confidence=done.confidence,
        steps=done.steps,
        forwards=done.forwards,
        elapsed_ms=elapsed_ms,
        parses=not breaks,
    )
