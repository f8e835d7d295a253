"""Complete: the code that is missing at the cursor. Pure functions over a Snapshot.

`plan_completion` says what to ask the engine, or why nothing is asked; `shape_completion` turns its answer into items,
or says why there are none. Source: the order of checks is Copilot's ghostText.ts, cheapest and most general first.
Left out: sending the request (handlers/answering.py), other files as context.
"""

from lsp_server.context.exclude import exclusion
from lsp_server.context.window import prompt_window
from lsp_server.engine_link import EngineState
from lsp_server.outcome import Figures, Item, Outcome, Reason, nothing
from lsp_server.positions import Position, without_end
from lsp_server.settings import Settings
from lsp_server.shaping.draft import Surroundings
from lsp_server.shaping.pipeline import shape
from lsp_server.snapshot import Snapshot
from model.engine import api

NUM_LINES_BELOW = 12
NUM_LINES_ABOVE = 40


def plan_completion(
    snapshot: Snapshot, settings: Settings, engine: EngineState, request_id: str
) -> api.DenoiseRequest | Outcome:
    """The engine request for `snapshot`, or the outcome that says why there is none."""
    refused = _refused(snapshot, settings) or _engine_refuses(snapshot, engine)
    if refused is not None:
        return refused
    assert engine.capabilities is not None
    automatic = snapshot.trigger == "automatic"
    return api.DenoiseRequest(
        id=request_id,
        prompt=prompt_window(snapshot, engine.capabilities.context_tokens),
        stop="line" if is_line_completion(snapshot, settings, engine.capabilities) else "node",
        deadline_ms=settings.automatic_deadline_ms if automatic else settings.invoked_deadline_ms,
    )


def _refused(snapshot: Snapshot, settings: Settings) -> Outcome | None:
    automatic = snapshot.trigger == "automatic"
    if not settings.enabled:
        return nothing(Reason.DISABLED)
    if settings.languages is not None and snapshot.document.language not in settings.languages:
        return nothing(Reason.LANGUAGE_OFF)
    if automatic and settings.manual_only:
        return nothing(Reason.MANUAL_ONLY)
    if automatic and _inside_word(snapshot):
        return nothing(Reason.MID_WORD)
    return exclusion(snapshot, settings)


def _engine_refuses(snapshot: Snapshot, engine: EngineState) -> Outcome | None:
    capabilities = engine.capabilities
    if capabilities is None:
        return nothing(Reason.LOADING if engine.kind == "loading" else Reason.NO_ENGINE)
    if not capabilities.complete:
        return nothing(Reason.CANNOT_COMPLETE)
    if snapshot.document.language not in capabilities.languages:
        return nothing(Reason.LANGUAGE_NOT_SUPPORTED, ", ".join(capabilities.languages))
    return None


def _inside_word(snapshot: Snapshot) -> bool:
    after = snapshot.line_after[:1]
    return after.isalnum() or after == "_"


def is_line_completion(snapshot: Snapshot, settings: Settings, capabilities: api.Capabilities) -> bool:
    """Whether one line is asked for. Several are on an empty line right below a line that opens a block."""
    if not settings.multi_line or "block" not in capabilities.complete:
        return True
    if snapshot.line_before.strip() or snapshot.line_after.strip():
        return True
    above = _line_above(snapshot)
    directly_above = without_end(snapshot.document.lines[snapshot.cursor.line - 1]) if snapshot.cursor.line else ""
    return above != directly_above or not above.rstrip().endswith((":", "{"))


def shape_completion(done: api.Done, snapshot: Snapshot, settings: Settings, request: api.DenoiseRequest) -> Outcome:
    """The items of the engine's answer to `request`, or the reason for none."""
    figures = Figures(
        confidence=done.confidence,
        engine_ms=done.engine_ms,
        steps=done.steps,
        forwards=done.forwards,
        num_tokens=done.num_tokens,
        prompt_tokens=done.prompt_tokens,
        cached_tokens=done.cached_tokens,
    )
    if done.reason == "cancelled":
        return nothing(Reason.CANCELLED, figures=figures)
    if done.reason == "deadline" and not done.text.strip():
        return nothing(Reason.DEADLINE, figures=figures)
    shaped = shape(done.text, surroundings(snapshot, single_line=request.stop == "line"))
    if isinstance(shaped, tuple):
        return nothing(shaped[0], shaped[1], figures)
    # Asked for by hand, any answer is better than none; unasked, a doubtful one is an interruption.
    if snapshot.trigger == "automatic" and done.confidence < settings.confidence:
        return nothing(Reason.LOW_CONFIDENCE, f"{done.confidence:.2f}", figures)
    return Outcome(items=(_item(snapshot, request.id, shaped.text, shaped.num_replaced),), figures=figures)


def _item(snapshot: Snapshot, request_id: str, text: str, num_replaced: int) -> Item:
    """The item for `text`, which stands at the cursor and replaces `num_replaced` characters after it.

    The range begins at the cursor, not at the word or line: both editors would accept the latter, but Neovim 0.12 draws
    an item with a non-empty range *over* the rest of the line (inline_completion.lua: `virt_text_pos`), hiding what
    follows the cursor. Only the popup's selected item makes it begin earlier, because VS Code wants it extended.
    """
    selected = snapshot.selected
    end = snapshot.replaced_from_cursor
    return Item(
        id=request_id,
        text=text if selected is None else selected.text + text,
        start=snapshot.cursor if selected is None else selected.start,
        end=Position(end.line, end.column + num_replaced),
    )


def surroundings(snapshot: Snapshot, *, single_line: bool) -> Surroundings:
    """What the shaping filters may compare the answer with."""
    lines, row = snapshot.document.lines, snapshot.cursor.line
    return Surroundings(
        line_before=snapshot.line_before,
        line_after=snapshot.line_after,
        line_above=_line_above(snapshot),
        lines_below=tuple(without_end(line) for line in lines[row + 1 : row + 1 + NUM_LINES_BELOW]),
        indent=snapshot.indent,
        single_line=single_line,
    )


def _line_above(snapshot: Snapshot) -> str:
    lines, row = snapshot.document.lines, snapshot.cursor.line
    for line in reversed(lines[max(0, row - NUM_LINES_ABOVE) : row]):
        if line.strip():
            return without_end(line)
    return ""
