"""Which documents a `.seedlingignore` keeps completion away from."""

import sys
from pathlib import Path

import pytest

from lsp_server.ignored import ignored


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a workspace folder `app` in it."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "app" / "src").mkdir(parents=True)
    (tmp_path / ".gitignore").write_text("*.py\n")
    return tmp_path


def names(repository: Path, *paths: str, folder: str = "app") -> set[str]:
    uris = {(repository / path).as_uri(): path for path in paths}
    return {uris[uri] for uri in ignored(uris, ((repository / folder).as_uri(),))}


def test_files_of_the_folder_of_folders_in_it_and_of_the_repository_above(repository: Path) -> None:
    paths = ("app/a.py", "app/src/b.py", "app/src/c.py", "app/src/d.py")
    assert names(repository, *paths) == set()
    (repository / ".seedlingignore").write_text("d.py\n")
    (repository / "app" / ".seedlingignore").write_text("/a.py\n")
    (repository / "app" / "src" / ".seedlingignore").write_text("b.*\n")
    assert names(repository, *paths) == {"app/a.py", "app/src/b.py", "app/src/d.py"}


def test_outside_of_workspace_folders_and_on_other_machines_none_is_read(repository: Path) -> None:
    (repository / "app" / ".seedlingignore").write_text("*\n")
    assert names(repository, "other/a.py") == set()
    assert ignored([(repository / "app" / "a.py").as_uri()], ()) == frozenset()
    assert ignored(["vscode-remote://box/w/a.py"], ("vscode-remote://box/w",)) == frozenset()


def test_without_an_ignore_file_nothing_is_imported(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lsp_server.context.ignore", None)  # an import would fail
    assert names(repository, "app/a.py") == set()
    (repository / ".seedlingignore").write_text("a.py\n")
    with pytest.raises(ImportError):
        names(repository, "app/a.py")
