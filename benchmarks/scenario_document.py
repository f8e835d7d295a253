"""A document as the replayed editor holds it, and the ghost text that stands at its cursor.

Source: what VS Code accepts as ghost text (inlineCompletionsModel.ts): the item's text must begin with what stands
between its range's start and the cursor, and what it replaces behind the cursor must be a subsequence of the rest.
Positions on the wire are UTF-16. Left out: more than one cursor.
"""

import re
from typing import Any

import msgspec

from benchmarks.scenario import File
from model.syntax.incremental import num_equal_at_end, num_equal_at_start

_LINE_END = re.compile(r"\r\n|\r|\n")
_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"\s+")
_OPENS, _CLOSES = "([{", ")]}"


class Ghost(msgspec.Struct, frozen=True):
    """An item that is shown: `text` would replace the document from `start` to `end`; `item` is the server's own."""

    text: str
    start: int
    end: int
    item: dict[str, Any]
    num_accepted_units: int = 0


class OpenDocument:
    """Text, cursor, version and what undo needs. `cursor` is an index into `text`."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.text = file.text
        self.cursor = file.cursor if file.cursor is not None else len(file.text)
        self.version = 1
        self._before: list[tuple[str, int]] = []

    @property
    def line_end(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    @property
    def line_start(self) -> int:
        """Where the cursor's line begins."""
        return _line_start(self.text[: self.cursor])

    @property
    def line(self) -> str:
        """The cursor's line without its end."""
        end = _LINE_END.search(self.text, self.cursor)
        return self.text[self.line_start : end.start() if end else len(self.text)]

    def replace(self, start: int, end: int, text: str) -> dict[str, Any]:
        """Replaces a part of the text; the cursor goes behind the new text. Returns the LSP content change."""
        change = {"range": {"start": self.position(start), "end": self.position(end)}, "text": text}
        self.text = self.text[:start] + text + self.text[end:]
        self.cursor = start + len(text)
        self.version += 1
        return change

    def begin_step(self) -> None:
        """What is changed from here on is undone at once."""
        self._before.append((self.text, self.cursor))

    def undo(self) -> dict[str, Any]:
        """Takes the changes of the last step that had some back. Returns the LSP content change."""
        text, cursor = self.text, self.cursor
        while text == self.text:
            text, cursor = self._before.pop()
        start = num_equal_at_start(self.text, text)
        num_behind = num_equal_at_end(self.text[start:], text[start:])
        change = self.replace(start, len(self.text) - num_behind, text[start : len(text) - num_behind])
        self.cursor = cursor
        return change

    def position(self, index: int) -> dict[str, int]:
        """The LSP position of an index."""
        head = self.text[:index]
        num_ends = head.count("\n") + head.count("\r") - head.count("\r\n")
        return {"line": num_ends, "character": num_utf16(head[_line_start(head) :])}

    def index(self, position: dict[str, int]) -> int:
        """The index of an LSP position."""
        start = 0
        for _ in range(position["line"]):
            end = _LINE_END.search(self.text, start)
            if end is None:
                return len(self.text)
            start = end.end()
        units = 0
        while units < position["character"] and start < len(self.text):
            units += num_utf16(self.text[start])
            start += 1
        return start

    def marked(self, mark: str) -> str:
        """The text with the cursor in it and `\\n` line ends."""
        return (self.text[: self.cursor] + mark + self.text[self.cursor :]).replace("\r\n", "\n")


def ghost_of(item: dict[str, Any], document: OpenDocument, selected: str | None) -> Ghost | None:
    """`item` as it would be shown now, or None where an editor hides it. `selected`: the popup's item."""
    start, end = document.index(item["range"]["start"]), document.index(item["range"]["end"])
    text = str(item["insertText"])
    before = document.text[start : document.cursor] if selected is None else selected
    if not start <= document.cursor <= end or not text.startswith(before):
        return None
    if not _is_subsequence(document.text[document.cursor : end], text[len(before) :]):
        return None
    return Ghost(text, start, end, item)


def ghost_after_typing(ghost: Ghost, document: OpenDocument, num_typed: int) -> Ghost | None:
    """What is left of the ghost text after `num_typed` characters before the cursor, if they are its own."""
    grown = msgspec.structs.replace(ghost, end=ghost.end + num_typed)
    typed = document.text[grown.start : document.cursor]
    return grown if grown.text.startswith(typed) and grown.text != typed else None


def first_word_length(text: str) -> int:
    """How much VS Code takes when a word is accepted: a word, or what stands before one, at most one run of blanks."""
    word = _WORD.search(text)
    end = len(text) if word is None else word.end() if word.start() == 0 else word.start()
    space = _SPACE.search(text)
    return end if space is None else min(end, space.end())


def num_utf16(text: str) -> int:
    """The length of `text` in the units of LSP positions."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def stray_bracket(text: str) -> str | None:
    """The first bracket of a code text without its partner (strings and comments count as code), or None."""
    expected: list[str] = []
    for character in text:
        if character in _OPENS:
            expected.append(_CLOSES[_OPENS.index(character)])
        elif character in _CLOSES and (not expected or expected.pop() != character):
            return character
    return expected[-1] if expected else None


def _line_start(head: str) -> int:
    return max(head.rfind("\n"), head.rfind("\r")) + 1


def _is_subsequence(part: str, whole: str) -> bool:
    rest = iter(whole)
    return all(character in rest for character in part)
