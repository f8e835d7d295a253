"""The next edit over the wire: Copilot's shape, the command, what clients tell about it, what cuts it."""

from typing import Any

import msgspec
import pytest
from capabilities import capabilities
from fake_engine import Script

from lsp_server.handlers import looking

URI = "file:///c%3A/w/a.py"
METHOD = "textDocument/copilotInlineEdit"
TEXT = "def area(w, h):\n    é = w * h\n    return é, w\n"
RENAMED = TEXT.replace("(w", "(width", 1)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(looking, "PAUSE_S", 0.0)


async def begin(client, text: str = TEXT, **settings: Any) -> None:
    options = {"seedling": {"nextEdit.enable": True, **settings}}
    await client.initialize(trace="messages", initializationOptions=options)
    await client.ready()
    client.open(URI, text)


def change(client, text: str, version: int = 2) -> None:
    document = {"uri": URI, "version": version}
    client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})


def params(version: int = 2, line: int = 0, character: int = 9) -> dict[str, Any]:
    return {
        "textDocument": {"uri": URI, "version": version},
        "position": {"line": line, "character": character},
    }


async def ask(client, **more: Any) -> dict[str, Any]:
    return await client.call(METHOD, params(**more))


async def by_hand(client, *arguments: Any) -> Any:
    return await client.call("workspace/executeCommand", {"command": "seedling.nextEdit", "arguments": list(arguments)})


async def test_the_shape_is_copilots(in_process):
    await begin(in_process)
    change(in_process, RENAMED)
    answer = await ask(in_process)
    (edit,) = answer["edits"]
    ((item_id,), title) = edit["command"]["arguments"], edit["command"]["title"]
    assert title == "Rename w to width"
    assert edit == {
        "text": "width",
        "range": {"start": {"line": 1, "character": 8}, "end": {"line": 1, "character": 9}},
        "textDocument": {"uri": URI, "version": 2},
        "command": {"title": title, "command": "seedling.nextEditAccepted", "arguments": [item_id]},
    }


async def test_accepted_one_after_the_other(in_process):
    await begin(in_process)
    text = RENAMED
    change(in_process, text)
    for version, line in ((2, "    é = width * h"), (3, "    return é, width")):
        (edit,) = (await ask(in_process, version=version))["edits"]
        item = {"item": {"command": edit["command"]}}
        in_process.notify("textDocument/didShowInlineEdit", item)
        row, start, end = edit["range"]["start"]["line"], *(edit["range"][at]["character"] for at in ("start", "end"))
        lines = text.split("\n")
        lines[row] = lines[row][:start] + edit["text"] + lines[row][end:]
        assert lines[row] == line
        text = "\n".join(lines)
        change(in_process, text, version + 1)
        await in_process.call("workspace/executeCommand", edit["command"])
    answer = await ask(in_process, version=4)
    assert (answer["edits"], answer["reason"]) == ([], "nothing_follows")
    edits = in_process.server.session.next_edits
    assert (edits.num_shown, edits.num_accepted, edits.num_rejected) == (2, 2, 0)


async def test_rejected_it_does_not_come_again(in_process):
    await begin(in_process)
    change(in_process, RENAMED)
    rows = []
    for _ in range(2):
        (edit,) = (await ask(in_process))["edits"]
        rows.append(edit["range"]["start"]["line"])
        await in_process.call("notifyRejected", {"uuids": edit["command"]["arguments"]})
    assert rows == [1, 2]
    assert (await ask(in_process))["reason"] == "rejected"


async def test_nonsense_about_items_changes_nothing(in_process):
    await begin(in_process)
    for told in ({}, {"uuids": None}, {"uuids": [3]}, {"uuids": ["none of ours"]}, []):
        in_process.notify("notifyRejected", told)
        in_process.notify("textDocument/didShowInlineEdit", told)
    await in_process.call("workspace/executeCommand", {"command": "seedling.nextEditAccepted"})
    change(in_process, RENAMED)
    assert (await ask(in_process))["edits"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"nextEdit.enable": False}, "next_edit_off"),
        ({"enabled": False}, "disabled"),
        ({"manualOnly": True}, "manual_only"),
        ({"exclude": ["a.py"]}, "excluded"),
    ],
)
async def test_off_and_excluded(in_process, settings, reason):
    await begin(in_process, **settings)
    change(in_process, RENAMED)
    answer = await ask(in_process)
    assert (answer["edits"], answer["reason"]) == ([], reason)
    assert answer["sentence"]
    assert in_process.outcomes()[-1] == reason


async def test_a_snoozed_server_says_nothing_unasked(in_process):
    await begin(in_process)
    change(in_process, RENAMED)
    await in_process.call("workspace/executeCommand", {"command": "seedling.snooze", "arguments": [5]})
    assert (await ask(in_process))["reason"] == "snoozed"
    assert (await by_hand(in_process, params()))["edits"]


async def test_after_undo_nothing(in_process):
    await begin(in_process)
    change(in_process, RENAMED)
    change(in_process, TEXT, 3)
    assert (await ask(in_process, version=3))["reason"] == "undone"


async def test_another_version_and_an_unknown_document(in_process):
    await begin(in_process)
    change(in_process, RENAMED)
    assert (await ask(in_process, version=1))["reason"] == "stale"
    in_process.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert (await ask(in_process))["reason"] == "not_open"


async def test_a_key_cuts_what_is_looked_for_and_a_request_the_one_before(in_process, monkeypatch):
    monkeypatch.setattr(looking, "PAUSE_S", 60.0)
    await begin(in_process)
    change(in_process, RENAMED)
    first = in_process.request(METHOD, params())
    second = in_process.request(METHOD, params())
    assert (await in_process.answer(first))["result"]["reason"] == "superseded"
    change(in_process, RENAMED + "x\n", 3)
    assert (await in_process.answer(second))["result"]["reason"] == "stale"


async def test_it_does_not_cut_ghost_text_nor_is_cut_by_it(in_process, engine):
    await begin(in_process)
    change(in_process, RENAMED + "x = ")
    ghost = in_process.ask(URI, 3, 4)
    answer = await ask(in_process)
    assert answer["edits"]
    assert await in_process.items(ghost)


async def test_by_hand_waits_for_nothing_and_refuses_nonsense(in_process, monkeypatch):
    monkeypatch.setattr(looking, "PAUSE_S", 60.0)
    await begin(in_process, manualOnly=True)
    change(in_process, RENAMED)
    assert (await by_hand(in_process, params()))["edits"]
    for arguments in ([], [3], [{"textDocument": {}}]):
        with pytest.raises(Exception, match=r"seedling\.nextEdit takes"):
            await by_hand(in_process, *arguments)


async def test_the_status_says_that_it_is_on(in_process):
    await begin(in_process)
    assert in_process.statuses()[-1]["nextEdit"] is True
    in_process.configuration = {"nextEdit": {"enable": False}}
    in_process.notify("workspace/didChangeConfiguration", {"settings": None})
    await in_process.until(lambda: "nextEdit" not in in_process.statuses()[-1])


ADDED = ("def f(a):\n    return a\n\nf(1)\n", "def f(a, b):\n    return a\n\nf(1)\n")


async def test_a_hole_is_filled_by_a_model_that_can(in_process, engine):
    engine.capabilities = capabilities(model="fake", next_edit=True)
    engine.script = lambda request: Script(text="2)", confidence=0.99)
    await begin(in_process, ADDED[0])
    change(in_process, ADDED[1])
    (edit,) = (await ask(in_process))["edits"]
    assert edit["text"] == ", 2"
    assert engine.requests[-1].prompt.line == "f(1, "


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(text="2", confidence=0.2), "low_confidence"),
        (Script(text="2\u202e", confidence=0.99), "unsafe_text"),
        (Script(text="2 +", confidence=0.99), "nothing_follows"),
        (Script(text=")", confidence=0.99), "empty_answer"),
    ],
)
async def test_what_a_model_writes_is_doubted(in_process, engine, script, reason):
    engine.capabilities = capabilities(model="fake", next_edit=True)
    engine.script = lambda request: script
    await begin(in_process, ADDED[0])
    change(in_process, ADDED[1])
    assert (await ask(in_process))["reason"] == reason


async def test_without_such_a_model_the_engine_is_not_asked(in_process, engine):
    assert not msgspec.to_builtins(engine.capabilities)["next_edit"]
    await begin(in_process, ADDED[0])
    change(in_process, ADDED[1])
    assert (await ask(in_process))["reason"] == "nothing_follows"
    assert engine.requests == []
