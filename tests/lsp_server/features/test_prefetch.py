"""The place where the user will ask after an acceptance."""

import pytest

from lsp_server.features.prefetch import indent_below, line_after
from lsp_server.offers import Offer
from lsp_server.outcome import Item
from lsp_server.positions import Position
from lsp_server.snapshot import Change, Document, IndentStyle, Snapshot, open_document


def offer(text: str, answer: str, num_replaced: int = 0) -> tuple[Offer, Document]:
    """An offer at the `|` of `text`, and the document after its acceptance."""
    before, _, after = text.partition("|")
    document = open_document("file:///w/a.py", "python", 1, before + after)
    cursor = Position(before.count("\n"), len(before) - before.rfind("\n") - 1)
    item = Item("1", answer, cursor, cursor._replace(column=cursor.column + num_replaced))
    snapshot = Snapshot(document=document, cursor=cursor, path="a.py", trigger="invoked")
    newline = "\r\n" if "\r\n" in text else "\n"
    change = Change(answer.replace("\n", newline), item.start, item.end)
    return Offer(snapshot, item), document.changed([change], 2, "utf-32")


@pytest.mark.parametrize(
    ("text", "answer", "num_replaced", "line_above", "line"),
    [
        ("    x = |\ny\n", "f(1)", 0, "    x = f(1)", "    "),
        ("if f(|)\n", "x):", 1, "if f(x):", "    "),
        ("    |\n", "if a:\n        b()", 0, "        b()", "        "),
        ("    |\r\n", "if a:\n        b()", 0, "        b()", "        "),
        ("    return |", "x", 0, "    return x", ""),
    ],
)
def test_the_line_below_what_was_accepted(text, answer, num_replaced, line_above, line):
    made, document = offer(text, answer, num_replaced)
    snapshot = line_after(made, document)
    assert snapshot is not None
    assert snapshot.line_before == line
    assert snapshot.line_after == ""
    assert snapshot.trigger == "automatic"
    assert snapshot.document.lines[snapshot.cursor.line - 1].rstrip("\r\n") == line_above
    assert len(snapshot.document.lines) == len(document.lines) + 1
    assert ("\r\n" in text) == ("\r\n" in snapshot.document.text)


def test_no_line_below_where_code_follows_or_the_document_is_another_one():
    made, document = offer("x = | + y\n", "f(1)")
    assert line_after(made, document) is None
    made, document = offer("x = |\n", "f(1)")
    assert line_after(made, document) is not None
    assert line_after(made, made.snapshot.document) is None  # not accepted after all
    changed = document.changed([Change("z", (0, 0), (0, 0))], 3, "utf-32")
    assert line_after(made, changed) is None


@pytest.mark.parametrize(
    ("line", "style", "indent"),
    [
        ("    x = 1", IndentStyle(), "    "),
        ("\tif x {", IndentStyle("\t"), "\t\t"),
        ("def f(  ", IndentStyle("  "), "  "),
        ("        return x", IndentStyle(), "    "),
        ("    returned = 1", IndentStyle(), "    "),
        ("pass", IndentStyle(), ""),
        ("", IndentStyle(), ""),
    ],
)
def test_indentation_as_editors_give_it(line, style, indent):
    assert indent_below(line, style) == indent
