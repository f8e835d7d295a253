"""Archives and folders are found, the newest once, and read within bounds; nothing is unpacked or followed."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from model.training.corpus import sources
from model.training.corpus.licences import judge
from model.training.corpus.sources import CorpusError, UnreadableSource, find_sources, licence_statement, open_source


def test_the_newest_version_is_taken_once_over_all_folders(make_wheel, make_sdist, tmp_path: Path):
    make_wheel("Alpha", "1.9", folder="a")
    make_wheel("alpha", "1.10", folder="b")
    make_sdist("alpha", "1.10", folder="a")
    make_sdist("beta", "2.0", folder="b")
    (tmp_path / "a" / "notes.txt").write_text("not an archive")
    (tmp_path / "a" / "not-a-wheel-name.whl").write_text("")
    found = find_sources([tmp_path / "a", tmp_path / "b"])
    assert [(source.project, source.version, source.kind) for source in found] == [
        ("alpha", "1.10", "wheel"),
        ("beta", "2.0", "sdist"),
    ]
    assert found == find_sources([tmp_path / "b", tmp_path / "a"])


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(CorpusError, match="nowhere is not a folder"):
        find_sources([tmp_path / "nowhere"])


@pytest.mark.parametrize("kind", ["wheel", "sdist", "folder"])
def test_every_kind_gives_files_and_a_licence(kind: str, make_wheel, make_sdist, make_module, tmp_path: Path):
    (tmp_path / "index").mkdir()
    if kind == "wheel":
        make_wheel("alpha", files={"alpha/core.py": make_module("a"), "alpha-1.0.data/purelib/extra.py": "x = 1\n"})
    elif kind == "sdist":
        make_sdist("alpha", files={"alpha/core.py": make_module("a"), "extra.py": "x = 1\n"})
    else:
        project = tmp_path / "index" / "checkout"
        (project / "alpha").mkdir(parents=True)
        (project / ".git").mkdir()
        (project / ".git" / "hook.py").write_text("x = 2\n")
        (project / "alpha" / "core.py").write_text(make_module("a"))
        (project / "extra.py").write_text("x = 1\n")
        os.symlink("/etc/passwd", project / "link.py")
        (project / "pyproject.toml").write_text('[project]\nname = "alpha"\nversion = "1.0"\nlicense = "ISC"\n')
        (project / "LICENSE").write_text(
            "Permission to use, copy, modify, and distribute this software for any purpose with or without fee"
        )
    (source,) = find_sources([tmp_path / "index"])
    with open_source(source) as reader:
        assert {name for name in reader.names if name.endswith(".py")} == {"alpha/core.py", "extra.py"}
        assert reader.read("alpha/core.py").decode() == make_module("a")
        assert judge(licence_statement(source, reader)).licence == ("ISC" if kind == "folder" else "MIT")


@pytest.mark.parametrize("name", ["alpha-1.0-py3-none-any.whl", "alpha-1.0.tar.gz"])
def test_an_archive_that_is_none_is_unreadable(name: str, tmp_path: Path):
    (tmp_path / name).write_bytes(b"this is neither zip nor gzip")
    (source,) = find_sources([tmp_path])
    with pytest.raises(UnreadableSource, match="unreadable archive"), open_source(source):
        pass


def test_a_broken_member_is_unreadable(make_wheel, make_module):
    path = make_wheel("alpha", files={"alpha/core.py": make_module("a", 200)})
    data = bytearray(path.read_bytes())
    data[200:400] = bytes(200)
    path.write_bytes(bytes(data))
    (source,) = find_sources([path.parent])
    with open_source(source) as reader, pytest.raises(UnreadableSource, match="unreadable archive"):
        reader.read("alpha/core.py")


def test_a_bomb_in_a_wheel_is_read_within_bounds(make_wheel):
    path = make_wheel("alpha", files={"alpha/bomb.py": b"#" * (50 << 20)})
    assert path.stat().st_size < 1 << 20
    (source,) = find_sources([path.parent])
    with open_source(source) as reader:
        assert len(reader.read("alpha/bomb.py")) == sources.MAX_MEMBER_BYTES + 1


def test_a_bomb_in_a_source_distribution_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_UNPACKED_BYTES", 1 << 20)
    with tarfile.open(tmp_path / "alpha-1.0.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("alpha-1.0/huge.bin")
        member.size = 2 << 20
        archive.addfile(member, io.BytesIO(bytes(2 << 20)))
    (source,) = find_sources([tmp_path])
    with pytest.raises(UnreadableSource, match="unpacked size is too large"), open_source(source):
        pass


def test_names_that_leave_the_archive_do_not_exist(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "alpha-1.0-py3-none-any.whl", "w") as archive:
        for name in ("/etc/evil.py", "../evil.py", "a/../../evil.py", "good.py"):
            archive.writestr(name, "x = 1\n")
    (source,) = find_sources([tmp_path])
    with open_source(source) as reader:
        assert reader.names == ("good.py",)


def test_an_error_of_the_caller_is_not_blamed_on_the_archive(make_wheel):
    path = make_wheel("alpha")
    (source,) = find_sources([path.parent])
    with pytest.raises(OSError, match="disk is full"), open_source(source):
        raise OSError("disk is full")
