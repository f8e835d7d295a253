"""Engines that break, hang, lie or refuse: each ends in a named reason, a server that goes on, and no foreign text.

A table: what the engine does, and the reason that the trace names for an automatic request. Behind each row the same
server must complete again as soon as the engine behaves.
"""

import asyncio
import itertools
import json
from typing import Any

import msgspec
import pytest
from fake_engine import Script
from raw_client import OLD_VSCODE

from model.engine import api

URI = "file:///project/a.py"
TEXT = "x = \ny = 1\n"
DONE = {
    "event": "done",
    "text": "1",
    "reason": "stop",
    "confidence": 0.9,
    "steps": 1,
    "forwards": 1,
    "num_tokens": 1,
    "prompt_tokens": 1,
    "cached_tokens": 0,
    "model": "fake",
    "device": "none",
    "engine_ms": 1.0,
}
PROGRESS = api.encode_event(api.Progress(step=1, pieces=(), confidence=0.5))


def done(**changes: Any) -> bytes:
    """One `done` event with these fields changed, as JSON that Python writes and a strict parser may refuse."""
    return json.dumps(DONE | changes).encode() + b"\n"


def error(code: str) -> Script:
    return Script(error=api.Error(code=code, sentence="Because."))


LIES = {
    "says NUL": (Script(text="a\x00b"), "unsafe_text"),
    "turns the reading direction": (Script(text="a \u202e b"), "unsafe_text"),
    "says half a character": (Script(raw=done(text="\ud83d")), "engine_error"),
    "says a private escape sequence": (Script(text="\x1b]0;title\x07"), "unsafe_text"),
    "says ten megabytes": (Script(raw=done(text="a" * 10_000_000)), "engine_error"),
    "says ten megabytes of lines": (Script(raw=done(text="ab\n" * 3_000_000)), "engine_error"),
    "says nothing": (Script(text=""), "empty_answer"),
    "says blank lines": (Script(text="\n\n  \n"), "empty_answer"),
    "stutters": (Script(text="not and not and not and not and not and"), "repetition"),
    "is surer than sure of nothing": (Script(text=" ", confidence=5.0), "empty_answer"),
    "is less sure than not at all": (Script(confidence=-3.0), "low_confidence"),
    "is surer than a number can be": (Script(text=" ", confidence=1e308), "empty_answer"),
    "is unsure by NaN": (Script(raw=done(confidence=float("nan"))), "engine_error"),
    "is unsure by infinity": (Script(raw=done(confidence=float("-inf"))), "engine_error"),
    "calls its text a number": (Script(raw=done(text=1)), "engine_error"),
    "leaves fields out": (Script(raw=b'{"event":"done","text":"1"}\n'), "engine_error"),
    "sends an unknown event": (Script(raw=b'{"event":"surprise","text":"1"}\n'), "engine_error"),
    "sends an unknown event before the answer": (Script(raw=b'{"event":"surprise"}\n' + done()), "engine_error"),
    "sends a line that is no JSON": (Script(raw=b"{]}\n" + done()), "engine_error"),
    "sends bytes that are no text": (Script(raw=b"\xff\xfe\x00\n"), "engine_error"),
    "sends a list": (Script(raw=b"[1]\n"), "engine_error"),
    "sends a line without end": (Script(raw=b"a" * 10_000, endless=True), "engine_error"),
    "sends a web page": (Script(raw=b"<html>proxy</html>", status=502), "engine_error"),
    "sends nothing at all": (Script(raw=b""), "engine_error"),
    "only ever makes progress": (Script(raw=PROGRESS, endless=True), "deadline"),
    "breaks off after progress": (Script(raw=PROGRESS), "engine_error"),
    "had no time": (Script(text="", reason="deadline"), "deadline"),
    "was cancelled by somebody": (Script(text="1", reason="cancelled"), "cancelled"),
    "hangs": (Script(keep=True), "deadline"),
    "is slower than its deadline": (Script(delay_s=1.0), "deadline"),
    "is loading again": (error("loading"), "loading"),
    "refuses the request": (error("bad_request"), "engine_error"),
    "has too much to do": (error("queue_full"), "busy"),
    "was asked too much": (error("too_many"), "busy"),
    "refuses with a status": (
        Script(raw=msgspec.json.encode(api.Error(code="queue_full", sentence="Full.")), status=503),
        "busy",
    ),
}


@pytest.fixture
async def editor(in_process, monkeypatch):
    """A client with an open document, whose engine is ready and has little time."""
    monkeypatch.setattr("lsp_server.engine_link.GRACE_MS", 100)
    monkeypatch.setattr("lsp_server.engine_client.crashes.RESTART_DELAYS_S", (0.01, 0.01, 0.01))
    await in_process.initialize(OLD_VSCODE, trace="messages", initializationOptions={"automaticDeadlineMs": 150})
    await in_process.ready()
    in_process.open(URI, TEXT)
    return in_process


@pytest.mark.parametrize(("script", "reason"), LIES.values(), ids=LIES)
async def test_an_engine_that(editor, engine, script, reason, monkeypatch):
    if reason != "deadline":  # a busy machine must not be what ends it
        monkeypatch.setattr("lsp_server.engine_link.GRACE_MS", 30_000)
    engine.script = lambda request: script
    items = await editor.items(editor.ask(URI, 0, 4))
    assert editor.outcomes() == [reason]
    assert items == []
    assert len(json.dumps(editor.notifications)) < 100_000  # nothing of it is passed on
    await works_again(editor, engine)
    assert editor.statuses()[-1].items() >= {"busy": False, "message": "Ready.", "kind": "Normal"}.items()


async def works_again(editor, engine) -> None:
    """The engine behaves now: the next request is answered, and the document is what it was."""
    engine.script = lambda request: Script(text="good")
    editor.change(URI, 2, {"range": place(1, 5), "text": ""})
    (item,) = await editor.items(editor.ask(URI, 0, 4))
    assert item["insertText"] == "good"
    assert editor.server.session.document(URI).text == TEXT
    assert engine.requests[-1].prompt.line == "x = "


def place(line: int, character: int) -> dict:
    position = {"line": line, "character": character}
    return {"start": position, "end": position}


async def test_an_engine_that_becomes_another_server(editor, engine):
    """What listens there now sends what cannot be decompressed, to the request and to the question how it is."""
    engine.encoding = b"gzip"
    assert await editor.items(editor.ask(URI, 0, 4)) == []
    assert editor.outcomes() == ["engine_error"]
    engine.script = lambda request: Script(keep=True)
    editor.change(URI, 2, {"text": TEXT + "z = 2\n"})
    assert await editor.items(editor.ask(URI, 0, 4)) == []
    assert editor.outcomes() == ["engine_error", "deadline"]
    await editor.until(lambda: editor.statuses()[-1]["kind"] == "Error")
    assert "is not a Seedling engine" in editor.statuses()[-1]["message"]


async def test_an_engine_that_repeats_what_follows_the_cursor(editor, engine):
    editor.change(URI, 2, {"text": "f()\n"})
    engine.script = lambda request: Script(text=")")
    assert await editor.items(editor.ask(URI, 0, 2)) == []
    assert editor.outcomes() == ["same_as_suffix"]


async def test_an_engine_that_is_surer_than_sure(editor, engine):
    engine.script = lambda request: Script(text="good", confidence=1e308)
    assert len(await editor.items(editor.ask(URI, 0, 4))) == 1


async def test_alternatives_that_lie_do_not_take_the_first_answer_along(editor, engine):
    def script(request: api.DenoiseRequest) -> Script:
        return Script(text="good") if request.n == 1 else Script(raw=done(text="bad\x00") + b"{]}\n")

    engine.script = script
    items = await editor.items(editor.ask(URI, 0, 4, trigger_kind=0))
    assert [item["insertText"] for item in items] == ["good"]


async def test_an_engine_that_is_killed_while_it_answers(editor, engine):
    engine.script = lambda request: Script(crash=True, delay_s=0.05)
    asked = editor.ask(URI, 0, 4, trigger_kind=0)  # its deadline is the longer one
    await editor.until(lambda: engine.requests)
    engine.stop()
    assert await editor.items(asked) == []
    assert editor.outcomes() == ["no_engine"]
    await editor.until(lambda: editor.statuses()[-1]["kind"] == "Error")
    assert editor.statuses()[-1]["message"] == "No engine answers at the address in SEEDLING_ENGINE."
    assert await editor.items(editor.ask(URI, 0, 4)) == []
    assert editor.outcomes() == ["no_engine", "no_engine"]
    engine.start()
    editor.ask(URI, 0, 4, trigger_kind=0)  # by hand: worth another try
    await editor.ready()
    await works_again(editor, engine)


async def test_an_engine_that_dies_on_every_request_stays_down_and_the_status_says_so(editor, engine):
    engine.script = lambda request: Script(crash=True)
    reasons = set()
    async with asyncio.timeout(60):
        for version in itertools.count(2):
            editor.change(URI, version, {"range": place(1, 0), "text": "#"})  # never twice the same request
            await editor.items(editor.ask(URI, 0, 4, trigger_kind=0))
            reasons = set(editor.outcomes())
            if any(status["kind"] == "Error" for status in editor.statuses()):
                break
            await asyncio.sleep(0.02)
    # Each question by hand tries once more, and for that long the status says so.
    await editor.until(lambda: "stays down" in editor.statuses()[-1]["message"])
    assert reasons <= {"no_engine", "loading"}
    num_requests = len(engine.requests)
    assert await editor.items(editor.ask(URI, 0, 4, trigger_kind=0)) == []
    assert len(engine.requests) == num_requests


async def test_an_engine_that_is_restarted_between_two_requests(editor, engine):
    assert len(await editor.items(editor.ask(URI, 0, 4))) == 1
    engine.stop()
    engine.start()
    editor.change(URI, 2, {"range": place(1, 0), "text": "#"})
    async with asyncio.timeout(60):
        while not (items := await editor.items(editor.ask(URI, 0, 4, trigger_kind=0))):
            await asyncio.sleep(0.02)
    assert items[0]["insertText"] == "answer"


WRONG_HEALTH = {
    "speaks another version": ({"api_version": 99}, "speaks version 99"),
    "cannot be decompressed": ({"encoding": b"gzip"}, "is not a Seedling engine"),
    "is no engine": ({"health_body": b"<html>"}, "is not a Seedling engine"),
    "has no capabilities": ({"capabilities": {"api": 1}}, "is not a Seedling engine"),
    "has failed": ({"health_status": "failed"}, "As told."),
}


@pytest.mark.parametrize(("lie", "sentence"), WRONG_HEALTH.values(), ids=WRONG_HEALTH)
async def test_an_engine_at_the_start_that(in_process, engine, lie, sentence):
    for name, value in lie.items():
        setattr(engine, name, value)
    await in_process.initialize(OLD_VSCODE, trace="messages")
    await in_process.until(lambda: in_process.statuses() and in_process.statuses()[-1]["kind"] == "Error")
    assert sentence in in_process.statuses()[-1]["message"]
    in_process.open(URI, TEXT)
    assert await in_process.items(in_process.ask(URI, 0, 4)) == []
    assert in_process.outcomes() == ["no_engine"]
    assert not engine.requests


async def test_an_engine_that_cannot_complete(in_process, engine):
    engine.capabilities = msgspec.structs.replace(engine.capabilities, complete=())
    await in_process.initialize(OLD_VSCODE, trace="messages")
    await in_process.ready()
    in_process.open(URI, TEXT)
    assert await in_process.items(in_process.ask(URI, 0, 4, trigger_kind=0)) == []
    assert in_process.outcomes() == ["cannot_complete"]
    assert not engine.requests
