"""Every family of foreign weights, from the editor's message to the answer: real server, real engine, tiny weights.

What random weights write is nobody's wish: an answer may be refused for a reason that random text gives. That the text
comes that the network says is shown where it spells one. The engine runs in this process, but for one family of each
kind of attention, which an engine process of its own loads.
"""

import asyncio
import contextlib
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvicorn
from in_process import InProcess
from raw_client import start_stdio

from model.diffusion.frames import Result
from model.engine.app import EngineInfo, make_app
from model.engine.generation import load_resident
from model.engine.guard import GuardSettings
from model.engine.lifecycle import Lifecycle
from model.engine.prompting import Prepared
from model.engine.runner import Runner
from tests.model.checkpoints.tiny_folders import FAMILIES, write_tiny_folder
from tests.model.engine.spelling import spelling

URI = "file:///w/a.py"
TEXT = "import os\n\n\ndef add(a, b):\n    ret\n\n\ndef double(x):\n    return x + x\n\n\nadd(1, 2)\n"
ROW, COLUMN = 4, 7
EDITED = 8
NOT_THE_MODELS = {"engine_error", "no_engine", "loading", "busy", "deadline", "stale", "superseded", "cancelled"}
OWN_PROCESS = ["stable-diffcoder-instruct", "dreamon"]
EDITOR = {
    "capabilities": {
        "textDocument": {"inlineCompletion": {}, "codeAction": {"dataSupport": True}},
        "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}},
    }
}
PATIENT = {"seedling": {"automaticDeadlineMs": 60_000}}


class Seen(NamedTuple):
    prepared: Prepared
    result: Result


class Engine:
    """The engine's app over one family's weights, in this loop."""

    def __init__(self, folder: Path, socket_path: Path) -> None:
        self.resident = load_resident(
            folder, device="cpu", dtype_name="float32", num_threads=1, report=lambda progress, sentence: None
        )
        self.seen: list[Seen] = []
        last_event = self.resident._last_event

        def spied(job, result, prepared, stop, index):
            self.seen.append(Seen(prepared, result))
            return last_event(job, result, prepared, stop, index)

        self.resident._last_event = spied
        life = Lifecycle(idle_s=60, stop=lambda: None)
        self.runner = Runner(
            lambda report: self.resident,
            on_loading=life.set_loading,
            on_ready=life.set_ready,
            on_failed=life.set_failed,
        )
        guard = GuardSettings(hosts=frozenset({"seedling"}), max_body_bytes=1_000_000)
        app = make_app(self.runner, life, EngineInfo(version="0", model=str(folder), device="cpu"), guard)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(socket_path))
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, access_log=False)
        config.load()
        self._server = uvicorn.Server(config)

    @contextlib.asynccontextmanager
    async def running(self):
        self.runner.start()
        serving = asyncio.ensure_future(self._server._serve(sockets=[self._listener]))
        try:
            yield self
        finally:
            self._server.should_exit = True
            await serving
            self.runner.stop()

    def text(self, ids) -> str:
        return self.resident._checkpoint.tokenizer.decode(ids)


@contextlib.asynccontextmanager
async def session(name: str, tmp_path: Path):
    """(engine, client) with one open document."""
    folder = tmp_path / FAMILIES[name].name
    write_tiny_folder(folder, name)
    async with Engine(folder, tmp_path / "engine.sock").running() as engine:
        client = InProcess()
        client.apply_edits = True
        try:
            await client.initialize(EDITOR, trace="messages", initializationOptions=PATIENT)
            await client.ready()
            client.open(URI, TEXT)
            yield engine, client
        finally:
            await client.close()


@pytest.fixture(autouse=True)
def private(environment, monkeypatch) -> None:
    for name, value in environment.items():
        if name.startswith(("SEEDLING_", "XDG_")):
            monkeypatch.setenv(name, value)
    monkeypatch.setattr("lsp_server.handlers.lifecycle.log_to_file", lambda: None)  # pytest's log is the log
    monkeypatch.setattr("lsp_server.handlers.fixing.MENU_PATIENCE_S", 60.0)  # a busy machine must not decide
    monkeypatch.setattr("lsp_server.features.rewrite.DEADLINE_MS", 120_000.0)


async def rewrite(client, instruction: str = "return twice x") -> dict[str, Any]:
    where = {"start": {"line": EDITED, "character": 0}, "end": {"line": EDITED + 1, "character": 0}}
    argument = {"uri": URI, "range": where, "instruction": instruction}
    return await client.call("workspace/executeCommand", {"command": "seedling.rewrite", "arguments": [argument]})


def check_hole(engine: Engine) -> None:
    """The code above and below stand where the network was trained to see them, and something was written between."""
    prepared, result = engine.seen[0]
    before, after = engine.text(prepared.prompt_ids), engine.text(prepared.after_ids)
    sees_behind = engine.resident.network.config.attention == "full"
    assert prepared.canvas.max_tokens >= 16
    assert "def add(a, b):\n" in before
    assert ("add(1, 2)" in after, "add(1, 2)" in before) == (sees_behind, not sees_behind)
    assert result.steps > 0
    assert result.forwards >= result.steps
    assert result.ids


def check_chat(engine: Engine) -> None:
    prepared, result = engine.seen[-1]
    before = engine.text(prepared.prompt_ids)
    assert "Instruction: return twice x" in before
    assert before.endswith("```python\n")
    assert prepared.after_ids == ()
    assert prepared.canvas.grows
    assert result.forwards > 0


@pytest.mark.parametrize("name", FAMILIES)
async def test_a_session_with_each_family(name, tmp_path):
    async with session(name, tmp_path) as (engine, client):
        able = engine.resident.capabilities
        items = await client.items(client.ask(URI, ROW, COLUMN))
        reason = client.outcomes()[-1]
        if able.complete:
            check_hole(engine)
            assert reason not in NOT_THE_MODELS
            assert (reason == "shown") == bool(items)
        else:
            assert (items, reason, engine.seen) == ([], "cannot_complete", [])
        reply = await rewrite(client)
        if able.rewrite == "free":
            check_chat(engine)
            assert reply["applied"] or reply["reason"] not in NOT_THE_MODELS
        else:
            assert (reply["applied"], reply["reason"]) == (False, "cannot_rewrite")
        assert able.complete or able.rewrite == "free"


@pytest.mark.parametrize("name", ["stable-diffcoder-base", "dream-coder-instruct", "dllm-mdlm"])
async def test_the_text_that_the_network_says_is_offered(name, tmp_path):
    async with session(name, tmp_path) as (engine, client):
        with spelling(engine.resident, "urn a + b"):
            items = await client.items(client.ask(URI, ROW, COLUMN))
        assert [item["insertText"] for item in items] == ["urn a + b"], client.outcomes()


@pytest.mark.parametrize(
    "name", ["stable-diffcoder-instruct", "fast-dllm-v2", "dream-coder-instruct", "llada-instruct"]
)
async def test_the_code_of_the_answer_is_applied(name, tmp_path):
    async with session(name, tmp_path) as (engine, client):
        with spelling(engine.resident, "Of course.\n```python\nreturn 2 * x\n```\nThis doubles x."):
            reply = await rewrite(client)
        assert reply["applied"], reply
        (edit,) = [one["params"]["edit"] for one in client.server_requests if one["method"] == "workspace/applyEdit"]
        (change,) = edit["documentChanges"]
        assert [one["newText"] for one in change["edits"]] == ["    return 2 * x\n"]


@pytest.mark.parametrize("name", ["sdar", "dllm-mdlm"])
async def test_a_diagnostic_is_fixed_by_a_rewrite(name, tmp_path):
    ends = {"start": {"line": EDITED, "character": 11}, "end": {"line": EDITED, "character": 16}}
    named = {"range": ends, "message": "Adds instead of doubling", "source": "Ruff"}
    params = {"textDocument": {"uri": URI}, "range": ends, "context": {"triggerKind": 1, "diagnostics": [named]}}
    async with session(name, tmp_path) as (engine, client):
        with spelling(engine.resident, "def double(x):\n    return 2 * x\n```\n") as prepared:
            actions = await client.call("textDocument/codeAction", params)
        assert "Adds instead of doubling" in engine.text(prepared[-1].prompt_ids)
        titles = [action["title"] for action in actions if action["kind"] == "quickfix.seedling"]
        assert titles, actions


@pytest.mark.parametrize("name", OWN_PROCESS)
async def test_an_engine_process_loads_them(name, tmp_path, environment):
    folder = tmp_path / FAMILIES[name].name
    write_tiny_folder(folder, name)
    with tempfile.TemporaryDirectory(prefix="sl-") as runtime:  # a socket's path has 103 bytes at most
        environment = {name: value for name, value in environment.items() if name != "SEEDLING_ENGINE"}
        environment |= {"SEEDLING_MODEL": str(folder), "SEEDLING_RUNTIME_DIR": runtime}
        client = await start_stdio(environment, tmp_path)
        try:
            await client.initialize(EDITOR, initializationOptions=PATIENT)
            await client.ready()
            client.open(URI, TEXT)
            assert "error" not in await client.answer(client.ask(URI, ROW, COLUMN))
            reply = await rewrite(client)
            assert reply["applied"] or reply["reason"] in ("no_code", "cannot_rewrite", "unsafe_text", "unchanged")
            assert await client.shut_down() == 0
        finally:
            await client.kill()
            stop = [sys.executable, "-m", "seedling_lsp", "engine", "stop"]
            stopped = await asyncio.create_subprocess_exec(*stop, env=environment)
            assert await stopped.wait() == 0
