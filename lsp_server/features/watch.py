"""Watching: the completion at a place as a canvas that is written from masks, for whoever wants to see how. Pure.

The question is that of a completion asked for by hand, but always in blocks and with every step told; nothing is
inserted, so the text is not fitted to what stands around it. Left out: the messages (handlers/watch.py).
"""

import msgspec

from lsp_server.features.complete import plan_completion
from lsp_server.features.quiet import Asked
from lsp_server.outcome import Outcome, Reason
from lsp_server.shaping.draft import Draft, Surroundings
from lsp_server.shaping.unsafe_text import refuse_unsafe_text
from model.engine import api

DEADLINE_MS = 20_000.0
_AROUND = Surroundings(line_before="", line_after="")


def watch_request(asked: Asked, request_id: str, snippets: tuple[api.Snippet, ...]) -> api.DenoiseRequest | Outcome:
    """The question, or the outcome that says why there is none."""
    planned = plan_completion(asked.snapshot, asked.settings, asked.engine, request_id, snippets)
    if isinstance(planned, Outcome):
        return planned
    return msgspec.structs.replace(
        planned.request, canvas=(api.Masked(),), deadline_ms=DEADLINE_MS, want_progress=True, in_blocks=True
    )


def watched(done: api.Done) -> str | Reason:
    """The text that was written, as far as it came, or why there is none to show."""
    if done.reason == "cancelled":
        return Reason.CANCELLED
    text = done.text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        return Reason.DEADLINE if done.reason == "deadline" else Reason.EMPTY_ANSWER
    return Reason.UNSAFE_TEXT if isinstance(refuse_unsafe_text(Draft(text), _AROUND), Reason) else text
