"""lsp/seedling.lua alone, without any of our Lua code: Neovim 0.12's own ghost text, 0.11's plain completion."""

import shutil
from pathlib import Path

import pytest

pytestmark = [pytest.mark.editors, pytest.mark.timeout(120)]

PLUGIN = Path(__file__).parents[3] / "editors" / "neovim"

INIT = """
vim.o.swapfile = false
vim.lsp.config('seedling', {{ cmd = {server} }})
vim.lsp.enable('seedling')
if vim.lsp.inline_completion then
  vim.lsp.inline_completion.enable()
end
vim.keymap.set('i', '<Tab>', function()
  if not vim.lsp.inline_completion.get() then
    return '<Tab>'
  end
end, {{ expr = true }})
"""

CORES_GHOST = """(function()
  local namespace = vim.api.nvim_create_namespace('nvim.lsp.inline_completion')
  local mark = vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })[1]
  return mark and mark[4].virt_text[1][1] or ''
end)()"""


@pytest.fixture
def bare(sandbox, any_nvim, start, make_init, make_editor):
    """A Neovim whose configuration is a copied lsp/seedling.lua and an init.lua."""
    init, script, told = make_init(INIT)
    copied = sandbox.folder / "home" / ".config" / "nvim" / "lsp"
    copied.mkdir(parents=True)
    shutil.copy(PLUGIN / "lsp" / "seedling.lua", copied)
    socket = sandbox.folder / "nvim.sock"
    start(any_nvim, "--headless", "-n", "-u", init, "--listen", socket, "shapes.py")
    return make_editor(socket, script, told)


def test_neovims_own_ghost_text(bare, wait_for):
    capabilities = wait_for("the server", lambda: bare.messages("initialize"))[0]["capabilities"]["textDocument"]
    if bare.lua("vim.lsp.inline_completion == nil"):
        assert "inlineCompletion" not in capabilities, "the server has to offer plain completions instead"
        assert "completion" in capabilities
        return
    wait_for("the server", bare.attached)
    bare.suggest("range(10):")
    bare.keys("ifor i in ")
    wait_for("core's ghost text", lambda: bare.lua(CORES_GHOST) == "range(10):")
    bare.suggest()
    bare.keys("<Tab>")
    bare.see_lines("for i in range(10):")
    wait_for("the command of the item", lambda: bare.messages("workspace/executeCommand"))
    assert bare.lua("package.loaded['seedling']") is None
