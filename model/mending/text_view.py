"""One text, read once for all its lines: its words, names, sound and quiet rows.

Left out: what the network thinks of it.
"""

from functools import cached_property

from model.lines import lines_of
from model.mending.scope import Scopes
from model.mending.soundness import Excerpt
from model.mending.words import Elsewhere, Usage, quiet_rows, words_of
from model.syntax.python import error_row, parses


class TextView:
    """A Python text at a path."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self.lines = lines_of(text)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))

    def with_row(self, row: int, line: str) -> "TextView":
        """The text with another line at a row; how often words are used is still told of the old one."""
        other = TextView(self.path, self.text[: self.starts[row]] + line + self.text[self.starts[row + 1] :])
        other.usage, other.quiet = self.usage, self.quiet
        return other

    @cached_property
    def scopes(self) -> Scopes:
        return Scopes(self.text)

    @cached_property
    def usage(self) -> Usage:
        return Usage([line for row, line in enumerate(self.lines) if row not in self.quiet])

    @cached_property
    def quiet(self) -> set[int]:
        return quiet_rows(self.text)

    @cached_property
    def is_sound(self) -> bool:
        """Whether CPython reads all of it."""
        return parses(self.text)

    @cached_property
    def error_row(self) -> int | None:
        """The row that CPython names as wrong."""
        return error_row(self.text)

    def has_words(self, row: int) -> bool:
        """Whether there is anything to change, were it the inside of a string: a lost quote makes much look so."""
        return bool(words_of(self.lines[row]))

    def has_code(self, row: int) -> bool:
        return row not in self.quiet and bool(words_of(self.lines[row]))

    def code(self, row: int) -> tuple[int, str]:
        """Where the row's code begins in the text, and the line from there on without its newline and blanks."""
        line = self.lines[row]
        indent = len(line) - len(line.lstrip(" \t"))
        return self.starts[row] + indent, line[indent:].rstrip()

    def elsewhere(self, row: int) -> Elsewhere:
        return self.usage.without(self.lines[row])

    def excerpt(self, row: int) -> Excerpt:
        return Excerpt(self.lines, row)

    def names_near(self, row: int) -> list[str]:
        """Every name and attribute of the text, those used nearest first."""
        place = self.starts[row]
        uses = sorted(self.scopes.places, key=lambda use: abs(use[0] - place))
        return list(dict.fromkeys(name for _, name in uses))

    def begins_parameters(self, row: int) -> bool:
        """Whether the line above ends in the bracket that opens a function's parameters."""
        above = self.lines[row - 1].split() if row else []
        return bool(above) and above[-1].endswith("(") and "def" in above[:2]
