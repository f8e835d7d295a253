"""Neovim with the real plug-in, server and engine: ghost text appears, is accepted, is saved; commands and health work.

One Neovim runs in a real terminal (tmux), one without any screen; both are driven by keys and asked over their own
socket. What the model suggests is its affair: the tests hold that what was shown is what the file then holds.
"""

import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.editors, pytest.mark.timeout(420)]

PLUGIN = Path(__file__).parents[2] / "editors" / "neovim"

# What a person's init.lua holds: the plug-in's folder, a setting, one line to start it, mappings. The setting lets
# every answer through: how sure the model has to be is not what is tested here.
INIT = f"""
vim.o.termguicolors = true
vim.opt.rtp:prepend('{PLUGIN}')
vim.lsp.config('seedling', {{ settings = {{ seedling = {{ confidence = 0 }} }} }})
vim.lsp.enable('seedling')
vim.keymap.set('i', '<Tab>', function()
  if not vim.lsp.inline_completion.get() then
    return '<Tab>'
  end
end, {{ expr = true }})
vim.keymap.set('i', '<C-l>', '<Plug>(seedling-accept)')
vim.api.nvim_create_autocmd('User', {{
  pattern = 'SeedlingStatus',
  callback = function(event)
    vim.g.seedling_status = event.data
  end,
}})
"""

# The engine starts and loads its model, on a machine that may be busy with other things.
READY_S = 180.0
FIRST_GHOST_TEXT_S = 90.0

STATUS = "require('seedling').status()"

# The ghost text on the screen of the current buffer, as Neovim's own client drew it.
GHOST = """
(function()
  local namespace = vim.api.nvim_create_namespace('nvim.lsp.inline_completion')
  local mark = vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })[1]
  if not mark then
    return ''
  end
  local lines = { mark[4].virt_text[1][1] }
  for _, line in ipairs(mark[4].virt_lines or {}) do
    table.insert(lines, line[1][1])
  end
  return table.concat(lines, '\\n')
end)()
"""


@dataclass(frozen=True)
class Neovim:
    """A running Neovim: keys in, Lua values out."""

    program: Path
    socket: Path
    env: dict[str, str]

    def remote(self, *arguments: str) -> str | None:
        """Standard output of `nvim --server … arguments`; None while nobody listens (yet)."""
        command = [str(self.program), "--clean", "--headless", "--server", str(self.socket), *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout if done.returncode == 0 else None

    def keys(self, keys: str) -> None:
        assert self.remote("--remote-send", keys) is not None, "Neovim is gone"

    def lua(self, expression: str):
        """The value of a Lua expression, through JSON; None while Neovim cannot answer."""
        quoted = f"vim.json.encode({expression})".replace("'", "''")
        answer = self.remote("--remote-expr", f"luaeval('{quoted}')")
        return None if answer is None else json.loads(answer)

    def ghost(self) -> str:
        return self.lua(GHOST) or ""

    def lines(self) -> list[str]:
        return self.lua("vim.api.nvim_buf_get_lines(0, 0, -1, false)") or []


@pytest.fixture
def start(sandbox, nvim_program, seedling_program) -> Callable[..., tuple[list[str], Neovim]]:
    """Makes the command line of a Neovim on a new Python file, and its remote control."""

    def start(*options: str) -> tuple[list[str], Neovim]:
        init = sandbox.folder / "init.lua"
        init.write_text(INIT)
        (sandbox.workspace / ".git").mkdir()
        (sandbox.workspace / "shapes.py").write_text('"""Shapes."""\n\nimport math\n\n\n')
        socket = sandbox.folder / "nvim.sock"
        command = [str(nvim_program), *options, "-n", "-u", str(init), "--listen", str(socket), "shapes.py"]
        return command, Neovim(nvim_program, socket, sandbox.env)

    return start


@pytest.fixture
def headless(sandbox, start, wait_for) -> Iterator[Neovim]:
    command, neovim = start("--headless")
    process = subprocess.Popen(
        command, cwd=sandbox.workspace, env=sandbox.env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_ready(neovim, wait_for)
        yield neovim
    finally:
        process.terminate()
        process.wait(20)


def attached(neovim: Neovim) -> bool:
    asked = "vim.lsp.get_clients({ name = 'seedling', bufnr = 0, method = 'textDocument/inlineCompletion' })"
    return neovim.lua(f"#{asked}") == 1


def wait_until_ready(neovim: Neovim, wait_for) -> None:
    wait_for("Neovim and the language server", lambda: attached(neovim), 60)

    def ready() -> bool:
        status = neovim.lua("vim.g.seedling_status or vim.empty_dict()") or {}
        assert status.get("kind") != "Error", status["message"]
        return status.get("kind") == "Normal" and not status["busy"]

    wait_for("the engine", ready, READY_S)


def type_until_ghost(neovim: Neovim, type_line: Callable[[str], None], openings, wait_for) -> tuple[str, str]:
    """Types one opening after another as the last line until ghost text stands: the line as typed, and the ghost text.

    A line is typed faster than Neovim's delay of 200 ms, so that it is asked about once, and the ghost text that comes
    belongs to all of it. The model may have nothing to say about a line, or be too slow at first: then comes the next.
    """
    end = time.monotonic() + FIRST_GHOST_TEXT_S
    for opening in itertools.cycle(openings):
        neovim.keys("<Esc>G0D")
        wait_for("an empty last line", lambda: neovim.lines()[-1] == "")
        type_line(opening)
        try_until = time.monotonic() + 4
        while time.monotonic() < try_until:
            if ghost := neovim.ghost():
                return opening, ghost
        if time.monotonic() > end:
            pytest.fail(f"no ghost text in {FIRST_GHOST_TEXT_S:.0f} s; {neovim.lua(STATUS)}")


def test_neovim_headless(headless, openings, wait_for, sandbox, artifacts):
    typed, ghost = type_until_ghost(headless, lambda line: headless.keys(f"A{line}"), openings, wait_for)

    headless.keys("<C-l>")
    accepted = (typed + ghost).split("\n")
    wait_for("the accepted lines in the buffer", lambda: headless.lines()[-len(accepted) :] == accepted)

    headless.keys("<Esc>:w<CR>")
    file = sandbox.workspace / "shapes.py"
    wait_for("the file on disk", lambda: file.read_text().endswith("\n".join(accepted) + "\n"))

    headless.keys(":Seedling toggle<CR>")
    wait_for("ghost text off", lambda: "ghost text off" in headless.lua(STATUS))
    headless.keys(f"o{typed}")
    assert not headless.lua("vim.lsp.inline_completion.is_enabled({ client_id = vim.lsp.get_clients()[1].id })")
    headless.keys("<Esc>u:Seedling toggle<CR>")
    wait_for("ghost text on", lambda: "ghost text off" not in headless.lua(STATUS))

    first = server_id(headless)
    headless.keys(":Seedling restart<CR>")
    wait_for(
        "another server after :Seedling restart",
        lambda: attached(headless) and server_id(headless) not in (None, first),
    )

    headless.keys(":checkhealth seedling<CR>")

    def report() -> str:
        return "\n".join(headless.lines())

    wait_for("the health report", lambda: "log of the LSP client" in report(), 60)
    (artifacts / "checkhealth.txt").write_text(report())
    assert "ERROR" not in report()
    assert f"root {sandbox.workspace}" in report()

    # The help file makes tags without complaint: malformed and duplicate ones are errors.
    doc = sandbox.folder / "doc"
    doc.mkdir()
    shutil.copy(PLUGIN / "doc" / "seedling.txt", doc)
    headless.keys(f":helptags {doc}<CR>")
    tags = wait_for("help tags", lambda: (doc / "tags").exists() and (doc / "tags").read_text())
    assert {"seedling", "seedling-keys", ":Seedling"} <= {line.split("\t")[0] for line in tags.splitlines()}


def server_id(neovim: Neovim) -> int | None:
    return neovim.lua("vim.lsp.get_clients({ name = 'seedling' })[1].id")


def hint_colour(neovim: Neovim) -> str:
    """The escape sequence parameters of the colour in which Neovim draws ghost text."""
    rgb = neovim.lua("vim.api.nvim_get_hl(0, { name = 'ComplHint', link = false }).fg")
    return f"38;2;{rgb >> 16};{rgb >> 8 & 255};{rgb & 255}"


def test_neovim_terminal(sandbox, start, tmux_program, openings, wait_for, artifacts):
    command, neovim = start()
    tmux = [tmux_program, "-S", str(sandbox.folder / "tmux.sock"), "-f", "/dev/null"]

    def in_tmux(*arguments: str) -> str:
        done = subprocess.run(
            [*tmux, *arguments], env=sandbox.env, cwd=sandbox.workspace, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def screen() -> list[str]:
        return [line.rstrip() for line in in_tmux("capture-pane", "-p").splitlines()]

    in_tmux("new-session", "-d", "-x", "100", "-y", "24", *command)
    try:
        wait_until_ready(neovim, wait_for)
        typed, ghost = type_until_ghost(neovim, lambda line: in_tmux("send-keys", "-l", f"A{line}"), openings, wait_for)

        shown = (typed + ghost).split("\n")
        wait_for("the ghost text on the screen", lambda: shown[0].rstrip() in screen())
        (artifacts / "ghost.txt").write_text("\n".join(screen()))
        coloured = in_tmux("capture-pane", "-p", "-e")
        (artifacts / "ghost.ansi").write_text(coloured)
        assert hint_colour(neovim) in coloured.splitlines()[screen().index(shown[0].rstrip())], "not drawn as a hint"
        assert neovim.lines()[-1] == typed, "ghost text must not be in the buffer"

        in_tmux("send-keys", "Tab")
        wait_for("the accepted lines in the buffer", lambda: neovim.lines()[-len(shown) :] == shown)
        in_tmux("send-keys", "Escape", ":w", "Enter")
        file = sandbox.workspace / "shapes.py"
        wait_for("the file on disk", lambda: file.read_text().endswith("\n".join(shown) + "\n"))
        wait_for("the accepted line on the screen", lambda: shown[0].rstrip() in screen())
        (artifacts / "accepted.txt").write_text("\n".join(screen()))
        (artifacts / "accepted.ansi").write_text(in_tmux("capture-pane", "-p", "-e"))
    finally:
        in_tmux("kill-server")
