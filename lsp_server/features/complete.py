"""Complete: the code that is missing at the cursor. Pure functions over a Snapshot.

`plan_completion` says what to ask the engine, or why nothing is asked; `shape_completion` turns its answer into items,
or says why there are none. Source: Copilot's ghostText.ts. Left out: when to stay quiet (quiet.py), one line or several
(one_or_many_lines.py), sending the request (handlers/answering.py).
"""

import msgspec

from lsp_server.context.line_index import LineIndex
from lsp_server.context.window import prompt_window
from lsp_server.engine_link import EngineState
from lsp_server.features.gate import certainty, witness
from lsp_server.features.one_or_many_lines import is_line_completion
from lsp_server.features.quiet import Asked, why_quiet
from lsp_server.features.similar_line import Similar, similar_line
from lsp_server.outcome import Figures, Item, Outcome, Reason, Source, nothing
from lsp_server.positions import Position, without_end
from lsp_server.settings import Settings
from lsp_server.shaping.draft import Surroundings
from lsp_server.shaping.pipeline import shape
from lsp_server.snapshot import Snapshot
from lsp_server.type_along import Found
from model.engine import api

NUM_LINES_BELOW = 12
NUM_LINES_ABOVE = 40
NUM_ALTERNATIVES = 3
# For what is drawn beside the greedy answer: other first tokens, but no wild ones.
ALTERNATIVE_TEMPERATURE = 0.8
ALTERNATIVE_TOP_P = 0.9


class Question(msgspec.Struct, frozen=True):
    """What the engine is asked. guess: what its hole may begin with. similar: a line that begins like the cursor's
    (similar_line.py): looked for once, it is the guess where it is likely, and the gate's second witness.
    """

    request: api.DenoiseRequest
    guess: str = ""
    similar: Similar | None = None


def plan_completion(
    snapshot: Snapshot,
    settings: Settings,
    engine: EngineState,
    request_id: str,
    snippets: tuple[api.Snippet, ...] = (),
    others: LineIndex | None = None,
) -> Question | Outcome:
    """The question for `snapshot`, or the outcome that says why there is none."""
    refused = why_quiet(Asked(snapshot, settings, engine))
    return build_question(snapshot, settings, engine, request_id, snippets, others) if refused is None else refused


def build_question(
    snapshot: Snapshot,
    settings: Settings,
    engine: EngineState,
    request_id: str,
    snippets: tuple[api.Snippet, ...] = (),
    others: LineIndex | None = None,
) -> Question:
    """The question for `snapshot`, which nothing refuses. others: the lines of the texts that were gathered."""
    assert engine.capabilities is not None, "why_quiet refuses what no engine can answer"
    automatic = snapshot.trigger == "automatic"
    prompt = prompt_window(snapshot, engine.capabilities.context_tokens)
    similar = similar_line(snapshot, others)
    guess = similar.rest if similar is not None and similar.is_likely else ""
    request = api.DenoiseRequest(
        id=request_id,
        prompt=msgspec.structs.replace(prompt, snippets=snippets),
        canvas=(api.Masked(guess=guess),),
        stop="line" if is_line_completion(snapshot, settings, engine.capabilities) else "node",
        deadline_ms=settings.automatic_deadline_ms if automatic else settings.invoked_deadline_ms,
    )
    return Question(request, guess, similar)


def with_guess(question: Question, guess: str) -> Question:
    """`question` for a hole that may begin with `guess`."""
    if not guess:
        return question
    request = msgspec.structs.replace(question.request, canvas=(api.Masked(guess=guess),))
    return msgspec.structs.replace(question, request=request, guess=guess)


def alternatives_to(request: api.DenoiseRequest) -> api.DenoiseRequest:
    """The request for further answers behind the same prompt, drawn at a temperature."""
    return msgspec.structs.replace(
        request,
        id=f"{request.id}-more",
        canvas=(api.Masked(),),  # a guess would make them alike
        n=NUM_ALTERNATIVES - 1,
        seed=request.seed + 1,
        temperature=ALTERNATIVE_TEMPERATURE,
        top_p=ALTERNATIVE_TOP_P,
    )


def shape_completion(done: api.Done, snapshot: Snapshot, settings: Settings, question: Question) -> Outcome:
    """The items of the engine's answer to `question`, or the reason for none."""
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
    shaped = shape(done.text, surroundings(snapshot, single_line=question.request.stop == "line"))
    if isinstance(shaped, tuple):
        return nothing(shaped[0], shaped[1], figures)
    # Asked for by hand, any answer is better than none; unasked, a doubtful one is an interruption.
    certain = certainty(done.confidence, done.num_tokens, witness(shaped.text, question.similar))
    if snapshot.trigger == "automatic" and certain < settings.confidence:
        return nothing(Reason.LOW_CONFIDENCE, f"{certain:.2f}", figures)
    item = _item(snapshot, question.request.id, shaped.text, shaped.num_replaced)
    return Outcome(items=(msgspec.structs.replace(item, confidence=certain),), figures=figures)


def shape_alternatives(
    done: api.Done, others: list[api.Done], snapshot: Snapshot, settings: Settings, question: Question
) -> Outcome:
    """As `shape_completion`, and behind its item the others', the surest first, each text once.

    An alternative that was cut short is none: what is chosen among several should be finished.
    """
    first = shape_completion(done, snapshot, settings, question)
    whole = [other for other in others if other.reason not in ("cancelled", "deadline")]
    whole.sort(key=lambda other: -other.confidence)
    items = list(first.items)
    for other in whole:
        for item in shape_completion(other, snapshot, settings, question).items:
            if all((item.text, item.end) != (before.text, before.end) for before in items):
                items.append(msgspec.structs.replace(item, id=f"{question.request.id}.{len(items)}"))
    return Outcome(items=tuple(items), figures=first.figures) if items else first


def offer_again(found: Found, snapshot: Snapshot, request_id: str, source: Source) -> Outcome:
    """The rest of an answer that was offered or asked for before: what the engine would say now, without asking it."""
    return Outcome(items=(_item(snapshot, request_id, found.text, found.num_replaced),), source=source)


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
        lines_above=tuple(without_end(line) for line in lines[max(0, row - NUM_LINES_ABOVE) : row]),
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
