"""The syntax nodes of a text as character spans: where training cuts its holes and the server its edit spans.

Source: this project's own design (holes are cut by nodes: expression, statement, block, arguments). Works on broken
code (nodes inside ERROR regions are still found). Left out: which span to choose; that is sampling (training) or
`enclosing_span` (the server).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from model.syntax.languages import PLAIN, SpanKind
from model.syntax.scan import Token, tokens
from model.syntax.trees import CharOffsets, encode, grammar, parse

_CLOSING = re.compile(r"[)\]}]|end\b")  # a line that begins so belongs to what it closes


class Span(msgspec.Struct, frozen=True):
    """A node: characters `start` up to but excluding `end`; `kind` is expression, statement, block or arguments."""

    start: int
    end: int
    kind: SpanKind


def node_spans(source: str, language: str) -> list[Span]:
    """All non-empty expression, statement, block and arguments nodes of `source`, outer before inner, by start.

    Offsets are characters. A node that covers exactly what its parent of the same kind covers is listed once.
    A language without a grammar gives a "statement" for each non-blank line, without its indentation, and for each line
    with what is indented below it; a "block" for the latter alone; and what stands between brackets.
    """
    tree = parse(source, language)
    kinds = grammar(language)
    if tree is None or kinds is None:
        return _plain_spans(source)
    offsets = CharOffsets(source)
    spans: list[Span] = []
    seen: set[tuple[int, int, str]] = set()
    cursor = tree.walk()
    while True:
        node = cursor.node
        assert node is not None
        kind = kinds.kind(node.type) if node.is_named else None
        if kind is not None and node.end_byte > node.start_byte:
            key = (node.start_byte, node.end_byte, kind)
            if key not in seen:
                seen.add(key)
                spans.append(Span(offsets.of(node.start_point), offsets.of(node.end_point), kind))
        if cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return spans


def enclosing_span(source: str, start: int, end: int, language: str, kinds: tuple[SpanKind, ...] = ()) -> Span | None:
    """The smallest node that covers characters `start`..`end` (of the given kinds, of any kind if none are given)."""
    found: Span | None = None
    for span in _covering_spans(source, start, end, language):
        fits = span.start <= start and span.end >= end and (not kinds or span.kind in kinds)
        if fits and (found is None or span.end - span.start <= found.end - found.start):
            found = span
    return found


def _covering_spans(source: str, start: int, end: int, language: str) -> Iterator[Span]:
    """The spans around these characters (without a grammar: all), outer before inner."""
    tree = parse(source, language)
    names = grammar(language)
    if tree is None or names is None:
        yield from _plain_spans(source)
        return
    offsets = CharOffsets(source)
    start_byte = len(encode(source[:start]))
    end_byte = start_byte + len(encode(source[start:end]))
    waiting = [tree.root_node]
    while waiting:
        node = waiting.pop()
        kind = names.kind(node.type) if node.is_named else None
        if kind is not None and node.end_byte > node.start_byte:
            yield Span(offsets.of(node.start_point), offsets.of(node.end_point), kind)
        around = [child for child in node.children if child.start_byte <= start_byte and child.end_byte >= end_byte]
        waiting.extend(reversed(around))


def _plain_spans(source: str) -> list[Span]:
    """Lines, what is indented below a line (with the closing line behind it), and what stands between brackets."""
    spans = [*_indented_spans(source), *_bracket_spans(source)]
    return sorted(set(spans), key=lambda span: (span.start, -span.end))


def _indented_spans(source: str) -> list[Span]:
    lines = [line for line in _lines(source) if line.text]
    spans: list[Span] = []
    for index, line in enumerate(lines):
        spans.append(Span(line.start, line.end, "statement"))
        below = index + 1
        while below < len(lines) and lines[below].column > line.column:
            below += 1
        if below == index + 1:
            continue
        spans.append(Span(lines[index + 1].start, lines[below - 1].end, "block"))
        if below < len(lines) and lines[below].column == line.column and _CLOSING.match(lines[below].text):
            below += 1
        spans.append(Span(line.start, lines[below - 1].end, "statement"))
    return spans


def _bracket_spans(source: str) -> list[Span]:
    opened: list[Token] = []
    spans: list[Span] = []
    for token in tokens(source, PLAIN):
        if token.kind == "open":
            opened.append(token)
        elif token.kind == "close" and opened:
            opener = opened.pop()
            spans.append(Span(opener.start, token.end, "block" if opener.text == "{" else "arguments"))
    return spans


class _TextLine(NamedTuple):
    """A line's `text` without its white space, from `start` to `end` of the source, `column` characters indented."""

    text: str
    start: int
    end: int
    column: int


def _lines(source: str) -> Iterator[_TextLine]:
    start = 0
    for line in source.split("\n"):
        text = line.strip()
        column = len(line) - len(line.lstrip())
        yield _TextLine(text, start + column, start + column + len(text), column)
        start += len(line) + 1
