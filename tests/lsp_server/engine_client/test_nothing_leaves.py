"""Without an engine elsewhere nothing leaves the machine: server and engine under Python's audit hook."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "support"))

from raw_client import RawClient

URI = "file:///project/a.py"

# Runs before anything of ours is imported, in both processes; the server starts the engine by this very text.
WATCHED = """
import json, os, socket, sys
who = os.environ.pop("WATCHED_AS", "engine")
log = os.open(os.environ["WATCHED_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def note(event, arguments):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname"):
        addresses = [repr(value) for value in arguments if not isinstance(value, socket.socket)]
        family = next((value.family.name for value in arguments if isinstance(value, socket.socket)), "")
        os.write(log, json.dumps([who, event, family, addresses]).encode() + b"\\n")

sys.addaudithook(note)
if who == "engine":
    import runpy
    runpy.run_module("model.engine", run_name="__main__", alter_sys=True)
from lsp_server.engine_client import launch
command = launch.engine_command

def watched(paths, *, idle_s=None):
    words = command(paths, idle_s=idle_s)
    at = words.index("-m")
    return [*words[:at], "-c", os.environ["WATCHED_CODE"], *words[at + 2 :]]

launch.engine_command = watched
from lsp_server.server import serve
sys.exit(serve())
"""


@pytest.fixture
async def watched(place, tmp_path):
    """A server that starts its own engine, and what was noted: [program, event, family, addresses] each."""
    log = tmp_path / "noted"
    environment = {**os.environ, "WATCHED_AS": "server", "WATCHED_LOG": str(log), "WATCHED_CODE": WATCHED}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-E", "-P", "-c", WATCHED),
        env=environment,
        cwd=tmp_path,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    client = RawClient(process, process.stdout, process.stdin)
    yield client, lambda: [json.loads(line) for line in log.read_text().splitlines()]
    await client.kill()


async def test_in_local_mode_every_connection_is_a_unix_socket_of_this_user(watched, place, pids):
    client, noted = watched
    await client.initialize()
    await client.ready()
    client.open(URI, "import os\nx = \n")
    await client.items(client.ask(URI, 1, 4, trigger_kind=1))
    for only in ("quickfix", "refactor.rewrite"):
        whole_line = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 4}}
        broken = {"range": whole_line, "message": "invalid syntax"}
        context = {"diagnostics": [broken], "only": [only], "triggerKind": 1}
        await client.call(
            "textDocument/codeAction", {"textDocument": {"uri": URI}, "range": whole_line, "context": context}
        )
    await client.call("workspace/executeCommand", {"command": "seedling.status"})
    assert await client.shut_down() == 0
    assert len(pids()) == 1
    events = noted()
    assert {who for who, *_ in events} == {"server", "engine"}, "both were watched"
    connects = [event for event in events if event[1] == "socket.connect"]
    assert connects, "the server has asked its engine"
    assert {(family, *addresses) for _, _, family, addresses in connects} == {("AF_UNIX", repr(str(place.socket)))}
    assert {event for _, event, family, _ in events if family != "AF_UNIX"} == set(), "no name was looked up either"
