"""Files of a workspace folder: what is read, and everything that is not."""

import os
from pathlib import Path

import pytest

from lsp_server.context.files import MAX_FILE_BYTES, MAX_KEPT_BYTES, Allowance, ProjectFiles, is_inner_path


@pytest.fixture
def project(tmp_path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "a.py").write_text("x = 1\ny = 2\n")
    (tmp_path / "outside.py").write_text("secret = 1\n")
    return folder


def read(folder: Path, path: str, **more) -> tuple[str, ...] | None:
    file = ProjectFiles(str(folder), **more).read(path, Allowance())
    return None if file is None else file.lines


def test_a_plain_file_is_read(project):
    assert read(project, "a.py") == ("x = 1\n", "y = 2\n", "")


@pytest.mark.parametrize(
    "path", ["../outside.py", "/etc/hosts", "a.py/../../outside.py", "./a.py", "", "..", "sub//a.py", "C:/a.py", "a\0b"]
)
def test_paths_that_are_not_inner_are_not_read(project, path):
    assert not is_inner_path(path)
    assert read(project, path) is None


def test_no_link_leads_out(project):
    (project / "link.py").symlink_to(project.parent / "outside.py")
    (project / "folder").symlink_to(project.parent, target_is_directory=True)
    (project / "relative.py").symlink_to("../outside.py")
    for path in ("link.py", "folder/outside.py", "relative.py", "folder/project/../outside.py"):
        assert read(project, path) is None
    assert ProjectFiles(str(project)).siblings("folder/x.py") == []


def test_a_link_inside_the_folder_is_followed(project):
    (project / "same.py").symlink_to("a.py")
    assert read(project, "same.py") == ("x = 1\n", "y = 2\n", "")


def test_exclusions_hold_for_a_link_and_for_its_target(project):
    (project / ".env").write_text("TOKEN=1\n")
    (project / "settings.py").symlink_to(".env")
    (project / "generated").mkdir()
    (project / "generated" / "g.py").write_text("g = 1\n")
    (project / "g.py").symlink_to("generated/g.py")
    (project / "ok.key").symlink_to("a.py")
    assert read(project, "settings.py") is None
    assert read(project, ".env") is None
    assert read(project, "ok.key") is None
    assert read(project, "g.py") is not None
    assert read(project, "g.py", exclude=("generated",)) is None
    (project / ".gitignore").write_text("generated/\n")
    assert read(project, "g.py") is None
    assert read(project, "generated/g.py") is None


def test_a_folder_below_one_of_secrets_is_read_nowhere(tmp_path):
    folder = tmp_path / ".ssh"
    folder.mkdir()
    (folder / "a.py").write_text("x\n")
    assert read(folder, "a.py") is None


def test_large_binary_and_foreign_texts_are_not_read(project):
    (project / "huge.py").write_text("x" * (MAX_FILE_BYTES + 1))
    (project / "nul.py").write_bytes(b"a\0b")
    (project / "latin.py").write_bytes("é".encode("latin-1"))
    (project / "bom.py").write_bytes(b"\xef\xbb\xbfx = 1\n")
    assert read(project, "huge.py") is None
    assert read(project, "nul.py") is None
    assert read(project, "latin.py") is None
    assert read(project, "bom.py") == ("x = 1\n", "")
    assert read(project, "a.py", max_bytes=5) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_only_regular_files_are_read_and_none_holds_the_thread(project):
    os.mkfifo(project / "pipe.py")
    (project / "folder.py").mkdir()
    assert read(project, "pipe.py") is None
    assert read(project, "folder.py") is None


def test_another_workspace_folder_inside_this_one_is_not_entered(project):
    (project / "other").mkdir()
    (project / "other" / "b.py").write_text("b\n")
    assert read(project, "other/b.py") is not None
    nested = (str(project / "other"),)
    assert read(project, "other/b.py", nested=nested) is None
    assert ProjectFiles(str(project), nested=nested).siblings("other/x.py") == []


def test_a_file_that_vanishes_or_changes(project):
    files = ProjectFiles(str(project))
    first = files.read("a.py", Allowance())
    assert first is files.read("a.py", Allowance())
    (project / "a.py").write_text("other text, longer\n")
    second = files.read("a.py", Allowance())
    assert second is not None
    assert second.lines[0] == "other text, longer\n"
    (project / "a.py").unlink()
    assert files.read("a.py", Allowance()) is None
    (project / "b.py").write_text("")
    names = files.siblings("x.py")
    (project / "b.py").unlink()
    assert [files.read(name, Allowance()) for name in names] == [None]


def test_a_missing_folder_has_no_files(tmp_path):
    files = ProjectFiles(str(tmp_path / "no"))
    assert files.read("a.py", Allowance()) is None
    assert files.siblings("a.py") == []


def test_an_allowance_ends(project):
    for name in "bcd":
        (project / f"{name}.py").write_text("x" * 100)
    files = ProjectFiles(str(project))
    assert [files.read(f"{n}.py", a) is not None for a in [Allowance(num_files=2)] for n in "bcd"] == [
        True,
        True,
        False,
    ]
    assert [files.read(f"{n}.py", a) is not None for a in [Allowance(num_bytes=50)] for n in "bcd"] == [
        True,
        False,
        False,
    ]
    assert files.read("b.py", Allowance(seconds=-1)) is None


def test_what_is_kept_is_bounded(project):
    files = ProjectFiles(str(project))
    for number in range(8):
        (project / f"big{number}.py").write_text("x = 1\n" * 150_000)
        assert files.read(f"big{number}.py", Allowance()) is not None
    assert files.kept_bytes <= MAX_KEPT_BYTES


def test_siblings_are_visible_files_the_newest_first(project):
    for age, name in enumerate(["old.py", "new.py", ".hidden.py"]):
        (project / name).write_text("")
        os.utime(project / name, (1_000 + age, 1_000 + age))
    (project / "sub").mkdir()
    assert ProjectFiles(str(project)).siblings("x.py") == ["a.py", "new.py", "old.py"]
    assert ProjectFiles(str(project)).siblings("a.py") == ["new.py", "old.py"]


def test_odd_names_are_only_names(project):
    for name in ("a b.py", "ü😀.py", "a\nb.py", "-rf.py", "$(x).py"):
        (project / name).write_text("x = 1\n")
        assert read(project, name) is not None
