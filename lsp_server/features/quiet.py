"""When to stay quiet: the rules that are asked before the engine is, in order, each with its named reason.

Source: users' complaints about ghost text (in prose, over a typo being mended, after undo), cursortab's suppress.go
(each rule one small function) and Copilot's order of checks: what the user has switched off first, then what the file
is, then whether there is an engine, then where the cursor stands; what costs most (the syntax tree) last. Asked by
hand, only switches, the file's exclusions and the engine may refuse.

Left out: what the user has switched off for this session, which refuses a request when it arrives (switches.py). And,
because nothing tells or nobody minds: several cursors (LSP sends one position and no editor says that there
are more), what was dismissed (no message; the next key asks anew), files with "generated" written in them (a stale mark
would silence a file for good, and who types there means it), files that were not changed since they were opened
(whoever enters insert mode at a line's end wants to go on there).
"""

import re
from collections.abc import Callable

import msgspec

from lsp_server.context.exclude import MAX_LINE_CHARS, exclusion
from lsp_server.engine_link import EngineState
from lsp_server.outcome import Outcome, Reason, nothing
from lsp_server.settings import Settings
from lsp_server.snapshot import Snapshot
from model.syntax.at_cursor import place_at

# Reasons to keep quiet where nothing is shown; what is shown already is not taken away while it is typed or taken back.
QUIET_REASONS = frozenset({Reason.MID_WORD, Reason.MID_LINE, Reason.JUST_DELETED, Reason.IN_COMMENT})
# From so many words on, a string on one line is a sentence.
NUM_WORDS_OF_PROSE = 4

_NEARLY_LINE_END = re.compile(r"[)>}\]\"'`]*\s*[:{;,]?")


class Asked(msgspec.Struct, frozen=True):
    """A request and what decides whether it is worth a question."""

    snapshot: Snapshot
    settings: Settings
    engine: EngineState

    @property
    def unasked(self) -> bool:
        return self.snapshot.trigger == "automatic"


Rule = Callable[[Asked], Outcome | None]


def why_quiet(asked: Asked) -> Outcome | None:
    """The first reason not to ask the engine, or None."""
    return first_refusal(asked, DOCUMENT_RULES) or first_refusal(asked, PLACE_RULES)


def first_refusal(asked: Asked, rules: tuple[Rule, ...]) -> Outcome | None:
    """What the first of `rules` says that refuses."""
    return next((outcome for rule in rules if (outcome := rule(asked)) is not None), None)


def _settings_say_no(asked: Asked) -> Outcome | None:
    # The whole of it is off: whoever switched it off does not want to be told anything else.
    return None if asked.settings.enabled else nothing(Reason.DISABLED)


def _language_is_off(asked: Asked) -> Outcome | None:
    # Also by hand: a language is switched off because the model is no good at it, or because others serve it.
    settings, language = asked.settings, asked.snapshot.document.language
    wanted = settings.languages is None or language in settings.languages
    return None if wanted and language not in settings.languages_off else nothing(Reason.LANGUAGE_OFF, language)


def _only_by_hand(asked: Asked) -> Outcome | None:
    # "Only when I ask": the most frequent wish of all who find ghost text too loud.
    return nothing(Reason.MANUAL_ONLY) if asked.unasked and asked.settings.manual_only else None


def _file_is_excluded(asked: Asked) -> Outcome | None:
    # Before anything looks at the text: the engine may be on another machine.
    return exclusion(asked.snapshot, asked.settings)


def _engine_cannot(asked: Asked) -> Outcome | None:
    # No engine, or a model that does not know the language: what it would say is noise.
    return engine_refuses(asked.snapshot, asked.engine)


def engine_refuses(snapshot: Snapshot, engine: EngineState) -> Outcome | None:
    """Why this engine is not asked about this document, or None."""
    capabilities = engine.capabilities
    if capabilities is None:
        return nothing(Reason.LOADING if engine.kind == "loading" else Reason.NO_ENGINE)
    if not capabilities.complete:
        return nothing(Reason.CANNOT_COMPLETE)
    if snapshot.document.language not in capabilities.languages:
        language = snapshot.document.language or "a language without a name"
        return nothing(Reason.LANGUAGE_NOT_SUPPORTED, f"{language}; it knows {', '.join(capabilities.languages)}")
    return None


def _on_an_endless_line(asked: Asked) -> Outcome | None:
    # Also by hand: nobody has written it, and the prompt would hold nothing else.
    line = asked.snapshot.document.lines[asked.snapshot.cursor.line]
    return nothing(Reason.MINIFIED) if len(line) > MAX_LINE_CHARS else None


def _was_undone(asked: Asked) -> Outcome | None:
    # Undo takes ghost text back that was accepted by mistake: to offer it again at once is what users hate most.
    return nothing(Reason.UNDONE) if asked.unasked and asked.snapshot.document.edits.is_undone else None


def _nothing_written(asked: Asked) -> Outcome | None:
    # With nothing above and nothing below, the likeliest file of all is guessed, which is never the user's.
    document = asked.snapshot.document
    is_empty = asked.unasked and not any(line.strip("\ufeff \t\r\n") for line in document.lines)
    return nothing(Reason.EMPTY_DOCUMENT) if is_empty else None


def _inside_word(asked: Asked) -> Outcome | None:
    # The rest of the word is there; what is offered would push it along.
    after = asked.snapshot.line_after[:1]
    return nothing(Reason.MID_WORD) if asked.unasked and (after.isalnum() or after == "_") else None


def _inside_line(asked: Asked) -> Outcome | None:
    # Copilot's rule (inlineSuggestion.ts): closing brackets and one mark may follow. Before code it jumps about.
    is_end = _NEARLY_LINE_END.fullmatch(asked.snapshot.line_after.strip())
    return nothing(Reason.MID_LINE) if asked.unasked and not is_end else None


def _mending_a_typo(asked: Asked) -> Outcome | None:
    # Whoever presses Backspace once knows what comes next; ghost text under the next key is accepted by mistake.
    return nothing(Reason.JUST_DELETED) if asked.unasked and asked.snapshot.document.edits.mends_a_typo else None


def _in_prose(asked: Asked) -> Outcome | None:
    # What comments, docstrings and texts say is the author's to say. Short strings are code in disguise (keys, paths,
    # formats): they are completed until they have become a sentence.
    parsed = asked.snapshot.parsed if asked.unasked and not asked.settings.comments else None
    if parsed is None:
        return None
    place = place_at(parsed, *asked.snapshot.cursor)
    if place.kind == "code" or (place.kind == "string" and num_words(place.begun) < NUM_WORDS_OF_PROSE):
        return None
    return nothing(Reason.IN_COMMENT, place.kind)


def num_words(begun: str) -> int:
    """How many words stand in a begun string: letters alone, perhaps a mark behind them. `a.b`, `/c`, `%d` are none."""
    return sum(word.rstrip(".,:;!?'").isalpha() for word in begun.lstrip("\"'`").split())


# What holds for a document wherever its cursor stands (without an engine, with one), and what depends on that.
SWITCH_RULES: tuple[Rule, ...] = (_settings_say_no, _language_is_off, _only_by_hand, _file_is_excluded)
DOCUMENT_RULES: tuple[Rule, ...] = (*SWITCH_RULES, _engine_cannot)
# What is asked for by hand and is no completion (rewriting, fixing): what the user has switched off or excluded.
EDIT_RULES: tuple[Rule, ...] = (_settings_say_no, _language_is_off, _file_is_excluded)
PLACE_RULES: tuple[Rule, ...] = (
    _on_an_endless_line,
    _was_undone,
    _nothing_written,
    _inside_word,
    _inside_line,
    _mending_a_typo,
    _in_prose,
)
# Where nothing follows from the last changes either (next edit): what is deleted or in the middle of a line may do.
FOLLOW_UP_RULES: tuple[Rule, ...] = (_on_an_endless_line, _was_undone, _in_prose)
