"""The ring of chunks: newest first, bounded, without near-duplicates."""

from lsp_server.context.ring import (
    CHUNK_LINES,
    MAX_CHUNK_CHARS,
    MAX_CHUNKS,
    Chunk,
    chunk_around,
    similarity,
    with_chunk,
)
from lsp_server.snapshot import open_document


def lines(start: int, count: int = CHUNK_LINES) -> tuple[str, ...]:
    return tuple(f"value_{number} = {number}\n" for number in range(start, start + count))


def chunk(uri: str, row: int, text: tuple[str, ...]) -> Chunk:
    return Chunk(uri, "python", row, text)


def test_a_chunk_is_around_the_place():
    document = open_document("file:///a.py", "python", 1, "".join(lines(0, 500)))
    for row in (0, 3, 100, 480, 499):
        found = chunk_around(document, row)
        assert found is not None
        assert found.row <= row < found.end_row
        assert len(found.lines) == CHUNK_LINES
        assert found.lines == document.lines[found.row : found.end_row]


def test_a_chunk_of_long_lines_is_shorter_and_still_around_the_place():
    document = open_document("file:///a.py", "python", 1, "".join("x" * 900 + "\n" for _ in range(100)))
    for row in (0, 50, 99):
        found = chunk_around(document, row)
        assert found is not None
        assert sum(map(len, found.lines)) <= MAX_CHUNK_CHARS
        assert found.row <= row < found.end_row


def test_blank_documents_give_none():
    assert chunk_around(open_document("file:///a.py", "python", 1, "\n\n  \n"), 1) is None
    assert chunk_around(open_document("file:///a.py", "python", 1, ""), 0) is None


def test_what_is_nearly_the_same_makes_room():
    old, new = lines(0), (*lines(0)[:-1], "other\n")
    assert similarity(old, new) > 0.9
    ring = with_chunk(with_chunk((), chunk("file:///a.py", 0, old)), chunk("file:///b.py", 900, new))
    assert [kept.uri for kept in ring] == ["file:///b.py"]


def test_what_is_only_similar_stays():
    old, new = lines(0), (*lines(0)[:-6], *lines(900, 6))
    assert similarity(old, new) <= 0.9
    ring = with_chunk(with_chunk((), chunk("file:///a.py", 0, old)), chunk("file:///b.py", 0, new))
    assert [kept.uri for kept in ring] == ["file:///b.py", "file:///a.py"]


def test_an_older_version_of_the_same_place_goes():
    ring = with_chunk((), chunk("file:///a.py", 100, lines(0)))
    ring = with_chunk(ring, chunk("file:///a.py", 110, lines(500)))
    assert [kept.row for kept in ring] == [110]
    assert [kept.row for kept in with_chunk(ring, chunk("file:///a.py", 400, lines(900)))] == [400, 110]


def test_the_ring_is_bounded_and_the_newest_is_first():
    ring: tuple[Chunk, ...] = ()
    for number in range(MAX_CHUNKS + 10):
        ring = with_chunk(ring, chunk(f"file:///{number}.py", 0, lines(number * 100)))
    assert len(ring) == MAX_CHUNKS
    assert ring[0].uri == f"file:///{MAX_CHUNKS + 9}.py"


def test_similarity_ignores_blank_lines_and_indentation():
    assert similarity(("a\n", "\n", "  b\n"), ("b\n", "a\n")) == 1.0
    assert similarity(("a\n",), ("b\n",)) == 0.0
    assert similarity((), ("\n",)) == 1.0
