"""What both editor tests need: a private home, the real `seedling` program and engine, waiting, and a clean end.

Each test gets folders of its own, so no setting, log, socket or engine of the person who runs it is seen or touched. At
the end every process that carries the test's runtime folder in its environment is ended, the detached engine included.
Left out: installing the editors (editors/tools/*.sh does; `./dev editors` calls them).
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

import pytest

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "artifacts" / "editors"


class WaitFor(Protocol):
    def __call__(self, what: str, condition: Callable[[], T | None], timeout_s: float = 30.0) -> T: ...


@pytest.fixture(scope="session")
def nvim_program() -> Path:
    """Neovim 0.12 or later."""
    return tool("SEEDLING_NVIM", ".tools/nvim/bin/nvim", "Neovim")


@pytest.fixture(scope="session")
def nvim_011_program() -> Path:
    """The oldest Neovim that is supported: without inline completion of its own."""
    return tool("SEEDLING_NVIM_011", ".tools/nvim-0.11/bin/nvim", "Neovim 0.11")


@pytest.fixture(scope="session")
def code_server_prefix() -> Path:
    """The folder that editors/tools/get-code-server.sh filled."""
    return tool("SEEDLING_CODE_SERVER", ".tools/code-server", "code-server")


@pytest.fixture(scope="session")
def tmux_program() -> str:
    return on_path("tmux")


@pytest.fixture(scope="session")
def npm_program() -> str:
    return on_path("npm")


@pytest.fixture(scope="session")
def chromium_program() -> str:
    if chosen := os.environ.get("SEEDLING_CHROMIUM"):
        return chosen
    return on_path("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def seedling_program() -> Path:
    """The command `seedling` of the environment that runs the tests: the real server."""
    path = Path(sys.executable).with_name("seedling")
    assert path.exists(), f"{path} is missing: the tests run in an environment without Seedling itself"
    return path


@pytest.fixture
def openings() -> tuple[str, ...]:
    """Beginnings of lines that a model of Python continues, to try in turn: which ones it continues is its affair."""
    return ("for i in range(", "import o", "def __init__(", "if __name__ == ", "class Point(", "with open(")


@pytest.fixture(scope="session")
def wait_for() -> WaitFor:
    """The one way to wait: until a condition holds."""
    return poll


def tool(variable: str, default: str, what: str) -> Path:
    path = Path(os.environ.get(variable) or ROOT / default)
    return path if path.exists() else absent(f"{what} is not at {path}: run ./dev editors, or set {variable}")


def on_path(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    return found or absent(f"not on PATH: {' or '.join(names)}")


def absent(reason: str) -> NoReturn:
    """A missing tool skips its tests by name, but fails them where the editors are required."""
    if os.environ.get("SEEDLING_REQUIRE_EDITORS"):
        pytest.fail(reason)
    pytest.skip(reason)


def poll(what: str, condition: Callable[[], T | None], timeout_s: float = 30.0) -> T:
    """The first true value of `condition`, asked again and again; fails naming `what`."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"waited {timeout_s:.0f} s for {what}")


@dataclass(frozen=True)
class Sandbox:
    """One test's folders and the environment of everything it starts."""

    folder: Path
    workspace: Path
    runtime: Path
    env: dict[str, str]


@pytest.fixture
def artifacts(request: pytest.FixtureRequest) -> Path:
    """Where this test leaves what a person may want to look at; emptied at its start."""
    folder = ARTIFACTS / request.node.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def sandbox(artifacts: Path) -> Iterator[Sandbox]:
    # Short, not pytest's tmp_path: the engine's socket must fit into 103 bytes.
    folder = Path(tempfile.mkdtemp(prefix="seedling-"))
    workspace, runtime, home = folder / "workspace", folder / "run", folder / "home"
    for path in (workspace, runtime, home):
        path.mkdir(mode=0o700)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("XDG_", "NVIM", "VIM", "VSCODE_", "PYTHON", "SEEDLING_", "TMUX"))
        or name == "SEEDLING_MODEL"
    }
    env = kept | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "SEEDLING_RUNTIME_DIR": str(runtime),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
    }
    try:
        yield Sandbox(folder, workspace, runtime, env)
    finally:
        left = end_processes(runtime)
        keep_logs(home, artifacts)
        shutil.rmtree(folder, ignore_errors=True)
    assert not left, f"processes that would not end: {left}"


def end_processes(runtime: Path) -> list[int]:
    """Ends every process started with this runtime folder, politely first; returns those that would not."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes_of(runtime):
            try:
                os.kill(pid, sent)
            except ProcessLookupError:
                continue
        end = time.monotonic() + 10
        while processes_of(runtime) and time.monotonic() < end:
            time.sleep(0.05)
    return processes_of(runtime)


def processes_of(runtime: Path) -> list[int]:
    mark = f"SEEDLING_RUNTIME_DIR={runtime}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue  # gone meanwhile, or somebody else's
    return found


def keep_logs(home: Path, artifacts: Path) -> None:
    for log in sorted(home.rglob("*.log")):
        shutil.copyfile(log, artifacts / log.name)
