"""`seedling editor neovim`: where the Neovim plugin lies; links it into Neovim's own plugin folder, or unlinks it.

Source: Neovim's `stdpath('data')/site/pack/*/start` (:help packages). The plugin is a part of this installation (data
files of the wheel, or editors/neovim of a checkout), so it is linked and not copied: an upgrade upgrades it too.
Left out: the user's init.lua, which is printed and never written; VS Code, whose extension is a file of its own.
"""

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from lsp_server.printable import printable

MARK = Path("plugin") / "seedling.lua"
IN_WHEEL = "share/seedling/neovim/plugin/seedling.lua"

INIT_LUA = """\
vim.lsp.enable('seedling')
vim.keymap.set('i', '<C-l>', '<Plug>(seedling-accept)')"""


class EditorError(Exception):
    """The plugin cannot be found or linked: one sentence, exit code 1."""

    @property
    def sentence(self) -> str:
        return str(self)


def plugin_folder() -> Path:
    """The folder of the Neovim plugin in this installation."""
    checkout = Path(__file__).parents[1] / "editors" / "neovim"
    if (checkout / MARK).is_file():
        return checkout
    try:
        files = distribution("seedling-lsp").files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix().endswith(IN_WHEEL):
            mark = Path(os.path.normpath(file.locate()))  # type: ignore[arg-type]
            if mark.is_file():
                return mark.parents[1]
    raise EditorError("This installation does not hold the Neovim plugin: install Seedling anew.")


def link_path() -> Path:
    """Where Neovim looks for plugins that are loaded at its start."""
    name = os.environ.get("NVIM_APPNAME") or "nvim"
    if sys.platform == "win32":
        base = Path(os.environ.get("XDG_DATA_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
        name = f"{name}-data"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    return base / name / "site" / "pack" / "seedling" / "start" / "seedling"


def run(install: bool, uninstall: bool) -> int:
    """Prints the folder, links it, or removes the link."""
    if install:
        return link(plugin_folder(), link_path())
    if uninstall:
        return unlink(link_path())
    folder = plugin_folder()
    print(printable(str(folder)))
    print(
        "\nThis folder is a Neovim plugin. seedling editor neovim --install puts it where Neovim finds it;\n"
        f"a plugin manager can take it from here. Then, in init.lua:\n\n{INIT_LUA}",
        file=sys.stderr,
    )
    return 0


def link(folder: Path, path: Path) -> int:
    """Makes `path` a link to `folder`. What is there already and is no link of ours stays as it is."""
    if path.is_symlink() and path.resolve() == folder.resolve():
        print(printable(f"It is there already: {path}"))
    else:
        if path.is_symlink() and not path.exists():
            path.unlink()  # the installation that it led to is gone
        if path.is_symlink() or path.exists():
            raise EditorError(f"{path} exists already and was left alone: remove it and run this again.")
        _make_link(folder, path)
    print(f"\nNow add to Neovim's init.lua, if it is not there yet:\n\n{INIT_LUA}")
    print("\nThen open a Python file, press i and type; Ctrl-L accepts. :checkhealth seedling finds what is missing,")
    print(":helptags ALL makes :help seedling.")
    return 0


def _make_link(folder: Path, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.symlink_to(folder, target_is_directory=True)
            print(printable(f"Linked {path} to {folder}"))
        except OSError:
            if sys.platform != "win32":
                raise
            # Windows lets only administrators and developers make links.
            shutil.copytree(folder, path)
            print(printable(f"Copied {folder} to {path}: run this again after an upgrade, uninstalling first."))
    except OSError as error:
        raise EditorError(f"{path} cannot be made: {error.strerror or error}.") from None


def unlink(path: Path) -> int:
    """Removes what `link` made; anything else stays."""
    if path.is_symlink() and (not path.exists() or (path / MARK).is_file()):
        path.unlink()
    elif not path.is_symlink() and (path / MARK).is_file() and sys.platform == "win32":
        shutil.rmtree(path)
    elif path.is_symlink() or path.exists():
        raise EditorError(f"{path} is not what --install made and was left alone: remove it yourself.")
    else:
        print(printable(f"Nothing is installed at {path}"))
        return 0
    print(printable(f"Removed {path}"))
    print("Remove the lines with seedling from init.lua too.")
    return 0
