"""What the words of a scenario do to the editor and the engine, and which expectations hold.

Before an expectation the editor is left alone until everything it asked is answered. Left out: reading the words
(scenario.py); README.md in benchmarks/scenarios explains them.
"""

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.scenario import CURSOR, File, Step, Token
from benchmarks.scenario_document import stray_bracket
from benchmarks.scenario_editor import Editor
from benchmarks.scenario_engine import DEFAULT_AFTER_MS, DEFAULT_CONFIDENCE, MODES, ReplayEngine, Reply

KEY_GAP_S = 0.12
POLL_S = 0.01
LIMIT_S = 60.0
_DURATION = re.compile(r"(\d+)(ms|s)")


class Failed(Exception):
    """An expectation that does not hold, or a step that cannot be done; with its line."""


class Missing(Exception):
    """The cassette does not hold what is asked."""


class Player:
    """Plays the steps of one scenario."""

    def __init__(self, editor: Editor, engine: ReplayEngine, files: Sequence[File]) -> None:
        self._editor, self._engine, self._files = editor, engine, files
        self._settings: dict[str, Any] = {}
        self.was_shown: list[bool] = []  # for each `expect shown`

    async def begin(self) -> None:
        """Opens the document with the cursor (a notebook with all its cells) when the engine has settled."""
        await asyncio.sleep(0.2)
        (first,) = (file for file in self._files if file.cursor is not None)
        notebook = first.path.partition("#")[0]
        cells = [file for file in self._files if file.cell is not None and file.path.startswith(notebook + "#")]
        self._editor.open(cells or [first])

    async def play(self, step: Step) -> None:
        """Does one step. Raises Failed or Missing."""
        self._editor.begin_step()
        try:
            await self._play(step)
        except (AssertionError, LookupError, ValueError, TypeError) as error:
            raise Failed(f"line {step.line_number}: {step.source}: {error}") from error
        if self._engine.misses:
            raise Missing

    async def _play(self, step: Step) -> None:
        first, *rest = step.tokens[1:] or (Token(""),)
        editor = self._editor
        match step.verb, first.text:
            case "type", text:
                await self._keys([lambda key=key: editor.type(key) for key in text], _gap_s(rest))
            case "newline", _:
                await self._keys([editor.enter])
            case "delete", number:
                await self._keys([editor.backspace] * int(number))
            case "undo", _:
                await self._keys([editor.undo])
            case "pair", text:
                await self._keys([lambda: editor.type_pair(text)])
            case "over", text:
                await self._keys([lambda: editor.type_over(text)])
            case "move", "behind":
                editor.move_behind(rest[0].text)
            case "replace", old:
                editor.replaced_elsewhere(old, rest[1].text)
            case "wait", duration:
                await asyncio.sleep(_seconds(duration))
            case "invoke", _:
                editor.invoke()
            case "next", _:
                editor.next_alternative()
            case "accept", "word":
                editor.accept_word()
            case "accept", "line":
                editor.accept_line()
            case "accept", _:
                await editor.accept()
            case "dismiss", _:
                editor.dismiss()
            case "popup", name:
                editor.select_in_popup(name if first.is_quoted else None)
            case "open", path:
                editor.open([file for file in self._files if file.path == path])
            case "focus", path:
                editor.focus(path)
            case "close", path:
                editor.close(path)
            case "setting", name:
                self._set(name, step.source.partition(f" {name} ")[2])
            case "snooze", minutes:
                await editor.execute("seedling.snooze", int(minutes))
            case "switch", "document":
                await editor.execute("seedling.setDocument", editor.document.file.uri, rest[0].text == "on")
            case "switch", "language":
                await editor.execute("seedling.setLanguage", editor.document.file.language, rest[0].text == "on")
            case "engine", mode:
                self._set_engine(mode, rest)
            case "reply", _:
                self._engine.own_replies = _replies(step.tokens[1:])
            case "expect", _:
                await self._expect(step)
            case verb, _:
                raise ValueError(f"{verb} is no step")

    async def _keys(self, keys: Sequence[Callable[[], None]], gap_s: float = KEY_GAP_S) -> None:
        for index, press in enumerate(keys):
            if index:
                await asyncio.sleep(gap_s)
            press()
        await asyncio.sleep(0)

    def _set(self, name: str, value: str) -> None:
        self._settings[name] = json.loads(value)
        self._editor.notify("workspace/didChangeConfiguration", {"settings": {"seedling": self._settings}})

    def _set_engine(self, mode: str, rest: Sequence[Token]) -> None:
        if mode not in MODES:
            raise ValueError(f"the engine has no mode {mode}")
        self._engine.slow_ms = 1000 * _seconds(rest[0].text) if mode == "slow" else 0.0
        self._engine.mode = "recorded" if mode == "slow" else mode
        if mode == "recorded":
            self._engine.own_replies = ()

    async def _settle(self) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + LIMIT_S
        await asyncio.sleep(POLL_S)
        while self._editor.is_busy:
            if self._engine.misses:
                raise Missing
            if loop.time() > until_s:
                raise ValueError(f"there was no answer in {LIMIT_S:.0f} s")
            await asyncio.sleep(POLL_S)

    async def _expect(self, step: Step) -> None:
        await self._settle()
        if step.tokens[1].text == "shown":
            self.was_shown.append(self._editor.ghost is not None)
        found = [self._difference(alternative) for alternative in _alternatives(step.tokens[1:])]
        if None not in found:
            raise ValueError(next(difference for difference in found if difference))

    def _difference(self, tokens: Sequence[Token]) -> str | None:
        """What is otherwise than expected, or None."""
        editor, engine = self._editor, self._engine
        words = [token.text for token in tokens if not token.is_quoted]
        text = next((token.text for token in tokens if token.is_quoted), "")
        ghost = editor.ghost
        answer = str(editor.last_trace.get("reason", "not asked"))
        shown = "nothing is shown" if ghost is None else f"{ghost.text!r} is shown"
        match words:
            case ["shown"]:
                return None if ghost is not None else f"{shown} ({answer})"
            case ["shown", "containing"]:
                return None if ghost is not None and text in ghost.text else f"{shown} ({answer})"
            case ["shown", "exactly"]:
                return None if ghost is not None and text == ghost.text else f"{shown} ({answer})"
            case ["quiet"]:
                return None if ghost is None else shown
            case ["quiet", reason]:
                return None if ghost is None and answer == reason.lower() else f"{shown} ({answer})"
            case ["answer", name]:
                return _unless(answer == name, answer)
            case ["line"]:
                document = editor.document
                column = document.cursor - document.line_start
                line = document.line[:column] + CURSOR + document.line[column:]
                return _unless(line == text, line)
            case ["text"]:
                return _unless(editor.document.marked(CURSOR) == text, editor.document.marked(CURSOR))
            case ["text", "containing"]:
                marked = editor.document.marked(CURSOR)
                return _unless(text in marked or text in marked.replace(CURSOR, ""), marked)
            case ["no", "duplicate", "bracket"]:
                stray = stray_bracket(editor.document.text)
                return None if stray is None else f"{stray} has no partner"
            case ["asked", "at", "most", number]:
                return _unless(len(engine.asked) <= int(number), f"{len(engine.asked)} questions")
            case ["engine", "runs", "at", "most", number]:
                return _unless(engine.num_running <= int(number), f"{engine.num_running} questions run")
            case ["alternatives", number]:
                return _unless(editor.num_alternatives == int(number), f"{editor.num_alternatives}")
            case ["prompt", "containing"]:
                asked = str(engine.asked[-1].prompt) if engine.asked else ""
                return _unless(repr(text)[1:-1] in asked, asked)
            case ["once", name]:
                answers = [trace["reason"] for trace in editor.traces.values()]
                return _unless(name.lower() in answers, " ".join(answers))
            case ["no", "flicker"]:
                return _unless(editor.num_flickers == 0, f"{editor.num_flickers} times")
            case ["prompt", "without"]:
                asked = str(engine.asked[-1].prompt) if engine.asked else text
                return _unless(repr(text)[1:-1] not in asked, asked)
            case ["status", reason]:
                status = editor.status.get("reason") or "none"
                return _unless(status == reason.lower(), f"the status is {status}")
        raise ValueError("that is no expectation")


def _unless(holds: bool, difference: str) -> str | None:
    return None if holds else f"found {difference!r}"


def _alternatives(tokens: Sequence[Token]) -> list[list[Token]]:
    """The expectations joined by `or`; one that is only a quoted text has the words of the one before it."""
    found: list[list[Token]] = [[]]
    for token in tokens:
        if not token.is_quoted and token.text == "or":
            found.append([])
        else:
            found[-1].append(token)
    for before, alternative in itertools.pairwise(found):
        if all(token.is_quoted for token in alternative):
            alternative[:0] = [token for token in before if not token.is_quoted]
    return found


def _replies(tokens: Sequence[Token]) -> tuple[Reply, ...]:
    texts = [token.text for token in tokens if token.is_quoted]
    words = [token.text for token in tokens if not token.is_quoted]
    confidence = float(words[words.index("confidence") + 1]) if "confidence" in words else DEFAULT_CONFIDENCE
    after_ms = 1000 * _seconds(words[words.index("after") + 1]) if "after" in words else DEFAULT_AFTER_MS
    return tuple(Reply(text, "stop", confidence, after_ms) for text in texts)


def _gap_s(rest: Sequence[Token]) -> float:
    return _seconds(rest[1].text) if rest else KEY_GAP_S


def _seconds(text: str) -> float:
    duration = _DURATION.fullmatch(text)
    if duration is None:
        raise ValueError(f"{text} is no duration")
    return int(duration.group(1)) / (1000 if duration.group(2) == "ms" else 1)
