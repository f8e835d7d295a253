"""Documents under changes (against plain string surgery), indentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.positions import Position, split_lines, to_client
from lsp_server.snapshot import (
    Change,
    IndentStyle,
    Selected,
    Snapshot,
    detect_indent,
    open_document,
    usable_selection,
)

TEXT = st.text(alphabet="ab😀\t\r\n\f", max_size=20)


@given(TEXT, st.lists(st.tuples(TEXT, st.integers(0, 99), st.integers(0, 99)), max_size=4), st.data())
def test_changes_equal_string_surgery(text, edits, data):
    encoding = data.draw(st.sampled_from(["utf-8", "utf-16", "utf-32"]))
    document = open_document("file:///a", "python", 1, text)
    for version, (new, first, second) in enumerate(edits, 2):
        places = _places(text)
        (start, start_offset), (end, end_offset) = sorted((places[first % len(places)], places[second % len(places)]))
        lines = split_lines(text)
        change = Change(new, to_client(lines, start, encoding), to_client(lines, end, encoding))
        document = document.changed([change], version, encoding)
        text = text[:start_offset] + new + text[end_offset:]
        assert document.text == text
        assert document.lines == split_lines(text)
        assert document.version == version


def _places(text: str) -> list[tuple[Position, int]]:
    """All positions of the text that are not inside a line end, with their offsets."""
    places, offset = [], 0
    for row, line in enumerate(split_lines(text)):
        places += [(Position(row, column), offset + column) for column in range(len(line.rstrip("\r\n")) + 1)]
        offset += len(line)
    return places


def test_a_change_without_a_range_replaces_everything_and_a_reversed_range_is_turned():
    document = open_document("file:///a", "python", 1, "abc")
    assert document.changed([Change("x\ny")], 2, "utf-16").lines == ("x\n", "y")
    assert document.changed([Change("", (0, 2), (0, 1))], 2, "utf-16").text == "ac"


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("x\n", "    "),
        ("\t", "\t"),
        ("if x:\r\ty\r", "\t"),
        ("if x:\n\ty\n", "\t"),
        ("if x:\n  y\n    z\n", "  "),
        ("if x:\n    y\n        z\n", "    "),
    ],
)
def test_indentation_is_read_from_the_document(text, unit):
    assert detect_indent(split_lines(text)) == IndentStyle(unit, 4)


def test_the_selected_popup_item_is_applied_unless_it_stands_there_already():
    document = open_document("file:///a", "python", 1, "os.pa)")
    chosen = Selected(Position(0, 3), Position(0, 5), "path")
    selected = usable_selection(document, Position(0, 5), chosen)
    snapshot = Snapshot(document=document, cursor=Position(0, 5), path="a", selected=selected)
    assert (snapshot.line_before, snapshot.line_after) == ("os.path", ")")
    assert usable_selection(document, Position(0, 5), Selected(Position(0, 3), Position(0, 5), "pa")) is None
    assert usable_selection(document, Position(0, 1), chosen) is None
    assert usable_selection(document, Position(0, 5), Selected(Position(0, 3), Position(1, 0), "x")) is None
