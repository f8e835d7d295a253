"""Dismissals: for the session, for the next one, bounded, and never a reason to fail."""

from pathlib import Path

import pytest

from lsp_server import dismissed
from lsp_server.dismissed import Dismissed

FOLDER = "file:///w"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "seedling"


def test_what_is_dismissed_is_so_in_the_next_session_and_in_its_folder_only() -> None:
    first = Dismissed()
    first.add(FOLDER, "k1")
    first.add(None, "k2")
    assert first.has(FOLDER, "k1")
    assert first.has(None, "k2")
    following = Dismissed()
    assert following.has(FOLDER, "k1")
    assert not following.has("file:///other", "k1")
    assert not following.has(None, "k2")


def test_neither_paths_nor_code_are_written(state: Path) -> None:
    Dismissed().add("file:///w/secret-project", "0123abcd")
    (file,) = state.iterdir()
    assert file.read_text() == "0123abcd\n"
    assert "secret" not in file.name


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dismissed, "MAX_KEPT", 3)
    keys = Dismissed()
    for number in range(5):
        keys.add(FOLDER, f"k{number}")
    for one in (keys, Dismissed()):
        assert [one.has(FOLDER, f"k{number}") for number in range(5)] == [False, False, True, True, True]


def test_a_folder_that_cannot_be_written_costs_only_the_next_session(state: Path) -> None:
    state.parent.mkdir(exist_ok=True)
    state.write_text("a file where the folder should be")
    keys = Dismissed()
    keys.add(FOLDER, "k")
    assert keys.has(FOLDER, "k")
    assert not Dismissed().has(FOLDER, "k")
