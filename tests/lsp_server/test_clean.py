"""`seedling clean`: everything it stored is listed, only that is removed, and nothing without being asked."""

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsp_server import clean, cli

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the folders below are Linux's")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which every kind of file of ours lies, and one of somebody else in each folder we share."""
    for variable, name in [("CACHE", "cache"), ("STATE", "state"), ("CONFIG", "config"), ("DATA", "data")]:
        monkeypatch.setenv(f"XDG_{variable}_HOME", str(tmp_path / name))
    runtime = tmp_path / "run"
    monkeypatch.setenv("SEEDLING_RUNTIME_DIR", str(runtime))
    monkeypatch.delenv("SEEDLING_ENGINE", raising=False)
    for name, size in [
        ("cache/seedling/compiled/a.bin", 3000),
        ("state/seedling/engine-1.log", 10),
        ("state/seedling/engine-1.log.1", 10),
        ("state/seedling/dismissed.json", 10),
        ("config/seedling/settings.toml", 10),
        ("data/seedling/models/m/model.safetensors", 10),
        ("run/1.sock", 0),
        ("run/1.lock", 0),
        ("run/somebody-else.txt", 1),
        ("cache/other/file", 1),
    ]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    runtime.chmod(0o700)
    return tmp_path


def left(home: Path) -> set[str]:
    return {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}


ALWAYS_KEPT = {"run/somebody-else.txt", "cache/other/file"}
KEPT_WITHOUT_ALL = {
    "state/seedling/dismissed.json",
    "config/seedling/settings.toml",
    "data/seedling/models/m/model.safetensors",
}


def test_it_lists_and_removes_nothing_unasked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = left(home)
    assert cli.main(["clean"]) == 0  # standard input is no terminal here
    shown = capsys.readouterr().out
    assert "3.0 kB" in shown
    assert str(home / "cache" / "seedling") in shown
    assert "--yes" in shown
    assert left(home) == before


def test_yes_removes_caches_logs_and_runtime_files(home: Path) -> None:
    assert cli.main(["clean", "--yes"]) == 0
    assert left(home) == ALWAYS_KEPT | KEPT_WITHOUT_ALL


def test_all_removes_settings_and_models_too(home: Path) -> None:
    assert cli.main(["clean", "--all", "--yes"]) == 0
    assert left(home) == ALWAYS_KEPT


def test_nothing_stored(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["clean", "--all", "--yes"])
    capsys.readouterr()
    assert cli.main(["clean", "--all"]) == 0
    assert capsys.readouterr().out == "Nothing is stored.\n"


@pytest.fixture
def held_lock(home: Path) -> Iterator[Path]:
    path = home / "run" / "2.lock"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield path
    os.close(descriptor)


def test_a_running_engines_files_stay(home: Path, held_lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clean.running_engines() == [held_lock]
    assert cli.main(["clean", "--yes"]) == 0
    assert "running" in capsys.readouterr().out
    assert {"run/1.sock", "run/1.lock", "run/2.lock"} <= left(home)
    assert not (home / "cache" / "seedling").exists()


@pytest.mark.parametrize(("size", "shown"), [(0, "0 B"), (999, "999 B"), (1234, "1.2 kB"), (56_000_000, "56 MB")])
def test_sizes(size: int, shown: str) -> None:
    assert clean.size_text(size) == shown
