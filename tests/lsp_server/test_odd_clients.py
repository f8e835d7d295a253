"""Clients that do what they should not: every request is answered once, nothing else is said, and the server goes on.

test_server.py has more of them over real pipes, test_wire.py what their fields are read as. Here one message a row.
"""

import pytest
from in_process import InProcess, InstantEngine
from raw_client import OLD_VSCODE

URI = "file:///w/a.py"
AT = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 4}}
INLINE, COMMAND = "textDocument/inlineCompletion", "workspace/executeCommand"

ITEMS = [
    ({**AT}, "no context"),
    ({**AT, "context": None}, "null as context"),
    ({**AT, "context": {"triggerKind": None}}, "null as trigger"),
    ({**AT, "context": {"triggerKind": 0}}, "a trigger of old clients"),
    ({**AT, "context": {"triggerKind": 77}}, "an unknown trigger"),
    ({**AT, "context": {"triggerKind": 1, "selectedCompletionInfo": None}}, "null as selected item"),
    ({**AT, "context": {"triggerKind": 1, "selectedCompletionInfo": {"text": 1, "range": []}}}, "nonsense as item"),
    ({**AT, "context": {"triggerKind": 1}, "unheardOf": {"a": [1]}, "workDoneToken": None}, "unknown fields"),
    ({**AT, "position": {"line": 2**40, "character": 2**40}}, "a position far below"),
    ({**AT, "position": {"line": 0, "character": 1e300}}, "a position far to the right"),
    ({**AT, "formattingOptions": {"tabSize": 0, "insertSpaces": "yes"}}, "formatting nonsense"),
    ({**AT, "textDocument": {"uri": URI, "version": "1"}}, "a version that is text"),
]
REFUSED = [
    ({}, -32602, "no parameters"),
    (None, -32602, "null as parameters"),
    ([AT], -32602, "a list as parameters"),
    ({**AT, "position": {"line": None, "character": 0}}, -32602, "null as line"),
    ({**AT, "position": {"line": "0", "character": "4"}}, -32602, "text as position"),
    ({**AT, "textDocument": {"uri": None}}, -32602, "null as URI"),
]
COMMANDS = [
    {"command": "seedling.accepted"},
    {"command": "seedling.accepted", "arguments": None},
    {"command": "seedling.accepted", "arguments": [None, {}, 3]},
    {"command": "seedling.accepted", "arguments": ["never given"]},
    {"command": "seedling.snooze", "arguments": ["soon"]},
    {"command": "seedling.snooze", "arguments": [-1]},
    {"command": "seedling.snooze", "arguments": [float("nan")]},
    {"command": "seedling.setDocument", "arguments": [URI]},
    {"command": "seedling.setDocument", "arguments": [None, None]},
    {"command": "seedling.setLanguage", "arguments": [7, "off"]},
    {"command": "seedling.status", "arguments": [7]},
    {"command": "seedling.noSuchCommand", "arguments": []},
    {"command": None},
    {"arguments": []},
    {},
    None,
]
NOTIFICATIONS = [
    ("textDocument/didOpen", None),
    ("textDocument/didOpen", {"textDocument": {"uri": URI}}),
    ("textDocument/didChange", {}),
    ("textDocument/didChange", {"textDocument": {"uri": URI}, "contentChanges": [None]}),
    ("textDocument/didChange", {"textDocument": {"uri": URI}, "contentChanges": [{"range": {}, "text": "lost"}]}),
    ("textDocument/didChange", {"textDocument": {"uri": "file:///never/opened"}, "contentChanges": [{"text": "x"}]}),
    ("textDocument/didClose", []),
    ("textDocument/didSave", {"textDocument": {"uri": URI}}),
    ("textDocument/didFocus", {"textDocument": None}),
    ("textDocument/didShowCompletion", None),
    ("textDocument/didShowCompletion", {"item": {"command": None}}),
    ("textDocument/didPartiallyAcceptCompletion", {"item": {}, "acceptedLength": "3"}),
    ("workspace/didChangeConfiguration", None),
    ("workspace/didChangeConfiguration", {"settings": [1]}),
    ("workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": []}}),
    ("notebookDocument/didOpen", {}),
    ("notebookDocument/didChange", {"notebookDocument": {"uri": 1}, "change": 2}),
    ("$/setTrace", {"value": "everything"}),
    ("$/cancelRequest", {"id": None}),
    ("$/cancelRequest", {}),
    ("$/cancelRequest", None),
    ("$/progress", {"token": 1}),
    (INLINE, AT),  # a request without an id
    ("", {}),
]


NO_IDS = [{"jsonrpc": "2.0", "id": msg_id, "method": INLINE, "params": AT} for msg_id in (None, [], {"a": 1})]


@pytest.fixture
async def client():
    client = InProcess()
    client.engine = client.server.session.engine = InstantEngine("good")  # pyright: ignore
    await client.call("initialize", OLD_VSCODE)
    client.open(URI, "x = ")
    yield client
    await goes_on(client)
    await client.close()


async def goes_on(client) -> None:
    """The server answers as ever, has answered everything once, holds the document, and showed no message box."""
    client.open(URI, "x = ")
    (item,) = await client.items(client.ask(URI, 0, 4, trigger_kind=0))
    assert item["insertText"] == "good"
    assert [msg_id for msg_id, answers in client.answers.items() if len(answers) != 1] == []
    assert not [note for note in client.notifications if note["method"] == "window/showMessage"]


@pytest.mark.parametrize("params", [row[0] for row in ITEMS], ids=[row[1] for row in ITEMS])
async def test_requests_that_can_be_understood(client, params):
    assert len((await client.call(INLINE, params))["items"]) == 1


@pytest.mark.parametrize(("params", "code"), [row[:2] for row in REFUSED], ids=[row[2] for row in REFUSED])
async def test_requests_that_cannot(client, params, code):
    answer = await client.answer(client.request(INLINE, params))
    assert answer["error"]["code"] == code
    assert answer["error"]["message"].count("\n") == 0
    assert client.engine.prompts == []


@pytest.mark.parametrize("params", COMMANDS, ids=str)
async def test_commands_with_bad_arguments(client, params):
    answer = await client.answer(client.request(COMMAND, params))
    if "error" in answer:
        assert answer["error"]["code"] in (-32602, -32601)
        assert "Traceback" not in str(answer)
    else:
        assert answer["result"] is None


@pytest.mark.parametrize(("method", "params"), NOTIFICATIONS)
async def test_notifications_that_mean_nothing(client, method, params):
    client.notify(method, params)
    assert client.server.session.document(URI).text == "x = "


async def test_ids_of_all_kinds(client):
    for msg_id in ("text", "", 0, -1, 2**60, "7", 7):
        client.send({"jsonrpc": "2.0", "id": msg_id, "method": INLINE, "params": AT})
        assert "result" in await client.answer(msg_id)
    client.notify("$/cancelRequest", {"id": "text"})  # answered already


@pytest.mark.parametrize(
    "message", [3, "x", None, [], [{"jsonrpc": "2.0", "id": 9, "method": "x"}], {}, {"id": 9}, *NO_IDS]
)
async def test_what_is_no_message(client, message):
    client.send(message)
    assert (await client.answer(None))["error"]["code"] == -32600


async def test_an_answer_to_a_question_that_was_never_asked(client):
    client.send({"jsonrpc": "2.0", "id": "never", "result": {"a": 1}})
    client.send({"jsonrpc": "2.0", "id": "never", "error": {"code": 1, "message": "no"}})
    client.send({"jsonrpc": "2.0", "id": "never"})


async def test_versions_that_go_back_or_stand_still(client):
    for version in (9, 3, 3, -1, 0):
        client.change(URI, version, {"text": f"v{version} = "})
        (item,) = await client.items(client.ask(URI, 0, 99, trigger_kind=0))
        assert client.engine.prompts[-1].line == f"v{version} = "
        assert item["range"]["start"]["character"] == len(f"v{version} = ")
        stale = {**AT, "textDocument": {"uri": URI, "version": version + 1}}
        assert (await client.call(INLINE, stale))["items"] == []


async def test_documents_that_are_not_open(client):
    client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert (await client.call(INLINE, AT))["items"] == []
    client.change(URI, 2, {"text": "ghost = "})
    assert (await client.call(INLINE, AT))["items"] == []
    client.open(URI, "a = ")
    client.open(URI, "b = ")
    assert len((await client.call(INLINE, AT))["items"]) == 1
    assert [prompt.line for prompt in client.engine.prompts] == ["b = "]


async def test_a_failure_of_ours_is_one_sentence_without_the_users_code(client, monkeypatch):
    async def fail(request: object) -> None:
        raise ValueError("SECRET = 1")

    monkeypatch.setattr(client.engine, "ask", fail)
    answer = await client.answer(client.request(INLINE, AT))
    assert answer["error"] == {"code": -32603, "message": "The server failed: its log says where."}
    monkeypatch.undo()
