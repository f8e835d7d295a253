"""Offsets and texts find their way back to a text with other line ends."""

from hypothesis import given
from hypothesis import strategies as st

from model.engine.line_ends import LineEnds


@given(st.text(alphabet="ab\r\n"), st.data())
def test_every_piece_is_the_same_in_both(original, data):
    ends = LineEnds(original)
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(ends.text))] * 2)))
    piece = original[ends.offset(start) : ends.offset(stop)]
    assert piece.replace("\r\n", "\n") == ends.text[start:stop]


def test_what_is_written_ends_its_lines_as_most_of_the_text_does():
    assert LineEnds("a\r\nb\r\nc\n").written("x\ny") == "x\r\ny"
    assert LineEnds("a\r\nb\nc\n").written("x\ny") == "x\ny"
    assert LineEnds("a").written("x\ny") == "x\ny"
