"""Conversion of positions: every encoding against Python's own encoders, and the lines LSP means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.positions import (
    ENCODINGS,
    Position,
    choose_encoding,
    column_of,
    from_client,
    num_units,
    split_lines,
    to_client,
    without_end,
)

UNIT_BYTES = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


@given(st.text(alphabet=st.characters(codec="utf-8")), st.sampled_from(ENCODINGS))
def test_num_units_is_what_the_encoder_makes(text, encoding):
    codec, num_bytes = UNIT_BYTES[encoding]
    assert num_units(text, encoding) == len(text.encode(codec)) // num_bytes


@given(st.text(alphabet="aé漢😀́\t", max_size=12), st.sampled_from(ENCODINGS), st.data())
def test_there_and_back(line, encoding, data):
    column = data.draw(st.integers(0, len(line)))
    assert column_of(line + "\r\n", num_units(line[:column], encoding), encoding) == column


def test_a_position_inside_a_character_is_its_start_and_one_beyond_the_line_its_end():
    assert column_of("a😀b\n", 2, "utf-16") == 1
    assert column_of("a😀b\n", 3, "utf-8") == 1
    assert [column_of("ab\r\n", units, "utf-16") for units in (-1, 2, 3, 99)] == [0, 2, 2, 2]


@given(st.text(alphabet="ab\r\n\f\x85\u2028\v", max_size=30))
def test_lines_are_cut_at_lf_crlf_and_cr_only(text):
    lines = split_lines(text)
    assert "".join(lines) == text
    assert [without_end(line) for line in lines] == text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def test_lines_outside_the_document_are_its_ends():
    lines = split_lines("ab\ncd")
    assert from_client(lines, 7, 0, "utf-16") == Position(1, 2)
    assert from_client(lines, -1, 1, "utf-16") == Position(0, 1)
    assert to_client(split_lines("😀x"), Position(0, 2), "utf-16") == (0, 3)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(None, "utf-16"), ([], "utf-16"), (["utf-8", "utf-16"], "utf-8"), (["latin-1", "utf-32"], "utf-32")],
)
def test_the_clients_order_decides(offered, chosen):
    assert choose_encoding(offered) == chosen
