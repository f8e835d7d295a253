"""The syntax nodes of a text as character spans: where training cuts its holes and the server its edit spans.

Source: DESIGN of the layout ("FIM holes are cut by nodes: expression, statement, block, arguments"). Works on broken
code (nodes inside ERROR regions are still found). Left out: which span to choose; that is sampling (training) or
`enclosing_span` (the server).
"""

import msgspec

from model.syntax.trees import CharOffsets, SpanKind, grammar, parse


class Span(msgspec.Struct, frozen=True):
    """A node: characters `start` up to but excluding `end`; `kind` is expression, statement, block or arguments."""

    start: int
    end: int
    kind: SpanKind


def node_spans(source: str, language: str) -> list[Span]:
    """All non-empty expression, statement, block and arguments nodes of `source`, outer before inner, by start.

    Offsets are characters. A node that covers exactly what its parent of the same kind covers is listed once.
    A language without a grammar gives one "statement" span per non-blank line, without its indentation.
    """
    tree = parse(source, language)
    kinds = grammar(language)
    if tree is None or kinds is None:
        return _line_spans(source)
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
    for span in node_spans(source, language):
        fits = span.start <= start and span.end >= end and (not kinds or span.kind in kinds)
        if fits and (found is None or span.end - span.start <= found.end - found.start):
            found = span
    return found


def _line_spans(source: str) -> list[Span]:
    spans: list[Span] = []
    start = 0
    for line in source.split("\n"):
        text = line.strip()
        if text:
            first = start + len(line) - len(line.lstrip())
            spans.append(Span(first, first + len(text), "statement"))
        start += len(line) + 1
    return spans
