"""Fixes, mends, rewrites, next edits and watching with the real server: Neovim's own menus, hints and keys.

What is rewritten and mended is scripted (an engine without a model), what is fixed is the embedded model's affair: the
test holds that what was broken parses afterwards, and that one undo takes it back.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

import vscode_engine
from fake_engine import FakeEngine

pytestmark = [pytest.mark.editors, pytest.mark.timeout(420)]

PLUGIN = Path(__file__).parents[3] / "editors" / "neovim"
READY_S = 180.0

INIT = """
vim.o.swapfile = false
vim.opt.rtp:prepend('{plugin}')
vim.lsp.config('seedling', {{
  cmd_env = {{ {environment} }},
  settings = {{ seedling = {{ mend = {{ enable = true }}, nextEdit = {{ enable = true }} }} }},
}})
vim.lsp.enable('seedling')
vim.keymap.set('n', '<M-y>', '<Plug>(seedling-accept-edit)')
vim.g.notes = {{}}
vim.notify = function(note)
  vim.g.notes = vim.list_extend(vim.g.notes, {{ note }})
end
vim.g.offered, vim.g.wanted = {{}}, ''
vim.ui.select = function(choices, options, done)
  vim.g.offered = vim.tbl_map(options.format_item or tostring, choices)
  for index, title in ipairs(vim.g.offered) do
    if vim.g.wanted ~= '' and title:find(vim.g.wanted, 1, true) then
      return done(choices[index], index)
    end
  end
  done(nil)
end
"""


@pytest.fixture
def open_file(sandbox, start, attach, wait_for) -> Callable[..., object]:
    """Starts a Neovim with the real server on a file, and waits for the engine."""

    def open_file(program: Path, text: str, environment: str = ""):
        init, path = sandbox.folder / "init.lua", sandbox.folder / "nvim.sock"
        init.write_text(INIT.format(plugin=PLUGIN, environment=environment))
        (sandbox.workspace / ".git").mkdir()
        (sandbox.workspace / "shapes.py").write_text(text)
        start(program, "--headless", "-n", "-u", init, "--listen", path, "shapes.py")
        neovim = attach(path)
        wait_for("Neovim and the language server", neovim.attached, 60)
        wait_for("the engine", neovim.ready, READY_S)
        return neovim

    return open_file


@pytest.fixture
def engine(sandbox) -> Iterator[FakeEngine]:
    started = vscode_engine.start(sandbox.folder / "engine.sock")
    yield started
    started.stop()


def offer(neovim, wait_for, wanted: str, timeout_s: float = 30.0) -> list[str]:
    """Opens the menu at the cursor, takes the entry that holds `wanted`, and returns all of them."""
    neovim.run(f"vim.g.offered, vim.g.wanted = {{}}, [[{wanted}]] vim.lsp.buf.code_action()")
    return wait_for("the menu", lambda: neovim.lua("vim.g.offered"), timeout_s)


def hints(neovim) -> list[str]:
    return neovim.lua("vim.tbl_map(function(one) return one.message end, vim.diagnostic.get(0))") or []


BROKEN = (
    "def area(width, height:\n    return width * height\n",
    "def area(width, height)\n    return width * height\n",
    "values = [1, 2, 3\n",
    "print('a'))\n",
)


def test_a_syntax_errors_fix_repairs_its_line_and_is_undone_in_one_step(open_file, any_nvim, wait_for):
    neovim = open_file(any_nvim, BROKEN[0])
    for text in BROKEN:
        lines = text.splitlines()
        neovim.run(f"vim.api.nvim_buf_set_lines(0, 0, -1, false, vim.split([==[{text.rstrip()}]==], '\\n'))")
        neovim.run("vim.api.nvim_win_set_cursor(0, { 1, 0 }) vim.bo.undolevels = vim.bo.undolevels")
        neovim.run("vim.g.offered, vim.g.wanted = {}, 'Seedling' vim.lsp.buf.code_action()")
        wait_for("a menu, or that there is none", lambda: neovim.lua("#vim.g.offered + #vim.g.notes > 0"))
        neovim.run("vim.g.notes = {}")
        if not neovim.lua("#vim.g.offered > 0"):
            continue
        fixed = wait_for("the fix", lambda lines=lines: neovim.lines() != lines and neovim.lines())
        assert fixed[1:] == lines[1:], "one line only"
        neovim.keys("u")
        wait_for("the undo", lambda lines=lines: neovim.lines() == lines)
        if parses(fixed):
            return
    pytest.fail("no fix was offered that parses")


def parses(lines: list[str]) -> bool:
    try:
        ast.parse("\n".join(lines))
    except SyntaxError:
        return False
    return True


MISSPELT = "width = 1\nprint(widht)\n"


def test_hints_fixes_rewrites_and_next_edits(open_file, any_nvim, engine, sandbox, wait_for):
    neovim = open_file(any_nvim, MISSPELT, f"SEEDLING_ENGINE = '{engine.address}'")

    # A hint comes in the pause behind the opening, with nothing typed; its fix stands in the menu.
    (hint,) = wait_for("the hint", lambda: hints(neovim))
    assert "width" in hint
    neovim.run("vim.api.nvim_win_set_cursor(0, { 2, 7 })")
    assert any("Ignore here" in title for title in offer(neovim, wait_for, "width"))
    wait_for("the fix", lambda: neovim.lines() == ["width = 1", "print(width)"])
    wait_for("no hint", lambda: hints(neovim) == [])
    neovim.keys("u")
    wait_for("the undo", lambda: neovim.lines() == MISSPELT.splitlines())

    # Ignored it goes for good.
    wait_for("the hint again", lambda: hints(neovim))
    neovim.run("vim.api.nvim_win_set_cursor(0, { 2, 7 })")
    offer(neovim, wait_for, "Ignore here")
    wait_for("no hint", lambda: hints(neovim) == [])
    assert neovim.lines() == MISSPELT.splitlines()

    # The next edit: the name is changed where it is bound, its use follows.
    (sandbox.workspace / "renamed.py").write_text("count = 1\nprint(count)\n")
    neovim.keys(":edit! renamed.py<CR>")
    wait_for("the other file", lambda: neovim.lines() == ["count = 1", "print(count)"] and neovim.attached())
    neovim.keys("ggcwtotal<Esc>")
    wait_for("the next edit", lambda: neovim.lua("require('seedling').edit_visible()"))
    before = neovim.lines()
    neovim.keys("<M-y>")
    wait_for("the use", lambda: neovim.lines() != before and neovim.lines() == ["total = 1", "print(total)"])

    # A rewrite, seen first; and another try of it.
    code = ["def area(w, h):", "    return w * h"]
    neovim.run(f"vim.api.nvim_buf_set_lines(0, 0, -1, false, {{ '{code[0]}', '{code[1]}' }})")
    neovim.keys("2G:Seedling rewrite name the result<CR>")
    wait_for("the preview", lambda: "+    result = w * h" in neovim.lines())
    neovim.keys("r")
    wait_for("another", lambda: "+    product = w * h" in neovim.lines())
    neovim.keys("<CR>")
    wait_for("the rewrite", lambda: neovim.lines() == [code[0], "    product = w * h", "    return product"])
    neovim.keys("u")
    wait_for("the undo", lambda: neovim.lines() == code)

    # Watching: every step with its corrections, and nothing inserted.
    neovim.keys("Go    <Esc>:Seedling watch plain<CR>")
    seen = wait_for("the end", lambda: neovim.lines()[-1].endswith("tokens/s") and neovim.lines())
    assert [line.partition(" ms: ")[2] for line in seen[1:-1]] == [
        "1 of 4 tokens written, 0 corrected: retrun …",
        "2 of 4 tokens written, 0 corrected: retrun tot …",
        "3 of 3 tokens written, 1 corrected: return total",
        "3 of 3 tokens written, 0 corrected: return total",
    ]
    assert "1 correction" in seen[-1]
    neovim.keys("q")
    wait_for("the file", lambda: neovim.lines() == [*code, "    "])
