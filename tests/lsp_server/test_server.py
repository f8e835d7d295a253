"""The protocol as editors see it, over stdio and TCP, against a fake engine."""

import asyncio
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from fake_engine import Script
from raw_client import BARE, NEOVIM, OLD_VSCODE, VSCODE, framed, start_tcp_server

from lsp_server.server import VERSION
from model.engine import api

URI = "file:///project/a.py"


def test_importing_the_server_loads_neither_torch_nor_httpx():
    code = "import sys, lsp_server.server; print([m for m in ('torch', 'httpx', 'model.network') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_version_is_the_distributions():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION  # a constant: reading the metadata would cost 20 ms of every start


@pytest.mark.parametrize("profile", [VSCODE, NEOVIM, OLD_VSCODE])
async def test_inline_completion_is_advertised_and_answered(client, engine, profile):
    engine.script = lambda request: Script(text="a, b):")
    result = await client.initialize(profile)
    assert result["capabilities"]["inlineCompletionProvider"] == {}
    assert result["capabilities"]["textDocumentSync"]["change"] == 2
    assert "completionProvider" not in result["capabilities"]
    await client.ready()
    client.open(URI, "def add(")
    (item,) = await client.items(client.ask(URI, 0, 8))
    assert item["insertText"] == "a, b):"
    assert item["range"] == {"start": {"line": 0, "character": 8}, "end": {"line": 0, "character": 8}}
    assert item["command"]["command"] == "seedling.accepted"
    assert await client.call("workspace/executeCommand", item["command"]) is None
    assert await client.shut_down() == 0


@pytest.mark.parametrize(
    ("profile", "encoding", "units"), [(VSCODE, "utf-16", 7), (NEOVIM, "utf-8", 9), (BARE, "utf-16", 7)]
)
async def test_positions_are_in_the_negotiated_encoding(stdio_client, engine, profile, encoding, units):
    engine.script = lambda request: Script(text="1)")
    result = await stdio_client.initialize(profile)
    assert result["capabilities"]["positionEncoding"] == encoding
    await stdio_client.ready()
    stdio_client.open(URI, "f('😀',)\r\n")
    (item,) = await stdio_client.items(stdio_client.ask(URI, 0, units))
    assert engine.requests[-1].prompt.line == "f('😀',"
    assert item["range"]["start"]["character"] == units
    assert item["range"]["end"]["character"] == units + 1  # the ")" that the editor had closed


async def test_plain_completion_only_for_clients_without_the_inline_kind(stdio_client, engine):
    engine.script = lambda request: Script(text="urn value")
    result = await stdio_client.initialize(BARE)
    assert "completionProvider" in result["capabilities"]
    await stdio_client.ready()
    stdio_client.open(URI, "ret")
    position = {"line": 0, "character": 3}
    answer = await stdio_client.call("textDocument/completion", {"textDocument": {"uri": URI}, "position": position})
    (item,) = answer["items"]
    assert item["label"] == "return value"
    assert item["textEdit"]["newText"] == "return value"
    assert item["textEdit"]["range"]["start"]["character"] == 0


async def test_a_request_sees_the_document_of_its_arrival(client, engine):
    await client.initialize()
    await client.ready()
    client.open(URI, "old ")
    ask = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 4}, "context": {"triggerKind": 2}}
    request = {"jsonrpc": "2.0", "id": "x", "method": "textDocument/inlineCompletion", "params": ask}
    changes = [
        {
            "jsonrpc": "2.0",
            "method": "textDocument/didChange",
            "params": {"textDocument": {"uri": URI, "version": version}, "contentChanges": [{"text": text}]},
        }
        for version, text in ((2, "new "), (3, "newest "))
    ]
    again = {**request, "id": "y", "params": {**ask, "position": {"line": 0, "character": 7}}}
    client.send_bytes(b"".join(map(framed, [request, *changes, again])))
    assert await client.items("x") == []  # stale: the document changed before there was an answer
    assert len(await client.items("y")) == 1
    assert engine.requests[-1].prompt.line == "newest "
    assert all(request.prompt.line in ("old ", "newest ") for request in engine.requests)


async def test_the_newer_request_cuts_the_older(client, engine):
    engine.script = lambda request: Script(keep=True) if len(engine.requests) == 1 else Script(text="second")
    await client.initialize(NEOVIM)
    await client.ready()
    client.open(URI, "x = \ny = ")
    first = client.ask(URI, 0, 4)
    await client.until(lambda: engine.requests)
    second = client.ask(URI, 1, 4)
    assert await client.items(first) == []
    assert [item["insertText"] for item in await client.items(second)] == ["second"]
    await client.until(lambda: engine.cancelled == [engine.requests[0].id])


async def test_a_cancelled_request_is_answered_with_an_error_and_cancelled_in_the_engine(client, engine):
    engine.script = lambda request: Script(keep=True)
    await client.initialize()
    await client.ready()
    client.open(URI, "x = ")
    request = client.ask(URI, 0, 4)
    await client.until(lambda: engine.requests)
    client.cancel(request)
    assert (await client.answer(request))["error"]["code"] == -32800
    await client.until(lambda: engine.cancelled == [engine.requests[0].id])
    assert await client.shut_down() == 0
    assert [len(answers) for answers in client.answers.values()] == [1] * len(client.answers)


async def test_closing_a_document_ends_its_request(stdio_client, engine):
    engine.script = lambda request: Script(keep=True)
    await stdio_client.initialize()
    await stdio_client.ready()
    stdio_client.open(URI, "x = ")
    request = stdio_client.ask(URI, 0, 4)
    await stdio_client.until(lambda: engine.requests)
    stdio_client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert await stdio_client.items(request) == []
    assert await stdio_client.items(stdio_client.ask(URI, 0, 4)) == []


async def test_shutdown_answers_what_still_runs(client, engine):
    engine.script = lambda request: Script(keep=True)
    await client.initialize()
    await client.ready()
    client.open(URI, "x = ")
    running = client.ask(URI, 0, 4)
    await client.until(lambda: engine.requests)
    shutdown = {"jsonrpc": "2.0", "id": "end", "method": "shutdown"}
    late = {"jsonrpc": "2.0", "id": "late", "method": "textDocument/inlineCompletion", "params": {}}
    leave = {"jsonrpc": "2.0", "method": "exit"}
    client.send_bytes(b"".join(map(framed, [shutdown, late, leave])))
    assert (await client.answer(running))["error"]["code"] == -32800
    assert (await client.answer("end"))["result"] is None
    assert (await client.answer("late"))["error"]["code"] == -32600
    assert await asyncio.wait_for(client.process.wait(), 10) == 0


async def test_odd_messages_are_answered_or_ignored_and_the_server_lives(client, engine):
    early = client.request("textDocument/inlineCompletion", {})
    assert (await client.answer(early))["error"]["code"] == -32002
    await client.initialize(VSCODE, initializationOptions={"jsonrpc": "2.0", "id": 7, "method": "initialize"})
    await client.ready()
    assert (await client.answer(client.request("initialize", {"capabilities": {}})))["error"]["code"] == -32600
    assert (await client.answer(client.request("no/such/method", {})))["error"]["code"] == -32601
    for params in ([1], None, {"textDocument": {"uri": URI}}, {"textDocument": 3, "position": {}}):
        answer = await client.answer(client.request("textDocument/inlineCompletion", params))
        assert answer["error"]["code"] == -32602
        assert "cannot be read" in answer["error"]["message"]
    client.send_bytes(b"Content-Length: 3\r\n\r\n{]}")
    assert (await client.answer(None))["error"]["code"] == -32700
    client.send([{"jsonrpc": "2.0", "id": 1, "method": "x"}])
    client.notify("textDocument/didChange", {"textDocument": {"uri": URI, "version": 1}, "contentChanges": "no"})
    client.notify("textDocument/didOpen", None)
    client.notify("textDocument/didClose", {"textDocument": {"uri": "file:///never/opened"}})
    client.notify("$/cancelRequest", {"id": 12345})
    client.notify("$/unknown", {"type_name": "class", "1": 2})
    client.open(URI, "x = ")
    position = {"line": 1e9, "character": -3.0}
    ask = {"textDocument": {"uri": URI}, "position": position, "partialResultToken": 1, "context": {"triggerKind": 9}}
    assert len((await client.call("textDocument/inlineCompletion", ask))["items"]) == 1
    assert not [note for note in client.notifications if note["method"] == "window/showMessage"]
    assert await client.shut_down() == 0


async def test_a_session_of_typing_cycling_and_accepting(client, engine):
    engine.script = lambda request: Script(
        text="foo(1)" if request.prompt.line == "x = " else "y = 2", more=("bar", "foo(1)")
    )
    await client.initialize()
    await client.ready()
    client.open(URI, "x = \n")
    items = await client.items(client.ask(URI, 0, 4, trigger_kind=1))
    assert items[0]["insertText"] == "foo(1)"  # what comes late on a slow machine is not waited for, but then it is
    items = await client.items(client.ask(URI, 0, 4, trigger_kind=1))
    assert [item["insertText"] for item in items] == ["foo(1)", "bar"]
    num_requests = len(engine.requests)
    assert num_requests == 4  # each time the greedy one and the alternatives
    client.change(URI, 2, {"range": _range(0, 4, 4), "text": "f"})
    (item,) = await client.items(client.ask(URI, 0, 5))
    assert (item["insertText"], item["range"]) == ("oo(1)", _range(0, 5, 5))
    assert len(engine.requests) == num_requests
    client.change(URI, 3, {"range": _range(0, 5, 5), "text": "oo(1)"})
    await client.call("workspace/executeCommand", item["command"])
    await client.until(lambda: engine.requests[-1].prompt.prefix == "x = foo(1)\n")
    client.change(URI, 4, {"range": _range(0, 10, 10), "text": "\n"})
    assert [item["insertText"] for item in await client.items(client.ask(URI, 1, 0))] == ["y = 2"]
    assert len(engine.requests) == num_requests + 1
    assert await client.shut_down() == 0


def _range(line: int, start: int, end: int) -> dict:
    return {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}


async def test_clients_that_count_trigger_kinds_from_zero(stdio_client, engine):
    await stdio_client.initialize(OLD_VSCODE)
    await stdio_client.ready()
    stdio_client.open(URI, "x = \ny = ")
    assert len(await stdio_client.items(stdio_client.ask(URI, 0, 4, trigger_kind=0))) == 1
    assert engine.requests[-1].deadline_ms == 2_000
    assert len(await stdio_client.items(stdio_client.ask(URI, 1, 4, trigger_kind=1))) == 1
    assert engine.requests[-1].deadline_ms == 400  # automatic, now that the client has shown how it counts


async def test_copilots_notifications_and_fields(stdio_client, engine):
    await stdio_client.initialize()
    await stdio_client.ready()
    stdio_client.open(URI, "if x:\n\ty\n", version=7)
    stdio_client.notify("textDocument/didFocus", {"textDocument": {"uri": URI}})
    stdio_client.notify("textDocument/didFocus", {})
    stale = stdio_client.request(
        "textDocument/inlineCompletion",
        {
            "textDocument": {"uri": URI, "version": 6},
            "position": {"line": 1, "character": 2},
            "context": {"triggerKind": 1},
        },
    )
    assert await stdio_client.items(stale) == []
    fresh = stdio_client.ask(URI, 1, 2, formattingOptions={"tabSize": 8, "insertSpaces": False})
    (item,) = await stdio_client.items(fresh)
    stdio_client.notify("textDocument/didShowCompletion", {"item": item})
    stdio_client.notify("textDocument/didPartiallyAcceptCompletion", {"item": item, "acceptedLength": 3})
    assert await stdio_client.shut_down() == 0
    assert not [note for note in stdio_client.notifications if note["method"].startswith("window/")]


async def test_while_the_engine_loads_requests_are_answered_at_once_and_progress_is_shown(stdio_client, engine):
    engine.health_status, engine.progress = "loading", 0.25
    await stdio_client.initialize()
    await stdio_client.until(lambda: {"create", "begin"} <= set(_progress(stdio_client)))
    await stdio_client.until(lambda: stdio_client.statuses()[-1]["message"] == "Loading the model.")
    stdio_client.open(URI, "x = ")
    assert await stdio_client.items(stdio_client.ask(URI, 0, 4)) == []
    assert stdio_client.statuses()[-1] == {"busy": True, "message": "Loading the model.", "kind": "Normal"}
    engine.health_status, engine.progress = "ready", 1.0
    await stdio_client.ready()
    await stdio_client.until(lambda: "end" in _progress(stdio_client))
    num_messages = len(_progress(stdio_client))
    assert len(await stdio_client.items(stdio_client.ask(URI, 0, 4))) == 1
    assert len(_progress(stdio_client)) == num_messages  # never per completion


async def test_no_progress_for_a_client_that_refuses_or_does_not_know_it(stdio_client, engine):
    engine.health_status = "loading"
    stdio_client.refuse_progress = True
    await stdio_client.initialize()
    await stdio_client.until(lambda: "create" in _progress(stdio_client))
    engine.health_status = "ready"
    await stdio_client.ready()
    assert _progress(stdio_client) == ["create"]


def _progress(client) -> list[str]:
    created = ["create" for request in client.server_requests if request["method"].endswith("workDoneProgress/create")]
    return created + [
        note["params"]["value"]["kind"] for note in client.notifications if note["method"] == "$/progress"
    ]


async def test_a_failed_model_is_told_in_the_status(stdio_client, engine):
    engine.health_status = "failed"
    await stdio_client.initialize()
    await stdio_client.until(lambda: stdio_client.statuses() and stdio_client.statuses()[-1]["kind"] == "Error")
    assert stdio_client.statuses()[-1] == {"busy": False, "message": "As told.", "kind": "Error"}
    stdio_client.open(URI, "x = ")
    assert await stdio_client.items(stdio_client.ask(URI, 0, 4)) == []
    engine.health_status = "ready"
    assert await stdio_client.items(stdio_client.ask(URI, 0, 4, trigger_kind=1)) == []  # asked by hand: tries again
    await stdio_client.ready()
    assert len(await stdio_client.items(stdio_client.ask(URI, 0, 4))) == 1


async def test_an_engine_that_dies_is_found_again(stdio_client, engine):
    await stdio_client.initialize()
    await stdio_client.ready()
    stdio_client.open(URI, "x = \ny = ")
    assert len(await stdio_client.items(stdio_client.ask(URI, 0, 4))) == 1
    engine.script = lambda request: Script(crash=True)
    request = stdio_client.ask(URI, 1, 4)
    await stdio_client.until(lambda: len(engine.requests) >= 2)  # after a second it is sent once more
    engine.stop()
    assert await stdio_client.items(request) == []
    engine.script = lambda request: Script(text="again")
    engine.start()
    async with asyncio.timeout(60):
        while not (items := await stdio_client.items(stdio_client.ask(URI, 1, 4, trigger_kind=1))):
            await asyncio.sleep(0.05)
    assert items[0]["insertText"] == "again"
    assert await stdio_client.shut_down() == 0


async def test_an_engine_error_is_no_completion(stdio_client, engine):
    engine.script = lambda request: Script(error=api.Error(code="bad_request", sentence="No."))
    await stdio_client.initialize()
    await stdio_client.ready()
    stdio_client.open(URI, "x = ")
    assert await stdio_client.items(stdio_client.ask(URI, 0, 4)) == []
    engine.script = lambda request: Script()
    assert len(await stdio_client.items(stdio_client.ask(URI, 0, 4))) == 1


async def test_settings_arrive_on_every_way_and_remarks_are_made_once(stdio_client, engine):
    stdio_client.configuration = {"confidence": 0.95, "engineUrl": "http://example.invalid"}
    await stdio_client.initialize(initializationOptions={"token": "x", "manualOnly": True})
    await stdio_client.ready()
    await stdio_client.until(lambda: len(_remarks(stdio_client)) == 2)
    stdio_client.open(URI, "x = ")
    assert await stdio_client.items(stdio_client.ask(URI, 0, 4)) == []
    assert not engine.requests  # manual only
    stdio_client.configuration = {"manualOnly": False, "confidence": 0.95, "engineUrl": "http://example.invalid"}
    stdio_client.notify("workspace/didChangeConfiguration", {"settings": None})
    await stdio_client.until(lambda: sum(_is_pull(request) for request in stdio_client.server_requests) == 2)
    await stdio_client.call("workspace/executeCommand", {"command": "seedling.accepted"})
    assert await stdio_client.items(stdio_client.ask(URI, 0, 4)) == []
    assert engine.requests  # asked, but 0.9 is not sure enough
    assert len(_remarks(stdio_client)) == 2
    assert {request["method"] for request in stdio_client.server_requests} >= {"client/registerCapability"}


def _remarks(client) -> list[str]:
    return [note["params"]["message"] for note in client.notifications if note["method"] == "window/logMessage"]


def _is_pull(request: dict) -> bool:
    return request["method"] == "workspace/configuration"


async def test_settings_that_are_pushed(stdio_client, engine):
    await stdio_client.initialize(OLD_VSCODE)
    await stdio_client.ready()
    stdio_client.open(URI, "x = ")
    stdio_client.notify("workspace/didChangeConfiguration", {"settings": {"seedling": {"enabled": False}}})
    assert await stdio_client.items(stdio_client.ask(URI, 0, 4)) == []
    stdio_client.notify("workspace/didChangeConfiguration", {"settings": {"seedling": {}}})
    assert len(await stdio_client.items(stdio_client.ask(URI, 0, 4))) == 1


async def test_the_log_is_private_and_holds_no_code(stdio_client, engine, tmp_path):
    engine.script = lambda request: Script(text="SECRET_ANSWER")
    await stdio_client.initialize(trace="messages")
    await stdio_client.ready()
    stdio_client.open(URI, "SECRET_TEXT = ")
    await stdio_client.items(stdio_client.ask(URI, 0, 14))
    stdio_client.request("textDocument/inlineCompletion", {"SECRET_FIELD": 1})
    assert await stdio_client.shut_down() == 0
    log = tmp_path / "state" / "seedling" / "server.log"
    text = log.read_text()
    assert "shown" in text
    assert "SECRET" not in text
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    traces = [note["params"]["message"] for note in stdio_client.notifications if note["method"] == "$/logTrace"]
    assert len(traces) == 1
    assert "SECRET" not in traces[0]


@pytest.mark.parametrize("first", [b"wrong\n", b"\n", b"GET / HTTP/1.1\r\n", b"x" * 3000, b"the-token"])
async def test_tcp_closes_on_a_wrong_token_and_still_serves_the_right_one(environment, tmp_path, engine, first):
    process, port = await start_tcp_server(environment, tmp_path, "the-token")
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(first)
        if first == b"the-token":
            writer.write_eof()  # without its line end it is no token
        # A reset is a close too: it happens when bytes were left unread.
        assert await asyncio.wait_for(_read_to_end(reader), 10) == b""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        initialize = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}}
        writer.write(b"the-token\r\n" + framed(initialize))
        assert (await reader.readline()).startswith(b"Content-Length")
        _, late = await asyncio.open_connection("127.0.0.1", port)
        late.close()
    except ConnectionRefusedError:
        pass  # the port is closed once the conversation has begun
    finally:
        process.kill()
        await process.wait()


async def _read_to_end(reader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("arguments", ["0", "0, ''", "0, 'a\\nb'"])
def test_tcp_without_a_usable_token_does_not_start(environment, tmp_path, arguments):
    code = f"import sys; from lsp_server.server import serve; sys.exit(serve({arguments}))"
    result = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 2
    assert "token" in result.stderr
    assert "Traceback" not in result.stderr


async def test_the_end_of_the_stream_ends_the_server(stdio_client):
    await stdio_client.initialize()
    stdio_client.process.stdin.close()
    assert await asyncio.wait_for(stdio_client.process.wait(), 10) == 1


async def test_broken_framing_ends_the_server(stdio_client):
    stdio_client.send_bytes(b"Content-Length: many\r\n\r\n{}")
    assert await asyncio.wait_for(stdio_client.process.wait(), 10) == 1
