"""Users without a home: nothing is written into the folder that they work in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_server.dismissed import Dismissed
from lsp_server.engine_client.paths import engine_paths
from lsp_server.folders import NOWHERE, config_folder, state_folder
from lsp_server.log import log_to_file
from lsp_server.user_settings import read_user_settings, user_settings_path


@pytest.fixture
def homeless(monkeypatch, tmp_path):
    """No HOME, and a user that the password file does not know; works in an empty folder."""
    for name in [*(name for name in os.environ if name.startswith("XDG_")), "HOME"]:
        monkeypatch.delenv(name, raising=False)

    def unknown(_):
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("SEEDLING_RUNTIME_DIR", str(runtime))
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    monkeypatch.chdir(workspace)
    yield runtime
    assert list(workspace.iterdir()) == []


def test_without_a_home_there_are_no_folders_of_the_user(homeless, capsys):
    assert (state_folder(), config_folder()) == (None, None)
    assert user_settings_path().parent == NOWHERE
    assert read_user_settings().values == {}
    assert read_user_settings().sentences == ()
    log_to_file()
    assert "no home directory" in capsys.readouterr().err


def test_without_a_home_the_engines_log_lies_beside_its_socket(homeless):
    paths = engine_paths()
    assert paths.log.parent == paths.stderr.parent == paths.socket.parent == homeless


def test_without_a_home_hints_stay_away_until_the_editor_ends(homeless):
    dismissed = Dismissed()
    dismissed.add("/w", "key")
    assert dismissed.has("/w", "key")
    assert not Dismissed().has("/w", "key")


def test_on_a_disk_that_cannot_be_written_too(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SEEDLING_RUNTIME_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    assert engine_paths().log.parent == tmp_path / "state" / "seedling"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert engine_paths().log.parent == tmp_path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_costs_the_log_and_nothing_else(tmp_path):
    (tmp_path / "seedling").mkdir()
    (tmp_path / "seedling" / "server.log").symlink_to("/dev/full")
    code = "import logging; from lsp_server.log import log_to_file; log_to_file()\n"
    code += "for _ in range(9): logging.getLogger('seedling.x').info('lost')\nprint('went on')"
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("went on\n", "")
