"""Where engines live, and what is refused."""

import os
import stat
import sys

import pytest

from lsp_server.engine_client.errors import EngineUnavailable
from lsp_server.engine_client.paths import MAX_SOCKET_PATH_BYTES, default_model, engine_paths, runtime_folder


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))  # a model in the developer's own settings
    for name in ("SEEDLING_RUNTIME_DIR", "XDG_RUNTIME_DIR", "SEEDLING_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))


def test_the_folder_is_under_xdg_runtime_else_under_the_temp_folder(monkeypatch, tmp_path):
    folder = runtime_folder()
    assert folder == tmp_path / f"seedling-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (tmp_path / "xdg").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "xdg"))
    assert runtime_folder() == tmp_path / "xdg" / "seedling"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    assert runtime_folder() == folder


def test_a_folder_of_others_is_refused(monkeypatch, tmp_path):
    folder = runtime_folder()
    folder.chmod(0o755)
    with pytest.raises(EngineUnavailable, match="chmod 700") as caught:
        runtime_folder()
    assert caught.value.reason == "runtime_folder"
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(EngineUnavailable, match="link"):
        runtime_folder()
    folder.unlink()
    folder.touch()
    with pytest.raises(EngineUnavailable):
        runtime_folder()
    folder.unlink()
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    monkeypatch.setenv("SEEDLING_RUNTIME_DIR", str(folder))
    with pytest.raises(EngineUnavailable, match="another user"):
        runtime_folder()


def test_names_are_short_and_tell_models_apart(monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDLING_RUNTIME_DIR", str(tmp_path / "r"))
    first, second = engine_paths(tmp_path / "a"), engine_paths(tmp_path / "b")
    assert first.socket != second.socket
    assert first == engine_paths(tmp_path / "x" / ".." / "a")
    assert len(first.socket.name) < 25
    (tmp_path / ("d" * 90)).mkdir(mode=0o700)
    monkeypatch.setenv("SEEDLING_RUNTIME_DIR", str(tmp_path / ("d" * 90)))
    with pytest.raises(EngineUnavailable, match="too long"):
        engine_paths(tmp_path / "a")
    assert MAX_SOCKET_PATH_BYTES == 103


def test_the_model_in_use(monkeypatch, tmp_path):
    assert default_model().parts[-2:] == ("model", "embedded")
    monkeypatch.setenv("SEEDLING_MODEL", str(tmp_path))
    assert default_model() == tmp_path.resolve()


def test_importing_the_client_imports_neither_httpx_nor_torch():
    import subprocess

    heavy = ("httpx", "torch", "numpy")
    code = f"import sys, lsp_server.engine_client.connect; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-E", "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
