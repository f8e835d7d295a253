"""Trees of whole documents: each parsed from the tree of the text before it, with the same result as parsing it anew.

Source: tree-sitter's incremental parsing (`Tree.edit`, then `parse` with the old tree). What has changed is found by
comparing the two texts, not taken from change events: so any text may follow any other, versions may be skipped, and a
whole-document change costs what it changes. Line ends are "\\n" in the parsed text, whatever the document has, so that
its rows are the document's lines. Left out: what the trees mean (at_cursor.py).
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import tree_sitter

from model.syntax.trees import encode, grammar, language_of

# About 6 MB each for 5,000 lines.
MAX_TREES = 4
# The first parse of more than this would hold a keystroke up for longer than 0.1 s.
MAX_CHARS = 400_000
# Reparsing after a larger change saves little and keeps the old tree's memory.
MAX_CHANGED_SHARE = 0.5
# A text with so many broken statements that is so long is parsed almost from scratch at each key: 7 ms for 40 kB.
MANY_BROKEN = 8
LONG_BYTES = 10_000
# What is parsed of it where a line comes or goes: as much as the stop rule looks at (windows.py).
NUM_ROWS_ABOVE, NUM_ROWS_BELOW = 60, 30


class Parsed(NamedTuple):
    """A text, as the parser saw it (UTF-8, "\\n"), and its tree.

    `broken_at` = where the first broken statement begins, None in sound code; `is_hopeless` = long and broken in many
    places: then the tree may know the lines around the last change alone.
    """

    lines: Sequence[str]
    language: str
    source: bytes
    tree: tree_sitter.Tree
    broken_at: int | None = None
    is_hopeless: bool = False

    def byte_of(self, row: int, column: int) -> int:
        """The byte offset of character `column` of line `row`."""
        return len(_source(self.lines[:row])) + len(encode(self.lines[row][:column]))


class Trees:
    """The newest tree of each of the few documents that were asked for last. Not to be shared between threads."""

    def __init__(self) -> None:
        self._newest: OrderedDict[str, Parsed] = OrderedDict()

    def __len__(self) -> int:
        return len(self._newest)

    def of(self, key: str, lines: Sequence[str], language: str) -> Parsed | None:
        """The tree of the document `key` with these lines (with their ends); None without a grammar or when huge."""
        before = self._newest.get(key)
        if before is not None and before.language == language and before.lines == lines:
            self._newest.move_to_end(key)
            return before
        parsed = _followed(before, lines, language) or parse_lines(lines, language, before)
        if parsed is None:
            self.forget(key)
            return None
        self._newest[key] = parsed
        self._newest.move_to_end(key)
        while len(self._newest) > MAX_TREES:
            self._newest.popitem(last=False)
        return parsed

    def forget(self, key: str) -> None:
        """Drops a document's tree."""
        self._newest.pop(key, None)


def outer_statement_end(lines: Sequence[str], row: int) -> int:
    """The row below `row` where something new begins at the outermost level, or the number of lines.

    What stands at a place is decided by then. Parsing no further is what makes a keystroke cheap: a parser reuses
    what stands before a change, but not always what stands behind it (Python's indentation has a long reach: 1 ms in
    the middle of 2,000 lines, often 5, against 0.2 without the lines behind).
    """
    for end in range(row + 1, len(lines)):
        if lines[end][:1].strip() and lines[end][0] not in ")]}":
            return end
    return len(lines)


def parse_lines(lines: Sequence[str], language: str, before: Parsed | None = None) -> Parsed | None:
    """The tree of `lines`, from the one `before` where that has a good part in common with it."""
    if grammar(language) is None or sum(map(len, lines)) > MAX_CHARS:
        return None
    reader = tree_sitter.Parser(language_of(language))
    source = _source(lines)
    edited = None if before is None or before.language != language else _edited(before, source)
    tree = reader.parse(source) if edited is None else reader.parse(source, edited)
    root = tree.root_node
    if not root.has_error:
        return Parsed(lines, language, source, tree)
    # A root that is an error itself stands for everything.
    broken = [root] if root.is_error else [child for child in root.children if child.has_error]
    if not broken:  # `"""Doc."""x`: the line end that is missing has no node, and those around it are sound
        return Parsed(lines, language, source, tree)
    is_hopeless = len(source) > LONG_BYTES and (root.is_error or len(broken) > MANY_BROKEN)
    return Parsed(lines, language, source, tree, broken[0].start_byte, is_hopeless)


def _followed(before: Parsed | None, lines: Sequence[str], language: str) -> Parsed | None:
    """Where much is broken before the change already: typing in a line moves the nodes of the old tree, and parses
    nothing; where a line comes or goes the lines around it are parsed.

    Until something changes above or in the first line that is broken: what stands behind that is read from the text
    anyway (at_cursor.py), but for the header of a block at the cursor (empty_block.py).
    """
    if before is None or not before.is_hopeless or before.language != language:
        return None
    assert before.broken_at is not None, "what is hopeless is broken"
    source = _source(lines)
    line_end = before.source.find(b"\n", before.broken_at)
    if line_end < 0 or not source.startswith(before.source[: line_end + 1]) or len(source) > MAX_CHARS:
        return None
    if len(before.lines) == len(lines):
        tree = _edited(before, source)
        return None if tree is None else before._replace(lines=lines, source=source, tree=tree)
    tree = _parsed_around(source, num_equal_at_start(before.source, source), language)
    return before._replace(lines=lines, source=source, tree=tree)


def _parsed_around(source: bytes, at: int, language: str) -> tree_sitter.Tree:
    """The tree of the lines around the byte `at`, in the places that they have in the whole text."""
    above, below = source[:at].rsplit(b"\n", NUM_ROWS_ABOVE), source[at:].split(b"\n", NUM_ROWS_BELOW)
    start = len(above[0]) + 1 if len(above) > NUM_ROWS_ABOVE else 0
    end = len(source) - len(below[-1]) if len(below) > NUM_ROWS_BELOW else len(source)
    window = tree_sitter.Range(_point(source, start), _point(source, end), start, end)
    return tree_sitter.Parser(language_of(language), included_ranges=[window]).parse(source)


def _source(lines: Sequence[str]) -> bytes:
    text = "".join(lines)
    return encode(text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text)


def _edited(before: Parsed, source: bytes) -> tree_sitter.Tree | None:
    """The old tree, told what has changed; None where it is of little use."""
    old = before.source
    start = num_equal_at_start(old, source)
    while start and (_is_inside_character(old, start) or _is_inside_character(source, start)):
        start -= 1
    num_after = num_equal_at_end(old[start:], source[start:])
    old_end, new_end = len(old) - num_after, len(source) - num_after
    while _is_inside_character(source, new_end):
        old_end, new_end = old_end + 1, new_end + 1
    if max(old_end, new_end) - start > MAX_CHANGED_SHARE * len(source):
        return None
    tree = before.tree.copy()
    tree.edit(start, old_end, new_end, _point(old, start), _point(old, old_end), _point(source, new_end))
    return tree


def _is_inside_character(source: bytes, offset: int) -> bool:
    return offset < len(source) and source[offset] & 0xC0 == 0x80


def _point(source: bytes, offset: int) -> tuple[int, int]:
    return source.count(b"\n", 0, offset), offset - (source.rfind(b"\n", 0, offset) + 1)


def num_equal_at_start(old: Any, new: Any) -> int:
    """How many items two sequences (bytes, strings, tuples) have in common from their start on."""
    # Halving, and comparing slices: each item is looked at about once, in C.
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def num_equal_at_end(old: Any, new: Any) -> int:
    """How many items two sequences have in common up to their end."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[len(old) - middle : len(old) - low] == new[len(new) - middle : len(new) - low]:
            low = middle
        else:
            high = middle - 1
    return low
