"""Mend over the wire: hints in pauses only, moved and dropped with the text, sent away for good, pulled or pushed."""

from typing import Any

import pytest
from repairing import ABLE, URI, begin, can_repair, change, menu, reasons, replaced, says

from lsp_server.handlers import diagnostic
from lsp_server.outcome import Reason
from model.engine import api

TEXT = "import os\n\n\ndef name(path):\n    return os.path.basename(pth)\n"
FINDING = replaced(TEXT, "pth", "path", kind="spelling")
PUSHED = {**ABLE, "textDocument": {"codeAction": ABLE["textDocument"]["codeAction"], "inlineCompletion": {}}}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(diagnostic, "IDLE_S", 0.0)
    monkeypatch.setattr(diagnostic, "LOOK_AGAIN_S", 0.01)


@pytest.fixture
async def client(in_process, engine):
    can_repair(engine)
    says(engine, FINDING)
    return in_process


async def on(client, text: str = TEXT, able: dict | None = None, **settings: Any) -> None:
    await begin(client, text, able, **{"mend.enable": True, **settings})


async def pull(client, previous: str | None = None) -> dict[str, Any]:
    params: dict[str, Any] = {"textDocument": {"uri": URI}, "identifier": "seedling"}
    return await client.call("textDocument/diagnostic", params | ({"previousResultId": previous} if previous else {}))


async def looked(client, num: int = 1) -> list[str]:
    await client.until(lambda: len(reasons(client, "mend")) >= num)
    return reasons(client, "mend")


def refreshes(client) -> int:
    return sum(message["method"] == "workspace/diagnostic/refresh" for message in client.server_requests)


async def test_a_finding_is_a_hint_and_the_editor_is_told(client, engine):
    await on(client)
    await client.until(lambda: refreshes(client) == 1)
    (hint,) = (await pull(client))["items"]
    assert (hint["severity"], hint["source"], hint["code"]) == (4, "seedling", "spelling")
    assert hint["message"] == "Perhaps a mistake: `pth` → `path`?"
    assert hint["range"] == {"start": {"line": 4, "character": 28}, "end": {"line": 4, "character": 31}}
    assert hint["data"]["text"] == "path"
    (asked,) = engine.repairs
    assert (asked.text, asked.first_row, asked.last_row) == (TEXT, None, None)


async def test_a_pull_is_answered_at_once_and_an_equal_result_is_not_sent_again(client, engine):
    says(engine, FINDING, keep=True)
    await on(client)
    assert (await pull(client))["items"] == []
    assert reasons(client, "mend") == []
    says(engine, FINDING)
    change(client, TEXT)
    await looked(client, 2)
    first = await pull(client)
    assert len(first["items"]) == 1
    assert await pull(client, first["resultId"]) == {"kind": "unchanged", "resultId": first["resultId"]}


@pytest.mark.parametrize(
    ("settings", "able", "reason"),
    [
        ({"mend.enable": False}, {}, None),
        ({"exclude": ["a.py"]}, {}, None),
        ({"enabled": False}, {}, None),
        ({}, {"mend": False}, Reason.CANNOT_MEND),
        ({}, {"languages": ("go",)}, Reason.LANGUAGE_NOT_SUPPORTED),
    ],
)
async def test_nothing_is_looked_for(client, engine, settings, able, reason):
    can_repair(engine, **able)
    await on(client, **settings)
    assert (await pull(client))["items"] == []
    if reason is not None:
        assert (await looked(client))[0] == reason.slug
    assert engine.repairs == []


def test_it_is_off_unless_somebody_switches_it_on():
    from lsp_server.settings import Settings

    assert not Settings().mend_enable


async def test_a_change_cuts_the_search(client, engine):
    says(engine, FINDING, keep=True)
    await on(client)
    await client.until(lambda: engine.repairs)
    change(client, TEXT + "\n")
    assert (await looked(client))[0] == Reason.STALE.slug
    await client.until(lambda: engine.cancelled)


async def test_findings_move_with_the_text_and_go_with_their_line(client, engine):
    await on(client)
    await looked(client)
    says(engine, FINDING, keep=True)
    change(client, "# é\n" + TEXT)
    (hint,) = (await pull(client))["items"]
    assert hint["range"]["start"] == {"line": 5, "character": 28}
    change(client, "# é\n" + TEXT.replace("basename", "dirname"), version=3)
    assert (await pull(client))["items"] == []


async def test_a_finding_that_breaks_the_code_is_not_shown(client, engine):
    says(
        engine, replaced(TEXT, "pth", "pth)"), api.Finding(start=0, end=9_999, text="", confidence=1.0, kind="removed")
    )
    await on(client)
    assert await looked(client) == [Reason.NO_MISTAKE.slug]
    assert (await pull(client))["items"] == []


async def test_the_fix_of_a_hint_needs_no_engine(client, engine):
    await on(client)
    await looked(client)
    (hint,) = (await pull(client))["items"]
    num_asked = len(engine.repairs)
    fix, ignore = await menu(client, 4, hint)
    assert (fix["title"], ignore["title"]) == ("Seedling: `pth` → `path`", "Seedling: Ignore here")
    assert fix["diagnostics"] == [hint]
    assert len(engine.repairs) == num_asked
    resolved = await client.call("codeAction/resolve", fix)
    (document_change,) = resolved["edit"]["documentChanges"]
    assert document_change["edits"][0]["newText"] == "path"
    assert document_change["edits"][0]["range"] == hint["range"]


async def test_what_is_ignored_stays_away_here_and_in_the_next_session(client, engine, tmp_path):
    folder = {"workspaceFolders": [{"uri": "file:///c%3A/w", "name": "w"}]}
    options = {"seedling": {"mend.enable": True}}
    await client.initialize({"capabilities": ABLE}, trace="messages", initializationOptions=options, **folder)
    await client.ready()
    client.open(URI, TEXT)
    await looked(client)
    (hint,) = (await pull(client))["items"]
    _, ignore = await menu(client, 4, hint)
    command = {"command": ignore["command"]["command"], "arguments": ignore["command"]["arguments"]}
    assert await client.call("workspace/executeCommand", command) is None
    assert (await pull(client))["items"] == []
    change(client, "\n\n" + TEXT)  # another place, the same line
    assert (await pull(client))["items"] == []
    (kept,) = (tmp_path / "state" / "seedling").glob("dismissed-*")
    assert "pth" not in kept.read_text()
    session = client.server.session
    session.repairs.dismissed = type(session.repairs.dismissed)()  # as a new session reads it
    assert (await pull(client))["items"] == []


@pytest.mark.parametrize("arguments", [[], [1, 2], ["file:///a"], ["a", "b", "c"]])
async def test_a_wrong_ignore_is_one_sentence(client, arguments):
    await on(client)
    command = {"command": "seedling.ignoreFinding", "arguments": arguments}
    answer = await client.answer(client.request("workspace/executeCommand", command))
    assert "seedling.ignoreFinding takes" in answer["error"]["message"]


async def test_an_editor_that_does_not_pull_is_pushed(client):
    await on(client, able=PUSHED)
    notes = client.notifications

    def pushed() -> list[dict]:
        return [note["params"] for note in notes if note["method"] == "textDocument/publishDiagnostics"]

    await client.until(pushed)
    assert pushed()[0]["version"] == 1
    assert len(pushed()[0]["diagnostics"]) == 1
    client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    await client.until(lambda: pushed()[-1]["diagnostics"] == [])


async def test_switching_it_on_and_off_acts_at_once(client, engine):
    await on(client, **{"mend.enable": False})
    assert engine.repairs == []
    client.notify("workspace/didChangeConfiguration", {"settings": {"seedling": {"mend.enable": True}}})
    await looked(client)
    assert len((await pull(client))["items"]) == 1
    client.notify("workspace/didChangeConfiguration", {"settings": {"seedling": {"mend.enable": False}}})
    assert (await pull(client))["items"] == []
    await client.until(lambda: refreshes(client) == 2)


async def test_cells_are_not_looked_through(client, engine):
    await on(client)
    await looked(client)
    client.open("vscode-notebook-cell:/w/n.ipynb#W0", TEXT)
    assert await client.call("textDocument/diagnostic", {"textDocument": {"uri": "vscode-notebook-cell:/w/n.ipynb#W0"}})
    assert len(engine.repairs) == 1
    session = client.server.session
    cell = session.document("vscode-notebook-cell:/w/n.ipynb#W0")
    assert cell is not None
    assert diagnostic.why_off(session, cell) is Reason.IN_A_CELL


async def test_a_failing_engine_costs_no_answer_and_no_hint(client, engine):
    says(engine, FINDING, error=api.Error(code="x", sentence="No."), num_before_error=1)
    await on(client)
    assert (await looked(client))[0] == Reason.ENGINE_ERROR.slug
    assert (await pull(client))["items"] == []


async def test_what_a_hint_offers_is_not_offered_twice(client, engine):
    await on(client)
    await looked(client)
    (hint,) = (await pull(client))["items"]
    named = {**hint, "source": "Ruff"}
    says(engine, FINDING, replaced(TEXT, "basename", "dirname", 0.5))
    titles = [action["title"] for action in await menu(client, 4, hint, named)]
    assert titles == ["Seedling: `pth` → `path`", "Seedling: Ignore here", "Seedling: `basename` → `dirname`"]
