"""The hole of a follow-up: what an added argument says, asked of the engine and doubted like ghost text. Pure.

One expression is wanted, so what comes is cut where the argument ends. Shown only above the greater of the user's
confidence and `MIN_CERTAINTY`: whoever looks at the wrong place in the file has left the right one for nothing.
Left out: asking (handlers/next_edit.py).
"""

import msgspec

from lsp_server.context.window import prompt_window
from lsp_server.features.gate import certainty
from lsp_server.features.next_edit.places import Place
from lsp_server.outcome import Reason
from lsp_server.positions import Position
from lsp_server.settings import Settings
from lsp_server.shaping.draft import Draft, Surroundings
from lsp_server.shaping.unsafe_text import refuse_unsafe_text
from lsp_server.snapshot import Change, Snapshot
from model.engine import api

MAX_TOKENS = 16
MIN_CERTAINTY = 0.5

_PAIRS = {"(": ")", "[": "]", "{": "}"}
_AROUND = Surroundings(line_before="", line_after="")


def hole_question(
    snapshot: Snapshot, place: Place, context_tokens: int, settings: Settings, id: str
) -> api.DenoiseRequest:
    """The question for the hole of `place`: the document as it will be, and the cursor in the hole."""
    assert place.hole is not None, "nothing is asked where nothing is missing"
    change = Change(place.text, place.start, place.end)
    document = snapshot.document
    after = document.changed([change], document.version, "utf-32")
    cursor = Position(place.start.line, place.start.column + place.hole)
    there = msgspec.structs.replace(snapshot, document=after, cursor=cursor, selected=None)
    return api.DenoiseRequest(
        id=id,
        prompt=prompt_window(there, context_tokens),
        canvas=(api.Masked(max_tokens=MAX_TOKENS),),
        stop="line",
        deadline_ms=settings.automatic_deadline_ms,
        purpose="next_edit",
    )


def filled(place: Place, done: api.Done, settings: Settings) -> Place | Reason:
    """The place with what the engine wrote into its hole, or why that is not shown."""
    assert place.hole is not None, "nothing is filled where nothing is missing"
    if done.reason in ("cancelled", "deadline"):
        return Reason.CANCELLED if done.reason == "cancelled" else Reason.DEADLINE
    text = expression(done.text)
    if not text:
        return Reason.EMPTY_ANSWER
    if isinstance(refuse_unsafe_text(Draft(text), _AROUND), Reason):
        return Reason.UNSAFE_TEXT
    if certainty(done.confidence, done.num_tokens) < max(MIN_CERTAINTY, settings.confidence):
        return Reason.LOW_CONFIDENCE
    whole = place.text[: place.hole] + text + place.text[place.hole :]
    return msgspec.structs.replace(place, text=whole, hole=None)


def expression(text: str) -> str:
    """The first argument that `text` begins with; empty where its brackets or quotes do not close on the line."""
    open_brackets: list[str] = []
    quote = ""
    line = text.strip().partition("\n")[0]
    end = len(line)
    for index, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in _PAIRS:
            open_brackets.append(_PAIRS[character])
        elif open_brackets and character == open_brackets[-1]:
            open_brackets.pop()
        elif character in ",)]}" and not open_brackets:
            end = index
            break
    return "" if quote or open_brackets else line[:end].strip()
