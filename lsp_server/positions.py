"""Lines and columns: the only module that converts between the client's code units and Python string indices.

Source: LSP 3.18, "Position", "PositionEncodingKind" and "EOL" (line ends are `\\n`, `\\r\\n` and `\\r`, nothing else; a
character beyond the line's end means the line's end). pygls splits with `str.splitlines`, which also cuts at form feed,
NEL and U+2028, so its lines are not the client's lines as soon as a file holds one of them. Left out: documents
(snapshot.py).
"""

import re
from typing import Literal, NamedTuple

Encoding = Literal["utf-8", "utf-16", "utf-32"]
ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "utf-32")
DEFAULT_ENCODING: Encoding = "utf-16"

_LINE_WITH_END = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)")


class Position(NamedTuple):
    """A place in a document: `line` counts from 0, `column` is a Python index into that line."""

    line: int
    column: int


def choose_encoding(offered: list[str] | None) -> Encoding:
    """The first of the client's encodings that we speak; utf-16 where it offers none (the protocol's default)."""
    for name in offered or ():
        for encoding in ENCODINGS:
            if name == encoding:
                return encoding
    return DEFAULT_ENCODING


def split_lines(text: str) -> tuple[str, ...]:
    """The lines of `text`, each with its line end. One more than line ends: the last line may be empty."""
    lines = _LINE_WITH_END.findall(text)
    length = sum(map(len, lines))
    return (*lines, text[length:])


def without_end(line: str) -> str:
    """`line` without its line end."""
    if line.endswith("\r\n"):
        return line[:-2]
    return line[:-1] if line.endswith(("\n", "\r")) else line


def num_units(text: str, encoding: Encoding) -> int:
    """The length of `text` in the client's code units. A lone surrogate is one utf-16 unit, or three utf-8 bytes."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text) + sum(character > "\uffff" for character in text)


def column_of(line: str, num_client_units: int, encoding: Encoding) -> int:
    """The index into `line` after `num_client_units` code units, at most the line's end.

    A position inside a character (half a surrogate pair) means the start of that character.
    """
    body = without_end(line)
    if num_client_units <= 0:
        return 0
    if encoding == "utf-32" or body.isascii():
        return min(num_client_units, len(body))
    remaining = num_client_units
    for column, character in enumerate(body):
        remaining -= _units_of(character, encoding)
        if remaining < 0:
            return column
    return len(body)


def _units_of(character: str, encoding: Encoding) -> int:
    code = ord(character)
    if encoding == "utf-16":
        return 2 if code > 0xFFFF else 1
    return 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4


def from_client(lines: tuple[str, ...], line: int, character: int, encoding: Encoding) -> Position:
    """The client's position as ours. Beyond the last line means the end of the document; below zero means zero."""
    if line >= len(lines):
        return Position(len(lines) - 1, len(without_end(lines[-1])))
    line = max(line, 0)
    return Position(line, column_of(lines[line], character, encoding))


def to_client(lines: tuple[str, ...], position: Position, encoding: Encoding) -> tuple[int, int]:
    """Our position as the client's (line, character)."""
    return position.line, num_units(lines[position.line][: position.column], encoding)
