"""The border between language server and engine: `/v1/denoise`, `/v1/repair` and their neighbours, as msgspec structs.

The border speaks text: no token id crosses it, offsets are Python string indices. Unknown fields are ignored.
`schema.json` beside this file is its committed JSON schema; a test fails when it changes but `API_VERSION` does not.
Deliberately left out: everything about HTTP (app.py) and about finding the engine (lsp_server/engine_client).
"""

from typing import Literal

import msgspec

API_VERSION = 7

EDITOR_HEADER = "Seedling-Editor"
"""An HTTP header with any word, the same in all requests of one editor: of a user's editors none takes another's turn.
Read only where no token names the client."""

StopRule = Literal["eom", "line", "node"]
Purpose = Literal["complete", "next_edit"]
DoneReason = Literal["eom", "stop", "length", "deadline", "max_steps", "cancelled"]
RewriteCapability = Literal["none", "listed", "free"]
RepairReason = Literal["finished", "deadline", "cancelled"]


class Masked(msgspec.Struct, tag="masked", tag_field="state", frozen=True):
    """A hole: the engine writes as many tokens as it needs, at most `max_tokens` (engine's default if None).

    guess: what the hole may begin with (the last ghost text, a line from nearby); it is kept as far as the model does
    not doubt it, at the cost of one pass. Only read where the hole is the whole canvas.
    """

    max_tokens: int | None = None
    guess: str = ""


class Draft(msgspec.Struct, tag="draft", tag_field="state", frozen=True):
    """Visible text that the engine may correct."""

    text: str


class Locked(msgspec.Struct, tag="locked", tag_field="state", frozen=True):
    """Visible text that must neither change nor change order."""

    text: str


Piece = Masked | Draft | Locked


class Snippet(msgspec.Struct, frozen=True):
    path: str
    text: str


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What stands around the canvas. The document reads prefix + line + CANVAS + tail + suffix.

    `prefix` = whole lines above the cursor, `line` = the cursor's line up to the cursor, `tail` = the
    rest of that line and the lines down to an anchor line, `suffix` whole lines from the anchor on.
    """

    path: str = ""
    language: str = "python"
    prefix: str = ""
    line: str = ""
    tail: str = ""
    suffix: str = ""
    snippets: tuple[Snippet, ...] = ()
    instruction: str | None = None


class DenoiseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One canvas to denoise. `boundaries` are offsets into the concatenated draft text (block starts), drafts only.

    in_blocks: a hole is denoised block by block from masks, also by a checkpoint that writes it better otherwise: for
    those who want to watch. logprobs: None, or how many of the likeliest tokens to name beside each of the answer's.
    purpose: what a hole is filled for; a next edit, which nobody is typing at, waits behind what is typed for.
    """

    id: str
    prompt: Prompt
    canvas: tuple[Piece, ...] = (Masked(),)
    api: int = API_VERSION
    model: str | None = None
    boundaries: tuple[int, ...] = ()
    stop: StopRule = "line"
    n: int = 1
    seed: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    max_steps: int | None = None
    deadline_ms: float | None = None
    want_progress: bool = False
    in_blocks: bool = False
    logprobs: int | None = None
    purpose: Purpose = "complete"


class ProgressPiece(msgspec.Struct, frozen=True):
    """A run of canvas text in one state; masked runs have empty text and `num_tokens` masks."""

    state: Literal["masked", "draft", "locked", "committed"]
    text: str
    num_tokens: int
    confidence: float


class Progress(msgspec.Struct, tag="progress", tag_field="event", frozen=True, kw_only=True):
    """The canvas after one step (only with `want_progress`)."""

    step: int
    pieces: tuple[ProgressPiece, ...]
    confidence: float
    index: int = 0


class Committed(msgspec.Struct, tag="committed", tag_field="event", frozen=True, kw_only=True):
    """Text that became final."""

    text: str
    index: int = 0


class TokenScore(msgspec.Struct, frozen=True, kw_only=True):
    """A token's text (several tokens' where a character is cut) and its log-probability behind all that stands before
    it; `top`: the likeliest at its place."""

    text: str
    logprob: float
    top: dict[str, float] = {}


class Done(msgspec.Struct, tag="done", tag_field="event", frozen=True, kw_only=True):
    """The end of one alternative. `text` replaces the whole canvas; `confidence` = geometric mean token probability.

    `steps` counts denoising steps, `forwards` all passes of the network including prefill (NFE). tokens: where the
    request asks for their log-probabilities; together they are the text.
    """

    text: str
    reason: DoneReason
    confidence: float
    steps: int
    forwards: int
    num_tokens: int
    prompt_tokens: int
    cached_tokens: int
    model: str
    device: str
    engine_ms: float
    index: int = 0
    tokens: tuple[TokenScore, ...] = ()


class Error(msgspec.Struct, tag="error", tag_field="event", frozen=True, kw_only=True):
    """A failure in one sentence for a person; `code` for programs (`bad_request`, `loading`, …)."""

    code: str
    sentence: str


Event = Progress | Committed | Done | Error


class RepairRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A text to repair. Rows first..last (from 0, both or neither) are those that somebody named; without them the
    engine looks for what is wrong in the whole text. messages: what diagnostics say of the named rows, for models that
    read instructions.
    """

    id: str
    text: str
    path: str = ""
    language: str = "python"
    first_row: int | None = None
    last_row: int | None = None
    messages: tuple[str, ...] = ()
    snippets: tuple[Snippet, ...] = ()
    api: int = API_VERSION
    model: str | None = None
    deadline_ms: float | None = None


class Finding(msgspec.Struct, tag="finding", tag_field="event", frozen=True, kw_only=True):
    """A repair: characters start..end of the request's text (Python string indices) become `text`.

    confidence: the probability that exactly this is right. kind: a word for what changes, as for people.
    """

    start: int
    end: int
    text: str
    confidence: float
    kind: str


class Repaired(msgspec.Struct, tag="repaired", tag_field="event", frozen=True, kw_only=True):
    """The end of a repair; its findings came before, the surest first. Each is for the text as it was sent.

    forwards: passes of the network. A repair that ran into its deadline says what it has found until then.
    """

    num_findings: int
    forwards: int
    engine_ms: float
    reason: RepairReason


RepairEvent = Finding | Repaired | Error


class CancelRequest(msgspec.Struct, frozen=True):
    id: str


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What the loaded checkpoint can do; the language server offers nothing else.

    edits_listed: the kinds of instructed edit that were measured to work, where `rewrite` is `listed`.
    """

    api: int
    model: str
    device: str
    languages: tuple[str, ...]
    complete: tuple[Literal["line", "block"], ...]
    rewrite: RewriteCapability
    fix: bool
    mend: bool
    next_edit: bool
    context_tokens: int
    edits_listed: tuple[str, ...] = ()


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`status` goes loading → ready, or loading → failed with a `sentence`; `progress` is 0..1 while loading."""

    status: Literal["loading", "ready", "draining", "failed"]
    progress: float
    sentence: str
    api: int
    version: str
    model: str
    device: str
    pid: int
    uptime_s: float


def encode_event(event: Event | RepairEvent) -> bytes:
    """One NDJSON line."""
    return msgspec.json.encode(event) + b"\n"


def decode_event(line: bytes) -> Event:
    """The event of one NDJSON line. Raises msgspec.ValidationError or msgspec.DecodeError on foreign input."""
    return msgspec.json.decode(line, type=Event)


def decode_repair_event(line: bytes) -> RepairEvent:
    """As `decode_event`, of an answer to a RepairRequest."""
    return msgspec.json.decode(line, type=RepairEvent)
