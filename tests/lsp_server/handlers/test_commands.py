"""Commands as an editor sends them: switches act at once, end again, and refuse nonsense with a sentence."""

from typing import Any

import pytest
from fake_engine import Script

URI = "file:///c%3A/w/a.py"


async def begin(client, engine) -> None:
    engine.script = lambda request: Script(text="1")
    await client.initialize(trace="messages")
    await client.ready()
    client.open(URI, "x = ")


async def command(client, name: str, *arguments: Any) -> Any:
    return await client.call("workspace/executeCommand", {"command": name, "arguments": list(arguments)})


async def shown(client, **more: Any) -> bool:
    return bool(await client.items(client.ask(URI, 0, 4, **more)))


async def test_a_snooze_stops_what_comes_unasked_until_it_ends(in_process, engine):
    await begin(in_process, engine)
    assert await shown(in_process)
    status = await command(in_process, "seedling.snooze", 5)
    assert status["snoozedUntilS"] > 0
    assert status["kind"] == "Inactive"
    assert not await shown(in_process)  # not from what was offered before, either
    assert in_process.outcomes()[-1] == "snoozed"
    assert await shown(in_process, trigger_kind=1)
    last = in_process.statuses()[-1]
    assert (last["kind"], last["reason"]) == ("Inactive", "snoozed")
    assert "until" in last["message"]
    status = await command(in_process, "seedling.snooze", 0)
    assert "snoozedUntilS" not in status
    assert await shown(in_process)
    assert in_process.statuses()[-1]["message"] == "Ready."


async def test_a_snooze_ends_by_itself_and_says_so(in_process, engine):
    await begin(in_process, engine)
    switches = in_process.server.session.switches
    clock_s = switches.now_s()
    switches.now_s = lambda: clock_s
    await command(in_process, "seedling.snooze", 1e-6)  # some microseconds
    assert in_process.statuses()[-1]["reason"] == "snoozed"
    clock_s += 1
    await in_process.until(lambda: in_process.statuses()[-1]["message"] == "Ready.")
    assert await shown(in_process)


async def test_the_default_is_ten_minutes(in_process, engine):
    await begin(in_process, engine)
    now_s = in_process.server.session.switches.now_s()
    in_process.server.session.switches.now_s = lambda: now_s
    assert (await command(in_process, "seedling.snooze"))["snoozedUntilS"] == now_s + 600
    assert (await in_process.call("workspace/executeCommand", {"command": "seedling.snooze"}))["snoozedUntilS"]
    assert (await command(in_process, "seedling.snooze", 10**400))["snoozedUntilS"] > now_s + 600


@pytest.mark.parametrize(
    ("name", "argument", "reason"),
    [
        ("seedling.setDocument", "file:///C:/w/a.py", "document_off"),
        ("seedling.setLanguage", "python", "language_off"),
    ],
)
async def test_a_document_and_a_language(in_process, engine, name, argument, reason):
    await begin(in_process, engine)
    status = await command(in_process, name, argument, False)
    in_process.notify("textDocument/didFocus", {"textDocument": {"uri": URI}})
    for trigger_kind in (1, 2):
        assert not await shown(in_process, trigger_kind=trigger_kind)
        assert in_process.outcomes()[-1] == reason
    status = await command(in_process, "seedling.status")
    assert (status["document"]["uri"], status["document"]["reason"]) == (URI, reason)
    assert status["last"]["reason"] == reason
    assert in_process.statuses()[-1]["reason"] == reason
    await command(in_process, name, argument, True)
    assert await shown(in_process)
    assert len(engine.requests) == 1


async def test_what_runs_is_cut_and_named(in_process, engine):
    await begin(in_process, engine)
    engine.script = lambda request: Script(keep=True)
    for name, arguments, reason in (
        ("seedling.snooze", [5], "snoozed"),
        ("seedling.setDocument", [URI, False], "document_off"),
        ("seedling.setLanguage", ["python", False], "language_off"),
    ):
        num_before = len(engine.requests)
        running = in_process.ask(URI, 0, 4)
        await in_process.until(lambda num=num_before: len(engine.requests) > num)
        await command(in_process, name, *arguments)
        assert await in_process.items(running) == []
        assert in_process.outcomes()[-1] == reason
        await in_process.until(lambda: len(engine.cancelled) == len(engine.requests))
        await command(in_process, name, *([0] if name == "seedling.snooze" else [arguments[0], True]))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("seedling.snooze", ["ten"]),
        ("seedling.snooze", [-1]),
        ("seedling.snooze", [float("nan")]),
        ("seedling.snooze", [True]),
        ("seedling.snooze", [{"minutes": 5}]),
        ("seedling.setDocument", []),
        ("seedling.setDocument", [URI]),
        ("seedling.setDocument", [URI, "no"]),
        ("seedling.setDocument", [3, False]),
        ("seedling.setDocument", ["", False]),
        ("seedling.setLanguage", ["python", False, 1]),
        ("seedling.status", [7]),
    ],
)
async def test_nonsense_is_refused_with_a_sentence_and_changes_nothing(in_process, engine, name, arguments):
    await begin(in_process, engine)
    answer = await in_process.answer(
        in_process.request("workspace/executeCommand", {"command": name, "arguments": arguments})
    )
    assert answer["error"]["code"] == -32602
    assert answer["error"]["message"].startswith(f"{name} takes ")
    assert "\n" not in answer["error"]["message"]
    assert await shown(in_process)
