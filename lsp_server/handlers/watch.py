"""The command `seedling.watch`: a completion is written before the user's eyes, and nothing is changed.

`seedling.watch {uri, position, version?, token?}` answers `{reason, sentence, uri, version, position, text, steps,
forwards, elapsedMs, confidence}`; reason is null where something was written. The steps are told as those of a rewrite
(canvas_frames.py), and it ends as one does: taken back, by a keystroke in the document, by a newer canvas there. Left
out: what is asked (features/watch.py).
"""

import json
import logging
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import msgspec
from pygls.exceptions import JsonRpcInvalidParams

from lsp_server.engine_link import EngineTrouble
from lsp_server.features.quiet import Asked
from lsp_server.features.watch import watch_request, watched
from lsp_server.handlers.canvas_frames import CanvasFrames
from lsp_server.outcome import Outcome, Reason, nothing
from lsp_server.session import Session, Ticket
from lsp_server.snapshot import Snapshot
from lsp_server.wire import UnreadableParams
from lsp_server.wire_watch import WatchRequest, read_watch
from model.engine import api

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

WATCH = "seedling.watch"

log = logging.getLogger("seedling.watch")


class Watched(msgspec.Struct, frozen=True):
    """What was written, and how long that took."""

    text: str
    done: api.Done
    elapsed_ms: float


def register(server: "SeedlingServer") -> None:
    """Adds the command."""

    @server.command(WATCH)
    def by_command(*arguments: Any) -> Coroutine[Any, Any, dict[str, Any]]:
        try:
            asked = read_watch(arguments[0] if arguments else None)
        except UnreadableParams as error:
            raise JsonRpcInvalidParams(f"{WATCH} cannot be read: {error}.") from None
        return _answer(server, asked, *server.session.arrive_for_canvas(asked.uri, asked.version, asked.position))


async def _answer(
    server: "SeedlingServer", asked: WatchRequest, ticket: Ticket, arrived: Snapshot | Outcome
) -> dict[str, Any]:
    token = ticket.id if asked.token is None else asked.token
    frames = CanvasFrames(server, token, "Seedling: writing", lambda: ticket.end(Reason.CANCELLED))
    seen: Watched | Outcome = nothing(Reason.CANCELLED)
    try:
        if isinstance(arrived, Outcome):
            seen = arrived
        elif ticket.cut.done():  # a newer request or a change came in one breath with this one
            seen = nothing(ticket.cut.result())
        else:
            seen = await _watch(server.session, ticket, arrived, frames)
    finally:
        frames.end()
        server.session.canvases.end(asked.uri, ticket)
        name = seen.name if isinstance(seen, Outcome) else "watched"
        total_ms = (time.perf_counter() - ticket.arrived_s) * 1000
        log.info("%s %s total_ms=%.1f", ticket.id, name, total_ms)
        server.trace(json.dumps({"id": ticket.id, "feature": "watch", "reason": name, "total_ms": round(total_ms, 2)}))
    return _to_wire(asked, arrived, seen)


async def _watch(session: Session, ticket: Ticket, snapshot: Snapshot, frames: CanvasFrames) -> Watched | Outcome:
    asked = Asked(snapshot, session.settings_for(snapshot.document.uri), session.engine.state)
    request = watch_request(asked, ticket.id, session.context.snippets_for(snapshot))
    if isinstance(request, Outcome):
        if request.reason is Reason.NO_ENGINE:
            session.engine.start()  # asked for by hand: worth another try, if the restart policy allows one
        return request
    frames.asked()
    try:
        answers = await session.unless_cut(ticket, session.engine.ask(request, frames.show))
    except EngineTrouble as trouble:
        return nothing(trouble.reason, str(trouble))
    if isinstance(answers, Reason):
        return nothing(answers)
    elapsed_ms = frames.elapsed_ms
    text = watched(answers[0])
    return nothing(text) if isinstance(text, Reason) else Watched(text, answers[0], elapsed_ms)


def _to_wire(asked: WatchRequest, arrived: Snapshot | Outcome, seen: Watched | Outcome) -> dict[str, Any]:
    was_written = isinstance(seen, Watched)
    return {
        "reason": None if was_written or seen.reason is None else seen.reason.slug,
        "sentence": "" if was_written else seen.sentence,
        "uri": asked.uri,
        "version": arrived.document.version if isinstance(arrived, Snapshot) else None,
        "position": {"line": asked.position[0], "character": asked.position[1]},
        "text": seen.text if was_written else "",
        "steps": seen.done.steps if was_written else 0,
        "forwards": seen.done.forwards if was_written else 0,
        "elapsedMs": seen.elapsed_ms if was_written else 0.0,
        "confidence": seen.done.confidence if was_written else 0.0,
    }
