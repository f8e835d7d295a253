"""The prompt's window: a contiguous piece of the document whose far ends stay where they are while one types."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.context.window import CHARS_PER_TOKEN, MAX_TAIL_CHARS, prefix_start, prompt_window, suffix_anchor
from lsp_server.positions import Position, from_client
from lsp_server.snapshot import Snapshot, open_document

DOCUMENT = "".join(f"value_{n} = compute({n})\n" for n in range(2_000))


def snapshot_at(text: str, line: int, column: int) -> Snapshot:
    document = open_document("file:///a.py", "python", 1, text)
    cursor = from_client(document.lines, line, column, "utf-32")
    return Snapshot(document=document, cursor=cursor, path="a.py")


@given(
    st.text(alphabet="ab \n\r\t", max_size=400),
    st.integers(0, 60),
    st.integers(0, 20),
    st.integers(10, 300),
)
def test_the_window_is_a_contiguous_piece_of_the_document_within_its_budget(text, line, column, context_tokens):
    snapshot = snapshot_at(text, line, column)
    prompt = prompt_window(snapshot, context_tokens)
    normalised = text.replace("\r\n", "\n").replace("\r", "\n")
    assert prompt.prefix + prompt.line + prompt.tail + prompt.suffix in normalised
    assert not prompt.prefix or prompt.prefix.endswith("\n")
    assert prompt.tail.count("\n") <= 8
    assert len(prompt.prefix) <= 0.7 * context_tokens * CHARS_PER_TOKEN
    assert len(prompt.suffix) <= 0.25 * context_tokens * CHARS_PER_TOKEN
    rows = snapshot.document.lines[: snapshot.cursor.line]
    assert prompt.line == snapshot.document.lines[snapshot.cursor.line][: snapshot.cursor.column]
    if len("".join(rows)) <= 8:  # a short file is there as a whole
        assert prompt.prefix == "".join(rows).replace("\r\n", "\n").replace("\r", "\n")


def test_typing_changes_only_the_line():
    before = prompt_window(snapshot_at(DOCUMENT, 1000, 8), 1024)
    typed = DOCUMENT.replace("value_1000 ", "value_10xy00 ")
    after = prompt_window(snapshot_at(typed, 1000, 10), 1024)
    assert (after.prefix, after.suffix) == (before.prefix, before.suffix)
    assert after.line == before.line + "xy"
    assert after.tail == before.tail


def test_enter_keeps_the_suffix_and_only_appends_to_the_prefix_between_jumps():
    rng = random.Random(0)
    text, row = DOCUMENT, 1000
    jumps = 0
    window = prompt_window(snapshot_at(text, row, 99), 1024)
    for _ in range(40):
        lines = text.split("\n")
        lines.insert(row + 1, f"new = {rng.random():.3f}")
        text, row = "\n".join(lines), row + 1
        new = prompt_window(snapshot_at(text, row, 99), 1024)
        assert new.suffix == window.suffix
        jumps += not new.prefix.startswith(window.prefix)
        window = new
    assert 1 <= jumps <= 6


def test_moving_down_moves_the_suffix_only_every_eighth_line():
    suffixes = [prompt_window(snapshot_at(DOCUMENT, row, 0), 1024).suffix for row in range(1000, 1032)]
    assert len(set(suffixes)) in (4, 5)


def test_the_anchor_is_counted_from_the_end_and_comes_nearer_where_lines_are_long():
    short, long = ("x\n",) * 20 + ("",), ("x" * 100 + "\n",) * 20 + ("",)
    anchors = [suffix_anchor(short, row) for row in range(20)]
    assert all(row < anchor <= row + 8 and (21 - anchor) % 8 == 0 for row, anchor in enumerate(anchors))
    for row in range(20):
        anchor = suffix_anchor(long, row)
        assert sum(map(len, long[row + 1 : anchor])) <= MAX_TAIL_CHARS
    assert suffix_anchor(("x",), 0) == 1


def test_the_prefix_start_is_a_multiple_of_its_step():
    lines = ("x" * 31 + "\n",) * 500
    starts = [prefix_start(lines, row, 5_000) for row in range(0, 400)]
    assert all(start % 32 == 0 for start in starts)
    assert all(5_000 >= 32 * (row - start) >= min(row * 32, 5_000 - 33 * 32) for row, start in enumerate(starts))
    assert prefix_start(("y" * 100 + "\n",) * 9, 8, 50) == 8


def test_the_last_line_has_no_line_end_and_a_crlf_document_reads_as_lf():
    prompt = prompt_window(snapshot_at("a\r\nb = \r\nc", 1, 4), 100)
    assert (prompt.prefix, prompt.line, prompt.tail, prompt.suffix) == ("a\n", "b = ", "\nc", "")
    assert prompt_window(snapshot_at("a", 0, 1), 100).tail == ""
    assert Position(0, 1) == snapshot_at("a", 0, 1).cursor


@pytest.mark.parametrize(("column", "line", "tail"), [(4, "im ", "x\ny\n"), (1, "", "im x\ny\n"), (0, "", "im x\ny\n")])
def test_a_byte_order_mark_is_not_in_the_prompt(column, line, tail):
    prompt = prompt_window(snapshot_at("\ufeffim x\ny\n", 0, column), 100)
    assert (prompt.prefix, prompt.line, prompt.tail + prompt.suffix) == ("", line, tail)
    below = prompt_window(snapshot_at("\ufeffim x\ny\n", 1, 1), 100)
    assert (below.prefix, below.line) == ("im x\n", "y")


def test_separators_that_are_no_line_ends_stay_in_their_line():
    prompt = prompt_window(snapshot_at("a\x0c\u2028\x85b\rc = |", 1, 4), 100)
    assert (prompt.prefix, prompt.line) == ("a\x0c\u2028\x85b\n", "c = ")
