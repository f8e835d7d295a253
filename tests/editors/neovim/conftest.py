"""A real Neovim to drive: keys in, Lua values out, over its own socket. Both versions that Seedling supports.

`editor` has the plug-in and a scripted server (scripted_server.py), so that a test knows what is suggested. The real
server and engine are in test_first_run.py and test_real_server.py.
"""

import io
import itertools
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[3]
PLUGIN = ROOT / "editors" / "neovim"
SERVER = Path(__file__).with_name("scripted_server.py")

INIT = """
vim.o.termguicolors = true
vim.o.swapfile = false
vim.opt.rtp:prepend({plugin})
vim.lsp.config('seedling', {{ cmd = {server}, settings = {{ seedling = {{ confidence = 0 }} }} }})
vim.lsp.enable('seedling')
for key, name in pairs({{ l = 'accept', o = 'accept-word', b = 'accept-line', n = 'next', p = 'previous',
  e = 'dismiss', x = 'trigger' }}) do
  vim.keymap.set('i', '<M-' .. key .. '>', '<Plug>(seedling-' .. name .. ')')
end
vim.g.events = {{}}
vim.api.nvim_create_autocmd('User', {{
  pattern = 'Seedling*',
  callback = function(event)
    vim.g.events = vim.list_extend(vim.g.events, {{ {{ event.match, event.data }} }})
  end,
}})
vim.g.notes = {{}}
vim.notify = function(note)
  vim.g.notes = vim.list_extend(vim.g.notes, {{ note }})
end
"""


@dataclass(frozen=True)
class Neovim:
    """A running Neovim."""

    socket: Path

    def _call(self, method: str, *arguments: Any) -> Any:
        """The result of a function of Neovim's API (msgpack-RPC, `:help rpc`); None while nobody listens (yet)."""
        answer = b""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            try:
                connection.connect(str(self.socket))
            except OSError:
                return None
            connection.sendall(msgspec.msgpack.encode([0, 1, method, arguments]))
            while part := connection.recv(65536):
                answer += part
                try:
                    _, _, error, result = msgspec.msgpack.decode(answer)
                except msgspec.DecodeError:
                    continue  # the rest is still to come
                assert error is None, error
                return result
        return None

    def keys(self, keys: str) -> None:
        assert self._call("nvim_input", keys) is not None, "Neovim is gone"

    def run(self, statements: str) -> Any:
        """What Lua statements return, through JSON; None while Neovim cannot answer."""
        code = f"return vim.json.encode(((function() {statements} end)()))"  # the outer ones: nil for nothing
        answer = self._call("nvim_exec_lua", code, [])
        return None if answer is None else json.loads(answer)

    def lua(self, expression: str) -> Any:
        """The value of a Lua expression."""
        return self.run(f"return {expression}")

    def ghost(self) -> str:
        """The ghost text on the screen of the current buffer."""
        return self.lua("require('seedling.draw').shown()") or ""

    def lines(self) -> list[str]:
        return self.lua("vim.api.nvim_buf_get_lines(0, 0, -1, false)") or []

    def ready(self) -> bool:
        """Whether the real server has said that its engine is ready; before it says anything, nothing is known."""
        line = self.lua("require('seedling').statusline()") or ""
        status = self.lua("require('seedling').status()") or ""
        assert "error" not in line, status
        return line == "Seedling" and status != "Seedling: running"

    def attached(self) -> bool:
        mode = self._call("nvim_get_mode")
        if mode is not None and mode["blocking"]:
            # A message waits for a key, and Lua with it. On a busy machine there is one at the start: tmux has not told
            # Neovim 0.12 the colour of its background in time (E1568).
            self.keys("<CR>")
            return False
        asked = "vim.lsp.get_clients({ name = 'seedling', bufnr = 0, method = 'textDocument/inlineCompletion' })"
        return self.lua(f"#{asked}") == 1


@dataclass(frozen=True)
class Editor(Neovim):
    """A Neovim with the plug-in and a scripted server, on an empty Python file."""

    script: Path = field(kw_only=True)
    told: Path = field(kw_only=True)
    wait_for: Callable[..., Any] = field(kw_only=True)

    def suggest(self, *texts: str, **more: Any) -> None:
        """What the server answers from now on; a question that it has already got, as before."""
        items = [{"insertText": text} for text in texts]
        written = self.script.with_suffix(".new")
        written.write_text(json.dumps({"items": items} | more))
        written.replace(self.script)  # the server may be reading it

    def _told(self) -> list[Any]:
        """Everything that the server has written down: whole lines only, it may be writing another."""
        lines = self.told.read_text().rpartition("\n")[0].splitlines() if self.told.exists() else []
        return [json.loads(line) for line in lines]

    def messages(self, method: str) -> list[Any]:
        """The parameters of the messages of a method that the server got."""
        return [message["params"] for message in self._told() if message.get("method") == method]

    def num_asked(self) -> int:
        """How many questions for ghost text the server got."""
        return len(self.messages("textDocument/inlineCompletion"))

    def num_answered(self) -> int:
        """How many of them it has answered. What it has sent may still be on its way: `hear` waits for that."""
        return sum("answered" in message for message in self._told())

    def hear(self) -> None:
        """Returns when Neovim has taken in everything that the server has sent so far."""
        mark = f"message {len(self._told())}"
        status = f"{{ kind = 'Normal', busy = false, message = '{mark}' }}"
        notification = f"{{ method = 'didChangeStatus', params = {status} }}"
        self.run(f"vim.lsp.get_clients({{ name = 'seedling' }})[1]:notify('test/notify', {notification})")
        self.wait_for("the server's last message", lambda: mark in (self.lua("require('seedling').status()") or ""))

    def see(self, ghost: str) -> None:
        self.wait_for(f"the ghost text {ghost!r}", lambda: self.ghost() == ghost)

    def see_nothing(self) -> None:
        self.wait_for("no ghost text", lambda: self.ghost() == "")

    def see_lines(self, *lines: str) -> None:
        self.wait_for(f"the lines {lines}", lambda: self.lines() == list(lines))

    def note(self) -> str:
        """The last notification."""
        return self.lua("vim.g.notes[#vim.g.notes] or ''") or ""


@pytest.fixture
def start(sandbox) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts Neovims without a screen and ends them."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str | Path) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=sandbox.workspace, env=sandbox.env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def attach(wait_for) -> Callable[[Path], Neovim]:
    """The remote control of a Neovim that has just been started, when it answers."""

    def attach(path: Path) -> Neovim:
        neovim = Neovim(path)
        wait_for("Neovim", lambda: neovim.lua("true"))
        return neovim

    return attach


@pytest.fixture(params=["0.12", "0.11"])
def any_nvim(request: pytest.FixtureRequest) -> Path:
    """Each Neovim version that Seedling supports in turn."""
    return request.getfixturevalue("nvim_program" if request.param == "0.12" else "nvim_011_program")


@pytest.fixture
def make_editor(wait_for) -> Callable[..., Editor]:
    """The remote control of a Neovim with a scripted server."""

    def make(path: Path, script: Path, told: Path) -> Editor:
        return Editor(path, script=script, told=told, wait_for=wait_for)

    return make


@pytest.fixture
def make_init(sandbox) -> Callable[..., tuple[Path, Path, Path]]:
    """Fills the workspace and an init.lua for a scripted server: init, script, what it was told."""

    def make(init_lua: str) -> tuple[Path, Path, Path]:
        script, told, init = (sandbox.folder / name for name in ("script.json", "told.jsonl", "init.lua"))
        script.write_text("{}")
        server = "{ " + ", ".join(f"'{word}'" for word in (sys.executable, "-IS", SERVER, script, told)) + " }"
        init.write_text(init_lua.format(plugin=f"'{PLUGIN}'", server=server))
        (sandbox.workspace / ".git").mkdir()
        (sandbox.workspace / "shapes.py").write_text("")
        return init, script, told

    return make


@pytest.fixture
def start_editor(sandbox, start, make_init, make_editor, wait_for) -> Callable[[Path], Editor]:
    def start_editor(program: Path) -> Editor:
        init, script, told = make_init(INIT)
        path = sandbox.folder / "nvim.sock"
        start(program, "--headless", "-n", "-u", init, "--listen", path, "shapes.py")
        editor = make_editor(path, script, told)
        wait_for("Neovim and the scripted server", editor.attached, 60)
        return editor

    return start_editor


@pytest.fixture
def editor(any_nvim, start_editor) -> Editor:
    return start_editor(any_nvim)


@pytest.fixture
def nvim_012_editor(nvim_program, start_editor) -> Editor:
    """As `editor`, for what does not depend on Neovim's version."""
    return start_editor(nvim_program)


# Rich's own would load fonts from elsewhere, and draw the frame of a window.
SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{terminal_width}" height="{terminal_height}" \
viewBox="0 0 {terminal_width} {terminal_height}" role="img"><style>
text {{ font: {char_height}px ui-monospace, Menlo, Consolas, monospace; white-space: pre; }}
{styles}
</style><defs>{lines}</defs><rect width="{terminal_width}" height="{terminal_height}" fill="#14161b"/>\
{backgrounds}<g>{matrix}</g></svg>
"""


def picture(coloured: list[str]) -> str:
    """A screen as an SVG, without the command line and the rows below the text."""
    rows = [Text.from_ansi(row) for row in coloured[:-1]]
    while rows and rows[-1].plain.strip() in ("", "~"):
        rows.pop()
    width = max((len(row.plain.rstrip()) for row in rows), default=0) + 2
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for row in rows:
        console.print(row, no_wrap=True, crop=True, overflow="crop")
    console.print()
    return console.export_svg(title="", code_format=SVG, unique_id="s")


class Terminal:
    """A Neovim in tmux: keys as a keyboard sends them, and the screen."""

    def __init__(self, tmux_program: str, folder: Path, workspace: Path, env: dict[str, str]) -> None:
        self._tmux = [tmux_program, "-S", str(folder / "tmux.sock"), "-f", "/dev/null"]
        self._workspace = workspace
        self._env = env

    def __call__(self, command: list[str], neovim: Neovim, env: dict[str, str] | None = None) -> Neovim:
        """Starts it."""
        self._env = env or self._env
        self._do("new-session", "-d", "-x", "100", "-y", "24", *command)
        return neovim

    def _do(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._tmux, *arguments], env=self._env, cwd=self._workspace, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def type(self, line: str) -> None:
        self._do("send-keys", "-l", line)

    def press(self, *keys: str) -> None:
        self._do("send-keys", *keys)

    def screen(self, *, colours: bool = False) -> list[str]:
        shown = self._do("capture-pane", "-p", *(["-e"] if colours else []))
        return [line.rstrip() for line in shown.splitlines()]

    def keep(self, name: str, artifacts: Path) -> None:
        """Leaves the screen for people to look at: as text, and as a picture for the documents (docs/images)."""
        (artifacts / f"{name}.txt").write_text("\n".join(self.screen()))
        coloured = self.screen(colours=True)
        (artifacts / f"{name}.ansi").write_text("\n".join(coloured))
        (artifacts / f"{name}.svg").write_text(picture(coloured))

    def end(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], env=self._env, capture_output=True, check=False)


@pytest.fixture
def terminal(tmux_program, sandbox) -> Iterator[Terminal]:
    terminal = Terminal(tmux_program, sandbox.folder, sandbox.workspace, sandbox.env)
    yield terminal
    terminal.end()


@pytest.fixture
def seen(sandbox, any_nvim, terminal, make_init, make_editor, wait_for) -> Editor:
    """As `editor`, in `terminal`, with nothing on the screen but the text."""
    bare = "vim.o.laststatus, vim.o.showmode, vim.o.ruler, vim.o.tabstop = 0, false, false, 4"
    init, script, told = make_init(INIT + bare)
    path = sandbox.folder / "nvim.sock"
    editor = make_editor(path, script, told)
    terminal([str(any_nvim), "-n", "-u", str(init), "--listen", str(path), "shapes.py"], editor)
    wait_for("Neovim and the scripted server", editor.attached, 60)
    return editor


# Neither how sure nor how fast the model is, is tested here.
REAL_INIT = """
vim.o.termguicolors = true
vim.opt.rtp:prepend({plugin})
vim.lsp.config('seedling', {{ settings = {{ seedling = {{ confidence = 0, automaticDeadlineMs = 5000 }} }} }})
vim.lsp.enable('seedling')
vim.keymap.set('i', '<M-l>', '<Plug>(seedling-accept)')
vim.keymap.set('i', '<M-o>', '<Plug>(seedling-accept-word)')
"""
READY_S = 180.0


@dataclass(frozen=True)
class Real:
    """What a test of the real server needs: the command line of a Neovim on a Python file, and its remote control."""

    command: list[str]
    neovim: Neovim
    openings: tuple[str, ...]
    wait_for: Callable[..., Any]
    plugin: Path = PLUGIN

    def wait_until_ready(self) -> None:
        self.wait_for("Neovim and the language server", self.neovim.attached, 60)
        self.wait_for("the engine", self.neovim.ready, READY_S)

    def type_until_ghost(self, type_line: Callable[[str], None], timeout_s: float = 90.0) -> tuple[str, str]:
        """Types one opening after another as the last line until ghost text stands: what was typed, and the text.

        The model may have nothing to say about a line, or be too slow at first: then comes the next. Each on a line of
        its own: a text that was there before would be taken for an undo, which gets nothing.
        """
        end = time.monotonic() + timeout_s
        for opening in itertools.cycle(self.openings):
            num_lines = len(self.neovim.lines())
            self.neovim.keys("<Esc>G0Do<Esc>")
            self.wait_for("a new line", lambda above=num_lines - 1: self.neovim.lines()[above:] == ["", ""])
            type_line(f"A{opening}")
            self.wait_for("the line", lambda opening=opening: self.neovim.lines()[-1] == opening)
            try_until = time.monotonic() + 4
            while time.monotonic() < try_until:
                if ghost := self.neovim.ghost():
                    return opening, ghost
                time.sleep(0.05)
            if time.monotonic() > end:
                status = self.neovim.lua("require('seedling').status()")
                pytest.fail(f"no ghost text in {timeout_s:.0f} s; {status}")
        raise AssertionError


@pytest.fixture
def real(sandbox, nvim_program, seedling_program, openings, wait_for) -> Real:
    init, path = sandbox.folder / "init.lua", sandbox.folder / "nvim.sock"
    init.write_text(REAL_INIT.format(plugin=f"'{PLUGIN}'"))
    (sandbox.workspace / ".git").mkdir()
    (sandbox.workspace / "shapes.py").write_text('"""Shapes."""\n\nimport math\n\n\n')
    command = [str(nvim_program), "-n", "-u", str(init), "--listen", str(path), "shapes.py"]
    return Real(command, Neovim(path), openings, wait_for)
