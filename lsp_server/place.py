"""Places in files as the command line names them: `FILE:LINE[:COL]` and `FILE:LINE-LINE`, counted from 1, columns in
characters.

Left out: how editors name places (positions.py).
"""

import re
from pathlib import Path

import msgspec

from lsp_server.positions import Position, split_lines, without_end

MAX_FILE_BYTES = 1_000_000

_ROWS = re.compile(r"(?P<file>.+?):(?P<first>[0-9]{1,9})(?:-(?P<last>[0-9]{1,9}))?", re.DOTALL)
_PLACE = re.compile(r"(?P<file>.+?):(?P<line>[0-9]{1,9})(?::(?P<column>[0-9]{1,9}))?", re.DOTALL)


class PlaceError(Exception):
    """The place cannot be meant: one sentence."""


class Place(msgspec.Struct, frozen=True):
    """A file, its text, and a cursor in it."""

    path: Path
    text: str
    cursor: Position


def read_place(words: str) -> Place:
    """The place that `words` name. Without a column the cursor stands at the line's end.

    Raises PlaceError for words of another form, a file that cannot be read as UTF-8 text, or a place outside it.
    """
    match = _PLACE.fullmatch(words)
    if match is None:
        raise PlaceError(f"{words!r} is not FILE:LINE or FILE:LINE:COL")
    if 0 in (int(match["line"]), int(match["column"] or 1)):
        raise PlaceError(f"{words!r} names line or column 0, and both count from 1")
    path = Path(match["file"])
    text = _read(path)
    lines = split_lines(text)
    line = int(match["line"])
    if line > len(lines):
        raise PlaceError(f"{path} has lines 1 to {len(lines)}, so there is no line {line}")
    num_columns = len(without_end(lines[line - 1]))
    column = num_columns + 1 if match["column"] is None else int(match["column"])
    if column > num_columns + 1:
        raise PlaceError(f"line {line} of {path} has columns 1 to {num_columns + 1}, so there is no column {column}")
    return Place(path, text, Position(line - 1, column - 1))


class Rows(msgspec.Struct, frozen=True):
    """A file, its text, and some of its lines: rows first..last, from 0."""

    path: Path
    text: str
    first: int
    last: int


def read_rows(words: str) -> Rows:
    """The lines that `FILE:LINE` or `FILE:LINE-LINE` names. Raises PlaceError as `read_place` does."""
    match = _ROWS.fullmatch(words)
    if match is None:
        raise PlaceError(f"{words!r} is not FILE:LINE or FILE:LINE-LINE")
    first, last = int(match["first"]), int(match["last"] or match["first"])
    if first == 0 or last < first:
        raise PlaceError(f"{words!r} names no lines: they count from 1, the first one first")
    path = Path(match["file"])
    text = _read(path)
    num_lines = len(split_lines(text))
    if last > num_lines:
        raise PlaceError(f"{path} has lines 1 to {num_lines}, so there is no line {last}")
    return Rows(path, text, first - 1, last - 1)


def _read(path: Path) -> str:
    try:
        if path.is_dir():
            raise PlaceError(f"{path} is a folder")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PlaceError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise PlaceError(f"{path} cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, ValueError):
        raise PlaceError(f"{path} is not UTF-8 text") from None
