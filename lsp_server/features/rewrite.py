"""Rewriting code that is selected, or the statement at the cursor, as somebody asks in words. Pure functions.

What is selected grows to whole statements; those of the same compound statement that are outside stay in the canvas as
locked text, and only what lies between them is ever replaced. Source: how the models are trained and measured
(docs/evaluation.md): old code as draft, the instruction behind it, no code of other files. The text is taken as the
model gives it: never indented anew. Left out: asking (handlers/rewrite.py), which kinds there are (rewrite_kinds.py).
"""

import bisect
from collections.abc import Sequence

import msgspec

from lsp_server.engine_link import EngineState
from lsp_server.features.complete import ALTERNATIVE_TEMPERATURE, ALTERNATIVE_TOP_P
from lsp_server.features.quiet import EDIT_RULES, Asked, first_refusal
from lsp_server.features.rewrite_kinds import examples, instruction_of, kind_of
from lsp_server.outcome import Outcome, Reason, nothing
from lsp_server.positions import Position, without_end
from lsp_server.shaping.draft import Draft, Surroundings
from lsp_server.shaping.unsafe_text import refuse_unsafe_text
from lsp_server.snapshot import Snapshot
from model.engine import api
from model.syntax.spans import Span, node_spans
from model.syntax.trees import has_error, parse

MAX_INSTRUCTION_CHARS = 400
DEADLINE_MS = 20_000.0
TAIL_LINES = 4
WINDOW_STEP = 16
"""The engine cuts at multiples of so many lines from the prompt's first: the window begins at one, so that the engine
sees the same lines as of the whole text."""
WINDOW_CHARS_PER_TOKEN = 16
LOCKED_CHARS_PER_TOKEN = 1
"""Locked text takes room from the prompt twice; beyond a character a token of the context it is left to the prompt."""

_AROUND = Surroundings(line_before="", line_after="")


class Target(msgspec.Struct, frozen=True):
    """What is rewritten: characters start..end of `source` (the document with "\\n" as line ends) are the draft.

    before, after: what else of its compound statements stands in the canvas, locked.
    """

    source: str
    start: int
    end: int
    before: str = ""
    after: str = ""

    @property
    def draft(self) -> str:
        return self.source[self.start : self.end]


def source_of(lines: Sequence[str]) -> str:
    """The document's text with "\\n" as line ends: its lines are those of the document."""
    return "".join(without_end(line) + ("\n" if line.endswith(("\n", "\r")) else "") for line in lines)


def offset_of(lines: Sequence[str], position: Position) -> int:
    """Where in `source_of(lines)` a position of the document is."""
    above = sum(len(without_end(line)) + 1 for line in lines[: position.line])
    return above + min(position.column, len(without_end(lines[position.line])))


def position_of(source: str, offset: int) -> Position:
    """As `offset_of`, the other way."""
    return Position(source.count("\n", 0, offset), offset - (source.rfind("\n", 0, offset) + 1))


def target_of(snapshot: Snapshot, start: Position, end: Position, context_tokens: int) -> Target | None:
    """What a selection in the snapshot's document means, or a cursor, where the ends are equal."""
    lines = snapshot.document.lines
    low, high = sorted((offset_of(lines, start), offset_of(lines, end)))
    max_locked_chars = context_tokens * LOCKED_CHARS_PER_TOKEN
    return target_at(source_of(lines), low, high, snapshot.document.language, max_locked_chars)


def target_at(source: str, start: int, end: int, language: str, max_locked_chars: int) -> Target | None:
    """What a selection (or a cursor, where start == end) means; None where it touches no code."""
    statements = [span for span in node_spans(source, language) if span.kind == "statement"]
    wanted = _visible(source, start, end) if end > start else _at_cursor(source, start, statements)
    if wanted is None:
        return None
    first, last = _smallest(statements, wanted[0]), _smallest(statements, wanted[1] - 1)
    low = wanted[0] if first is None else min(wanted[0], first.start)
    high = wanted[1] if last is None else max(wanted[1], last.end)
    around = [span for span in (first, last) if span is not None]
    around += [span for span in statements if span.start < low < span.end < high or low < span.start < high < span.end]
    outer_low, outer_high = min([low, *(s.start for s in around)]), max([high, *(s.end for s in around)])
    before, after = source[outer_low:low], source[high:outer_high]
    if not before and not after:
        low, high = _whole_lines(source, start, end, low, high)
    if len(before) + len(after) > max_locked_chars:
        before = after = ""
    return Target(source, low, high, before, after)


def _visible(source: str, start: int, end: int) -> tuple[int, int] | None:
    """The selection from its first to behind its last visible character."""
    text = source[start:end]
    if not text.strip():
        return None
    return start + len(text) - len(text.lstrip()), end - (len(text) - len(text.rstrip()))


def _at_cursor(source: str, at: int, statements: Sequence[Span]) -> tuple[int, int] | None:
    """The smallest statement at the cursor: behind it on its line, or in its indentation, counts too."""
    line_start = source.rfind("\n", 0, at) + 1
    line_end = source.find("\n", at)
    visible = _visible(source, line_start, len(source) if line_end < 0 else line_end)
    if visible is not None:
        at = min(max(at, visible[0]), visible[1] - 1)
    found = _smallest(statements, at)
    return None if found is None else (found.start, found.end)


def _smallest(statements: Sequence[Span], at: int) -> Span | None:
    covering = [span for span in statements if span.start <= at < span.end]
    return min(covering, key=lambda span: span.end - span.start, default=None)


def _whole_lines(source: str, start: int, end: int, low: int, high: int) -> tuple[int, int]:
    """The lines of low..high with the last line end, where the selection has both ends of them; else low..high."""
    line_start = source.rfind("\n", 0, low) + 1
    has_start = start <= line_start and not source[line_start:low].strip()
    has_end = "\n" in source[high:end] and not source[high : source.find("\n", high)].strip()
    return (line_start, source.find("\n", high) + 1) if has_start and has_end else (low, high)


def why_not_rewritten(asked: Asked, instruction: str | None) -> Outcome | None:
    """Why nothing is rewritten in this document, or None; instruction None: whatever is asked for."""
    if not asked.settings.rewrite_enable:
        return nothing(Reason.REWRITE_OFF)
    return first_refusal(asked, EDIT_RULES) or _engine_cannot(
        asked.engine, asked.snapshot.document.language, instruction
    )


def _engine_cannot(engine: EngineState, language: str, instruction: str | None) -> Outcome | None:
    capabilities = engine.capabilities
    if capabilities is None:
        return nothing(Reason.LOADING if engine.kind == "loading" else Reason.NO_ENGINE)
    if engine.completes_only:
        return nothing(Reason.COMPLETES_ONLY)
    if capabilities.rewrite == "none":
        return nothing(Reason.CANNOT_REWRITE, capabilities.model)
    if language not in capabilities.languages:
        name = language or "a language without a name"
        return nothing(Reason.LANGUAGE_NOT_SUPPORTED, f"{name}; it knows {', '.join(capabilities.languages)}")
    if instruction is None or capabilities.rewrite == "free":
        return None
    if kind_of(instruction, capabilities.edits_listed) is None:
        return nothing(Reason.EDIT_NOT_LISTED, f"it knows: {examples(capabilities.edits_listed)}")
    return None


def rewrite_request(
    target: Target, snapshot: Snapshot, instruction: str, seed: int, context_tokens: int, request_id: str
) -> api.DenoiseRequest:
    """The question. seed 0 asks for the likeliest text, any other for one that is drawn."""
    prompt = _prompt(target, snapshot.path, snapshot.document.language, context_tokens)
    locked = (api.Locked(target.before), api.Draft(target.draft), api.Locked(target.after))
    return api.DenoiseRequest(
        id=request_id,
        prompt=msgspec.structs.replace(prompt, instruction=instruction_of(instruction)),
        canvas=tuple(piece for piece in locked if piece.text),
        stop="eom",
        seed=seed,
        temperature=ALTERNATIVE_TEMPERATURE if seed else 0.0,
        top_p=ALTERNATIVE_TOP_P if seed else 1.0,
        deadline_ms=DEADLINE_MS,
        want_progress=True,
    )


def _prompt(target: Target, path: str, language: str, context_tokens: int) -> api.Prompt:
    """The lines around the canvas: more than the engine takes, which knows the tokens, but not a huge file's."""
    source, low, high = target.source, target.start - len(target.before), target.end + len(target.after)
    room = context_tokens * WINDOW_CHARS_PER_TOKEN
    starts = _line_starts(source[:low])
    row = bisect.bisect_left(starts, low - room)
    first = starts[min(len(starts) - 1, row // WINDOW_STEP * WINDOW_STEP)]
    line_start = source.rfind("\n", 0, low) + 1
    below = _line_starts(source[high : high + room])
    anchor = high + below[1 + TAIL_LINES] if len(below) > 1 + TAIL_LINES else len(source)
    return api.Prompt(
        path=path,
        language=language,
        prefix=source[first:line_start],
        line=source[line_start:low],
        tail=source[high:anchor],
        suffix=source[anchor : max(anchor, high + room)],
    )


def _line_starts(text: str) -> list[int]:
    return [0, *(index + 1 for index, character in enumerate(text) if character == "\n")]


def rewritten(target: Target, done: api.Done) -> str | Reason:
    """The text that replaces the draft, or why there is none."""
    if done.reason in ("cancelled", "deadline"):
        return Reason.CANCELLED if done.reason == "cancelled" else Reason.DEADLINE
    text = done.text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) < len(target.before) + len(target.after):
        return Reason.OUTSIDE_CHANGED
    if not text.startswith(target.before) or not text.endswith(target.after):
        return Reason.OUTSIDE_CHANGED
    text = text[len(target.before) : len(text) - len(target.after)]
    if isinstance(refuse_unsafe_text(Draft(text), _AROUND), Reason):
        return Reason.UNSAFE_TEXT
    if not target.after:
        # Whole lines stay whole lines, and code inside its lines does not become some.
        is_whole = target.draft.endswith("\n")
        text = text.rstrip("\n") + ("\n" if is_whole and text.strip() else "")
    return Reason.UNCHANGED if text == target.draft else text


def line_end(lines: tuple[str, ...]) -> str:
    """The line end that most lines of a document have."""
    num_crlf = sum(line.endswith("\r\n") for line in lines)
    num_cr = sum(line.endswith("\r") for line in lines)
    if 2 * num_crlf > len(lines) - 1:
        return "\r\n"
    return "\r" if 2 * num_cr > len(lines) - 1 else "\n"


def breaks_syntax(target: Target, text: str, language: str) -> bool:
    """Whether the document parses now and would not with `text`."""
    return not _is_broken(target.source, language) and _is_broken(
        target.source[: target.start] + text + target.source[target.end :], language
    )


def _is_broken(source: str, language: str) -> bool:
    tree = parse(source, language)
    return tree is not None and has_error(tree.root_node, 0, len(source.encode("utf-8", "surrogatepass")))
