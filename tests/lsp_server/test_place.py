"""FILE:LINE[:COL]: counted from 1, columns in characters, every wrong one named."""

from pathlib import Path

import pytest

from lsp_server.place import PlaceError, read_place
from lsp_server.positions import Position


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a:b.py"
    path.write_bytes("x = 1\r\ntag = '🌱é'\n".encode())
    return path


@pytest.mark.parametrize(
    ("place", "cursor"),
    [
        ("1", Position(0, 5)),
        ("1:1", Position(0, 0)),
        ("1:6", Position(0, 5)),
        ("2", Position(1, 10)),
        ("2:9", Position(1, 8)),
        ("3", Position(2, 0)),
    ],
)
def test_places(file: Path, place: str, cursor: Position) -> None:
    found = read_place(f"{file}:{place}")
    assert found.cursor == cursor
    assert found.text == "x = 1\r\ntag = '🌱é'\n"


@pytest.mark.parametrize("place", ["0", "4", "1:0", "1:7", "3:2", "one", "1:two", "-1", "1:1:1", "", "٣"])
def test_places_that_are_not_there(file: Path, place: str) -> None:
    with pytest.raises(PlaceError):
        read_place(f"{file}:{place}")


def test_files_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large.py").write_bytes(b"x" * 1_000_001)
    for name, reason in [
        ("binary.py", "UTF-8"),
        ("large.py", "larger"),
        (".", "folder"),
        ("none.py", "cannot be read"),
    ]:
        with pytest.raises(PlaceError, match=reason):
            read_place(f"{tmp_path / name}:1")
    with pytest.raises(PlaceError):
        read_place("a\0b.py:1")
