"""Menus and slow searches: what is not there in time is offered as an entry that waits, and is found only once."""

from typing import Any

import pytest
from fake_engine import Script
from repairing import ABLE, URI, begin, can_repair, change, diagnostic, menu, question, reasons, replaced, says

from lsp_server.outcome import Reason

TEXT = "a = 1\nb = aa\n\n\ndef f(c):\n    return cc\n"
LATE = "Seedling: apply the surest fix (still looking)"


@pytest.fixture
async def client(in_process, engine, monkeypatch):
    can_repair(engine)
    says(engine, keep=True)
    monkeypatch.setattr("lsp_server.handlers.fixing.MENU_PATIENCE_S", 0.05)
    in_process.apply_edits = True
    await begin(in_process, TEXT)
    return in_process


@pytest.fixture
def patient(client, monkeypatch) -> None:
    monkeypatch.setattr("lsp_server.handlers.fixing.MENU_PATIENCE_S", 60.0)


def titles(actions: list[dict[str, Any]]) -> list[str]:
    return [action["title"] for action in actions]


def slowly(engine, *findings, delay_s: float = 0.3) -> None:
    """What the engine answers from now on, longer than a menu waits."""
    says(engine, *findings, delay_s=delay_s)


async def choose(client, action: dict[str, Any]) -> dict[str, Any]:
    return await client.call(
        "workspace/executeCommand",
        {"command": action["command"]["command"], "arguments": action["command"]["arguments"]},
    )


def messages(client) -> list[str]:
    return [note["params"]["message"] for note in client.notifications if note["method"] == "window/showMessage"]


def edits(client) -> list[dict[str, Any]]:
    asked = [one["params"]["edit"] for one in client.server_requests if one["method"] == "workspace/applyEdit"]
    return [edit for one in asked for change in one["documentChanges"] for edit in change["edits"]]


async def test_a_menu_does_not_wait_for_a_slow_search(client):
    named = diagnostic(1)
    (action,) = await menu(client, 1, named)
    assert action["title"] == LATE
    assert (action["kind"], action["diagnostics"], action["tags"]) == ("quickfix.seedling", [named], [1])
    assert {"data", "edit", "isPreferred"} & action.keys() == set()  # editors resolve what is only looked at
    assert reasons(client) == ["shown"]


async def test_choosing_it_waits_for_the_surest_fix_and_applies_that(client, engine):
    slowly(engine, replaced(TEXT, "aa", "b", 0.2), replaced(TEXT, "aa", "a", 0.9))
    (action,) = await menu(client, 1, diagnostic(1))
    assert await choose(client, action) == {"applied": True, "reason": None, "sentence": ""}
    (edit,) = edits(client)
    ends = {"start": {"line": 1, "character": 4}, "end": {"line": 1, "character": 6}}
    assert (edit["range"], edit["newText"]) == (ends, "a")
    assert len(engine.repairs) == 1
    assert messages(client) == []


async def test_opening_the_menu_again_shows_what_was_found_meanwhile(client, engine):
    slowly(engine, replaced(TEXT, "aa", "a"))
    while titles(actions := await menu(client, 1, diagnostic(1))) == [LATE]:
        pass
    assert titles(actions) == ["Seedling: `aa` → `a`"]
    assert titles(await menu(client, 1, diagnostic(1))) == ["Seedling: `aa` → `a`"]
    assert len(engine.repairs) == 1


async def test_that_nothing_was_found_is_known_too_but_an_engine_that_had_no_time_is_asked_again(
    client, engine, patient
):
    says(engine)
    assert await menu(client, 1, diagnostic(1)) == []
    assert await menu(client, 1, diagnostic(1)) == []
    assert len(engine.repairs) == 1
    says(engine, repaired="deadline")
    assert await menu(client, 5, diagnostic(5)) == []
    assert await menu(client, 5, diagnostic(5)) == []
    assert len(engine.repairs) == 3
    assert reasons(client) == [Reason.NOTHING_TO_FIX.slug] * 2 + [Reason.DEADLINE.slug] * 2


async def test_where_there_is_nothing_whoever_chose_it_is_told(client, engine):
    slowly(engine)
    (action,) = await menu(client, 1, diagnostic(1))
    answer = await choose(client, action)
    assert answer == {"applied": False, "reason": "nothing_to_fix", "sentence": Reason.NOTHING_TO_FIX.value}
    assert messages(client) == [f"Seedling: {Reason.NOTHING_TO_FIX.value}"]
    assert edits(client) == []


async def test_a_change_ends_the_search_and_what_was_known(client, engine):
    (action,) = await menu(client, 1, diagnostic(1))
    asked = client.request(
        "workspace/executeCommand",
        {"command": action["command"]["command"], "arguments": action["command"]["arguments"]},
    )
    change(client, "# one\n" + TEXT)
    assert (await client.answer(asked))["result"]["reason"] == Reason.STALE.slug
    await client.until(lambda: engine.cancelled == [engine.repairs[0].id])
    assert (await choose(client, action))["reason"] == Reason.STALE.slug
    assert messages(client) == []
    says(engine, replaced("# one\n" + TEXT, "aa", "a"))
    while titles(actions := await menu(client, 2, diagnostic(2))) == [LATE]:
        pass
    assert titles(actions) == ["Seedling: `aa` → `a`"]


async def test_another_place_ends_the_search_before_it(client, engine):
    await menu(client, 1, diagnostic(1))
    await menu(client, 5, diagnostic(5))
    first, second = engine.repairs
    assert (first.first_row, second.first_row) == (1, 5)
    await client.until(lambda: engine.cancelled == [first.id])


async def test_taking_the_menu_back_ends_its_search(client, engine, patient):
    asked = client.request("textDocument/codeAction", question(1, diagnostic(1)))
    await client.until(lambda: engine.repairs)
    client.cancel(asked)
    assert (await client.answer(asked))["error"]["code"] == -32800
    await client.until(lambda: engine.cancelled == [engine.repairs[0].id])


async def test_a_newer_menu_at_the_same_place_takes_the_search_over(client, engine, patient):
    slowly(engine, replaced(TEXT, "aa", "a"))
    first = client.request("textDocument/codeAction", question(1, diagnostic(1)))
    await client.until(lambda: engine.repairs)
    second = client.request("textDocument/codeAction", question(1, diagnostic(1)))
    client.cancel(first)
    assert titles((await client.answer(second))["result"]) == ["Seedling: `aa` → `a`"]
    assert len(engine.repairs) == 1


async def test_switching_the_document_off_ends_the_search(client, engine, patient):
    asked = client.request("textDocument/codeAction", question(1, diagnostic(1)))
    await client.until(lambda: engine.repairs)
    await client.call("workspace/executeCommand", {"command": "seedling.setDocument", "arguments": [URI, False]})
    assert (await client.answer(asked))["result"] == []
    assert reasons(client) == [Reason.DOCUMENT_OFF.slug]
    await client.until(lambda: engine.cancelled == [engine.repairs[0].id])


async def test_what_is_switched_off_meanwhile_is_not_applied(client, engine):
    slowly(engine, replaced(TEXT, "aa", "a"))
    (action,) = await menu(client, 1, diagnostic(1))
    await client.call("workspace/executeCommand", {"command": "seedling.setDocument", "arguments": [URI, False]})
    assert (await choose(client, action))["reason"] == Reason.DOCUMENT_OFF.slug
    assert edits(client) == []


@pytest.mark.parametrize("rows", [None, [1], [1, 99], [-1, 0], [2, 1], ["1", "1"]])
async def test_rows_that_do_not_fit_change_nothing(client, engine, rows):
    (action,) = await menu(client, 1, diagnostic(1))
    data = {**action["command"]["arguments"][0], "rows": rows}
    say = {"command": action["command"]["command"], "arguments": [data, "t"]}
    assert (await client.call("workspace/executeCommand", say))["applied"] is False
    assert edits(client) == []


async def test_an_editor_that_applies_no_edits_waits(in_process, engine, monkeypatch):
    monkeypatch.setattr("lsp_server.handlers.fixing.MENU_PATIENCE_S", 0.0)
    can_repair(engine)
    engine.repair_script = lambda request: Script(findings=(replaced(TEXT, "aa", "a"),), delay_s=0.1)
    await begin(in_process, TEXT, {"textDocument": ABLE["textDocument"]})
    assert titles(await menu(in_process, 1, diagnostic(1))) == ["Seedling: `aa` → `a`"]


async def test_what_diagnostics_say_of_the_rows_goes_along(client, engine, patient):
    says(engine, replaced(TEXT, "aa", "a"))
    long = {**diagnostic(1), "message": "x" * 1000}
    odd = {**diagnostic(1), "message": {"kind": "markup"}}
    await menu(client, 1, diagnostic(1), long, odd)
    assert engine.repairs[-1].messages == ("Undefined name", "x" * 400)
