"""Fixtures for tests of the language server: a fake engine, and raw clients over stdio and TCP."""

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "support"))

from fake_engine import FakeEngine
from raw_client import start_stdio, start_tcp


@pytest.fixture
def engine(tmp_path):
    """A running fake engine."""
    engine = FakeEngine(tmp_path / "engine.sock")
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """The environment of a server process: nothing of the user's, everything it writes below the test's folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEEDLING_", "XDG_", "PYTHON"))}
    for name in ("state", "runtime", "cache", "config", "data", "home"):
        (tmp_path / name).mkdir(mode=0o700)
    return {
        **kept,
        "HOME": str(tmp_path / "home"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "SEEDLING_RUNTIME_DIR": str(tmp_path / "runtime"),
        "SEEDLING_ENGINE": f"unix:{tmp_path / 'engine.sock'}",
    }


@pytest.fixture(params=["stdio", "tcp"])
async def client(request, engine, environment, tmp_path):
    """A raw client of a fresh server, before `initialize`; each test runs over stdio and over TCP."""
    start = start_stdio if request.param == "stdio" else start_tcp
    client = await start(environment, tmp_path)
    yield client
    await client.kill()


@pytest.fixture
async def stdio_client(engine, environment, tmp_path):
    """As `client`, over stdio only."""
    client = await start_stdio(environment, tmp_path)
    yield client
    await client.kill()


@pytest.fixture
async def in_process(engine, environment, monkeypatch):
    """A client of a fresh server in this process, before `initialize`; its engine is the fake one."""
    for name, value in environment.items():
        if name.startswith(("SEEDLING_", "XDG_")):
            monkeypatch.setenv(name, value)
    monkeypatch.setattr("lsp_server.handlers.lifecycle.log_to_file", lambda: None)  # pytest's log is the log
    monkeypatch.setattr("lsp_server.handlers.fixing.MENU_PATIENCE_S", 60.0)  # a busy machine must not decide
    from in_process import InProcess

    client = InProcess()
    yield client
    await client.close()
