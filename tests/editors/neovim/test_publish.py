"""The plug-in as a repository of its own: published to a bare repository, installed from there by a plug-in manager."""

import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.editors, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[3]


@pytest.fixture
def published(sandbox) -> Path:
    bare = sandbox.folder / "plugin.git"
    if subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip("this is not a git checkout")
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
    script = ROOT / "editors" / "tools" / "publish-neovim.sh"
    done = subprocess.run(["bash", str(script), str(bare)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "as main of" in done.stdout
    return bare


def test_the_plugin_is_at_the_root_with_its_history(published):
    git = ["git", "-C", str(published)]
    names = subprocess.run([*git, "ls-tree", "--name-only", "main"], capture_output=True, text=True, check=True).stdout
    assert {"README.md", "doc", "lsp", "lua", "plugin"} <= set(names.split())
    history = subprocess.run([*git, "rev-list", "--count", "main"], capture_output=True, text=True, check=True).stdout
    assert int(history) > 1


def test_neovims_own_manager_installs_it(published, sandbox, nvim_program):
    init = sandbox.folder / "init.lua"
    init.write_text(f"vim.pack.add({{ {{ src = 'file://{published}', name = 'seedling' }} }}, {{ confirm = false }})\n")
    done = subprocess.run(
        [str(nvim_program), "--headless", "-u", str(init), "+lua print(vim.fn.exists(':Seedling'))", "+helptags ALL",
         "+help seedling-keys", "+lua print(vim.fn.expand('%:t'))", "+qa"],
        env=sandbox.env, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "\n2\nseedling.txt\n" in done.stderr.replace("\r", "")
