"""Framing: any cutting of the stream gives the same messages, and what is no frame is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.transport import MAX_BODY_BYTES, MAX_HEADER_BYTES, BrokenFraming, Framer


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 20))
def test_messages_survive_any_cutting(bodies, size):
    stream = b"".join(b"Content-Length: %d\r\nX-Other: 1\r\n\r\n%b" % (len(body), body) for body in bodies)
    framer = Framer()
    found = [body for start in range(0, len(stream), size) for body in framer.feed(stream[start : start + size])]
    assert found == bodies


def test_header_names_have_no_case():
    assert Framer().feed(b"Content-Type: x\r\ncontent-length:2\r\n\r\n{}") == [b"{}"]


@pytest.mark.parametrize(
    "stream",
    [
        b"X: 1\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
        b"x" * MAX_HEADER_BYTES,
    ],
)
def test_what_is_no_frame_is_refused(stream):
    with pytest.raises(BrokenFraming):
        Framer().feed(stream)
