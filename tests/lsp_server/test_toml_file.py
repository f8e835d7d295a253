"""One settings file: read whole or named with one sentence, and never a trap."""

import os
from pathlib import Path

import pytest

from lsp_server.toml_file import MAX_BYTES, read_toml, stamp_of


def test_a_file_and_none(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    assert (read_toml(path).table, read_toml(path).stamp, read_toml(path).sentence) == ({}, None, "")
    path.write_text("\ufeffa = 1\n[b]\nc = [2]\n", "utf-8")  # Notepad writes a byte order mark
    assert read_toml(path).table == {"a": 1, "b": {"c": [2]}}
    assert read_toml(path).sentence == ""


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"a = ", "not TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a = " + b"[" * 20_000, "ignored"),
        (b"#" * (MAX_BYTES + 1), "larger than"),
    ],
)
def test_broken_files_get_one_sentence(tmp_path: Path, body: bytes, word: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(body)
    read = read_toml(path)
    assert read.table == {}
    assert str(path) in read.sentence
    assert word in read.sentence
    assert read.sentence.count("\n") == 0
    assert len(read.sentence) < len(str(path)) + 120


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "regular" in read_toml(tmp_path / "folder").sentence
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer for ever
    assert "regular" in read_toml(tmp_path / "pipe").sentence


def test_links_may_not_lead_out(tmp_path: Path) -> None:
    inside = tmp_path / "project"
    inside.mkdir()
    (tmp_path / "out.toml").write_text("a = 1")
    (inside / "in.toml").write_text("a = 2")
    (inside / "link.toml").symlink_to(tmp_path / "out.toml")
    (inside / "fine.toml").symlink_to(inside / "in.toml")
    (inside / "broken.toml").symlink_to(inside / "none")
    assert "link" in read_toml(inside / "link.toml", inside=inside).sentence
    assert read_toml(inside / "link.toml", inside=inside).table == {}
    assert read_toml(inside / "fine.toml", inside=inside).table == {"a": 2}
    assert read_toml(inside / "broken.toml", inside=inside).sentence == ""
    (tmp_path / "way").symlink_to(inside)  # the folder itself may be reached by a link
    assert read_toml(tmp_path / "way" / "in.toml", inside=tmp_path / "way").table == {"a": 2}


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.toml"
    path.write_text("a = 1")

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)  # the tests may run as somebody who may read everything
    assert "cannot be read (Permission denied)" in read_toml(path).sentence


def test_the_stamp_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    stamps = [stamp_of(path)]
    path.write_text("a = 1")
    stamps.append(stamp_of(path))
    path.write_text("a = 12")
    stamps.append(stamp_of(path))
    path.unlink()
    stamps.append(stamp_of(path))
    assert stamps[0] is stamps[3] is None
    assert len(set(stamps)) == 3
