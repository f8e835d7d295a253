"""`seedling editor neovim`: prints the folder, links it, never touches what it did not make."""

import pytest

from lsp_server import cli
from lsp_server.editor_command import link_path, plugin_folder


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("NVIM_APPNAME", raising=False)
    return tmp_path


def test_the_folder_alone_is_on_standard_output(capsys):
    assert cli.main(["editor", "neovim"]) == 0
    told = capsys.readouterr()
    assert told.out == f"{plugin_folder()}\n"
    assert "vim.lsp.enable('seedling')" in told.err
    for part in ("plugin/seedling.lua", "lsp/seedling.lua", "lua/seedling/init.lua", "doc/seedling.txt"):
        assert (plugin_folder() / part).is_file()


def test_install_twice_and_uninstall(capsys, home):
    path = home / "data" / "nvim" / "site" / "pack" / "seedling" / "start" / "seedling"
    assert cli.main(["editor", "neovim", "--install"]) == 0
    assert path.resolve() == plugin_folder().resolve()
    assert str(path) in capsys.readouterr().out
    assert cli.main(["editor", "neovim", "--install"]) == 0
    assert "already" in capsys.readouterr().out
    assert cli.main(["editor", "neovim", "--uninstall"]) == 0
    assert not path.is_symlink()
    assert plugin_folder().is_dir()
    assert cli.main(["editor", "neovim", "--uninstall"]) == 0
    assert "Nothing is installed" in capsys.readouterr().out


def test_what_somebody_else_put_there_stays(capsys):
    link_path().mkdir(parents=True)
    (link_path() / "mine.lua").write_text("-- mine")
    for action in ("--install", "--uninstall"):
        assert cli.main(["editor", "neovim", action]) == 1
        told = capsys.readouterr().err
        assert "left alone" in told
        assert told.count("\n") == 1
    assert (link_path() / "mine.lua").read_text() == "-- mine"


def test_a_link_elsewhere_stays_and_a_dead_one_is_renewed(capsys, home):
    link_path().parent.mkdir(parents=True)
    link_path().symlink_to(home)
    for action in ("--install", "--uninstall"):
        assert cli.main(["editor", "neovim", action]) == 1
        assert link_path().resolve() == home
    link_path().unlink()
    link_path().symlink_to(home / "gone")
    assert cli.main(["editor", "neovim", "--install"]) == 0
    assert link_path().resolve() == plugin_folder().resolve()


def test_neovims_own_name_for_its_folder_is_heeded(monkeypatch):
    monkeypatch.setenv("NVIM_APPNAME", "other")
    assert link_path().parts[-6] == "other"


@pytest.mark.parametrize("words", [["editor"], ["editor", "emacs"], ["editor", "neovim", "--install", "--uninstall"]])
def test_wrong_use_gets_one_sentence(capsys, words):
    assert cli.main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1
