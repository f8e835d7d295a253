"""What a feature came to: items, or one of the named reasons for none.

Source: every "no result" has a name that is logged, tested and listed in the troubleshooting page, whose table
`troubleshooting_table` prints. Left out: JSON-RPC errors (wire.py): an outcome is always an answer.
"""

from enum import Enum
from typing import Literal

import msgspec

from lsp_server.positions import Position


class Reason(Enum):
    """Why there is no result. The value is what the log and the status show: one sentence, with what to do about it."""

    DISABLED = "Completion is switched off in the settings (seedling.enabled)."
    MANUAL_ONLY = "Automatic completion is switched off (seedling.manualOnly): ask for one with the trigger key."
    NOT_OPEN = "The editor asked about a document that it has not opened."
    FOREIGN_SCHEME = "Only files, unsaved documents and notebook cells are completed, not an editor's own input boxes."
    SNOOZED = "Ghost text is snoozed: ask for one with the trigger key, or end the pause (seedling.snooze)."
    DOCUMENT_OFF = "This document is switched off until the editor ends, or until seedling.setDocument undoes it."
    LANGUAGE_OFF = "This language is switched off (seedling.languages, seedling.languagesOff or seedling.setLanguage)."
    LANGUAGE_NOT_SUPPORTED = "The loaded model was not trained for this language: set SEEDLING_MODEL to one that was."
    EXCLUDED = "The file's name matches an exclusion (a secret, seedling.exclude, .seedlingignore): it is never read."
    HUGE_FILE = "The file is larger than seedling.maxFileBytes."
    BINARY = "The file holds NUL characters or is mostly unprintable: it is no text, or in another encoding."
    MINIFIED = "The cursor's line, or the usual line, is so long that the file looks generated or minified."
    EMPTY_DOCUMENT = "Nothing is written here yet: nothing is offered unless it is asked for."
    MID_WORD = "The cursor is inside a word: nothing is offered unless it is asked for."
    MID_LINE = (
        "Code follows the cursor on its line, more than closing brackets: nothing is offered unless it is asked for."
    )
    JUST_DELETED = "Something was just deleted: nothing is offered until something is typed, or three deletions follow."
    UNDONE = "The last change was undone or redone: nothing is offered until something is typed."
    IN_COMMENT = "The cursor is in a comment, docstring or text (seedling.comments): ask with the trigger key."
    NO_ENGINE = "No engine answers: the status message says why, and the log has the details."
    LOADING = "The engine is still loading its model: completions start when it is ready."
    ENGINE_ERROR = "The engine answered with an error: the log has its sentence."
    BUSY = "The engine has too much to do, for others or for you, and took no more: type on, the next request may fit."
    CANNOT_COMPLETE = "The loaded model does not complete code: load another model."
    COMPLETES_ONLY = "The engine in use is another server (engine.upstream): it completes code and does nothing else."
    STALE = "The document changed while the answer was computed."
    SUPERSEDED = "A newer request for the same document replaced this one."
    CLOSED = "The document was closed while the answer was computed."
    CANCELLED = "The editor took the request back."
    DEADLINE = "The engine had nothing finished at the deadline: the machine is slow or busy."
    LOW_CONFIDENCE = "The model was less sure of its answer than seedling.confidence asks for."
    EMPTY_ANSWER = "The model thinks that nothing is missing here."
    SAME_AS_SUFFIX = "The answer only repeated what already follows the cursor."
    REPETITION = "The answer repeated itself over and over."
    MISPLACED_CLAUSE = "The answer was an else, except or finally with nothing above, at its indentation, to belong to."
    NEXT_EDIT_OFF = "Next edits are switched off: seedling.nextEdit.enable switches them on."
    NOTHING_FOLLOWS = "No next edit: nothing else in this document follows for certain from the last changes."
    WOULD_UNDO = "No next edit: the only follow-up would take back what was just changed."
    REJECTED = "No next edit: what follows from the last changes was dismissed before."
    REWRITE_OFF = "Rewriting is switched off: seedling.rewrite.enable switches it on."
    CANNOT_REWRITE = "The loaded model was not trained to rewrite code, or no edit of it was measured to work."
    EDIT_NOT_LISTED = "The loaded model makes certain edits only, and this instruction asks for none of them."
    NOTHING_SELECTED = "There is no code at the cursor or in the selection: nothing was rewritten."
    NO_EDIT_FITS = "None of the edits that the loaded model makes fits the selected code: ask in words."
    NO_CODE = "The model answered in words, or came to no end: ask in other words, or for less code at a time."
    OUTSIDE_CHANGED = "The answer changed statements outside the selection: it was not used."
    UNCHANGED = "The model would leave this code as it is: another seed or other words may bring more."
    NOT_APPLIED = "The editor did not take the edit: the document may have changed meanwhile."
    FIX_OFF = "Fixes are switched off: seedling.fix.enable switches them on."
    MEND_OFF = "Looking for mistakes is switched off: seedling.mend.enable switches it on."
    CANNOT_FIX = "The loaded model does not repair code: load another model."
    CANNOT_MEND = "The loaded model does not look for mistakes by itself: load another model."
    NOT_ASKED = "The editor asked by itself, for its light bulb or on saving: nothing is offered unless somebody asks."
    NOTHING_NAMED = "No fix: no diagnostic and no syntax error stands where the cursor is."
    NOTHING_TO_FIX = "No fix: the model is not sure enough of any repair here."
    UNSOUND_FIX = "No fix: each repair would have left the code with a syntax error, or reached beyond the named lines."
    NO_MISTAKE = "Nothing in this document looks like a mistake with enough certainty."
    IN_A_CELL = "Notebook cells are not looked through for mistakes: the names they use may stand in another cell."
    CANNOT_APPLY = "The editor does not let a server apply an edit (workspace/applyEdit)."
    UNSAFE_TEXT = "The answer held control, invisible or broken characters."

    @property
    def slug(self) -> str:
        """The name in logs and documentation."""
        return self.name.lower()


# Reasons that hold for a document until somebody changes something, the keystroke does not matter: only these may stand
# in an editor's status. The others come and go while one types.
LASTING = frozenset(
    {
        Reason.DISABLED,
        Reason.MANUAL_ONLY,
        Reason.FOREIGN_SCHEME,
        Reason.SNOOZED,
        Reason.DOCUMENT_OFF,
        Reason.LANGUAGE_OFF,
        Reason.LANGUAGE_NOT_SUPPORTED,
        Reason.EXCLUDED,
        Reason.HUGE_FILE,
        Reason.BINARY,
        Reason.MINIFIED,
        Reason.CANNOT_COMPLETE,
    }
)


class Item(msgspec.Struct, frozen=True):
    """One suggestion: `text` replaces the document from `start` to `end`, both on the cursor's line.

    confidence: what the gate compares (features/gate.py), between 0 and 1; 1 for the rest of what was offered before.
    """

    id: str
    text: str
    start: Position
    end: Position
    confidence: float = 1.0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers about one engine answer, for the log and the benchmarks; never text."""

    confidence: float = 0.0
    engine_ms: float = 0.0
    steps: int = 0
    forwards: int = 0
    num_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0


Source = Literal["engine", "typed_along", "joined", "prefetched"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Items, or the reason for none; `detail` may name the limit that was met, never code.

    source: who gave the items: the engine; what was offered before and is being typed; the question that was under way
    already; or what was asked ahead after an acceptance. title: what the items do, for people, where that is not plain.
    """

    items: tuple[Item, ...] = ()
    source: Source = "engine"
    reason: Reason | None = None
    detail: str = ""
    figures: Figures | None = None
    title: str = ""

    def __post_init__(self) -> None:
        assert bool(self.items) != (self.reason is not None), "an outcome has items or a reason, never both or neither"

    @property
    def name(self) -> str:
        """What the log and the trace call it: the reason, `shown`, or where the items came from without the engine."""
        if self.reason is not None:
            return self.reason.slug
        return "shown" if self.source == "engine" else self.source

    @property
    def sentence(self) -> str:
        """Why there are no items, with the limit that was met; empty where there are some."""
        if self.reason is None:
            return ""
        return f"{self.reason.value} ({self.detail})" if self.detail else self.reason.value


def nothing(reason: Reason, detail: str = "", figures: Figures | None = None) -> Outcome:
    """The outcome without items."""
    return Outcome(reason=reason, detail=detail, figures=figures)


def troubleshooting_table() -> str:
    """All reasons as a Markdown table for the troubleshooting page."""
    rows = [f"| `{reason.slug}` | {reason.value} |" for reason in Reason]
    return "\n".join(["| reason | what it means |", "|---|---|", *rows]) + "\n"
