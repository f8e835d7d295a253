"""From nothing to ghost text by following, letter by letter, what the README of the plug-in says under "First run"."""

import re
import subprocess

import pytest

pytestmark = [pytest.mark.editors, pytest.mark.timeout(420)]


def first_run_block(readme: str) -> str:
    """The commands of the section."""
    section = readme.split("## First run", 1)[1].split("\n## ", 1)[0]
    match = re.search(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert match, "the README has no commands under First run"
    return match[1]


def test_the_printed_steps_reach_ghost_text(sandbox, real, terminal, any_nvim, wait_for, artifacts):
    # An empty home, and nothing of ours in the environment but where the programs are. How fast the model is and how
    # sure, is not what is tested here.
    user_settings = sandbox.folder / "home" / ".config" / "seedling" / "settings.toml"
    user_settings.parent.mkdir(parents=True)
    user_settings.write_text("automatic_deadline_ms = 5000\nconfidence = 0\n")
    kept = {name: value for name, value in sandbox.env.items() if not name.startswith("XDG_")}
    kept["PATH"] = f"{any_nvim.parent}:{kept['PATH']}"
    commands = first_run_block((real.plugin / "README.md").read_text())
    done = subprocess.run(
        ["bash", "-euc", commands], env=kept, cwd=sandbox.workspace, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "vim.lsp.enable('seedling')" in done.stdout

    socket = sandbox.folder / "nvim.sock"
    neovim = terminal(["nvim", "--listen", str(socket), "shapes.py"], real.neovim, env=kept)
    real.wait_until_ready()
    typed, ghost = real.type_until_ghost(terminal.type, 150)
    shown = (typed + ghost).split("\n")
    terminal.keep("ghost", artifacts)
    terminal.press("C-l")
    wait_for("the accepted lines in the buffer", lambda: neovim.lines()[-len(shown) :] == shown)

    undone = subprocess.run(
        ["seedling", "editor", "neovim", "--uninstall"], env=kept, capture_output=True, text=True, check=False
    )
    assert undone.returncode == 0
    assert list((sandbox.folder / "home" / ".local/share/nvim/site/pack/seedling/start").iterdir()) == []
