"""`seedling.watch` as editors send it: a canvas is written before the user's eyes, and no document changes."""

from typing import Any

import pytest
from fake_engine import Script
from raw_client import VSCODE

from model.engine import api

URI = "file:///w/a.py"
CODE = "def f(x):\n    return \n"
STEPS = tuple(
    api.Progress(step=step, confidence=0.5, pieces=pieces)
    for step, pieces in (
        (1, (api.ProgressPiece(state="masked", text="", num_tokens=3, confidence=0.0),)),
        (2, (api.ProgressPiece(state="draft", text="x \u202e", num_tokens=3, confidence=0.5),)),
    )
)


async def begin(client, engine, script: Script | None = None, *, preview: bool = True, **settings: Any) -> None:
    engine.script = lambda request: script or Script(text="x + 1", progress=STEPS)
    options = {"seedling": {"preview": preview, **settings}}
    await client.initialize(VSCODE, trace="messages", initializationOptions=options)
    await client.ready()
    client.open(URI, CODE)


def send(client, **more: Any) -> int:
    argument = {"uri": URI, "position": {"line": 1, "character": 11}, **more}
    return client.request("workspace/executeCommand", {"command": "seedling.watch", "arguments": [argument]})


async def ask(client, **more: Any) -> dict[str, Any]:
    answer = await client.answer(send(client, **more))
    assert "error" not in answer, answer
    return answer["result"]


def frames(client) -> list[dict[str, Any]]:
    return [note["params"] for note in client.notifications if note["method"] == "seedling/canvas"]


async def test_every_step_is_shown_and_nothing_is_applied(in_process, engine):
    await begin(in_process, engine)
    reply = await ask(in_process, token="mine")
    assert {**reply, "elapsedMs": 0} == {
        "reason": None,
        "sentence": "",
        "uri": URI,
        "version": 1,
        "position": {"line": 1, "character": 11},
        "text": "x + 1",
        "steps": 2,
        "forwards": 3,
        "elapsedMs": 0,
        "confidence": 0.9,
    }
    first, second = frames(in_process)
    assert (first["token"], first["step"], first["pieces"][0]["numTokens"]) == ("mine", 1, 3)
    assert 0 <= first["elapsedMs"] <= second["elapsedMs"] <= reply["elapsedMs"]
    assert not [one for one in in_process.server_requests if one["method"] == "workspace/applyEdit"]


async def test_it_is_written_in_blocks_from_masks_behind_the_prompt_of_a_completion(in_process, engine):
    await begin(in_process, engine)
    await ask(in_process)
    await in_process.items(in_process.ask(URI, 1, 11, trigger_kind=1))
    watch, completion = engine.requests[:2]
    assert (watch.in_blocks, completion.in_blocks) == (True, False)
    assert watch.canvas == (api.Masked(),)
    assert watch.want_progress
    assert (watch.prompt, watch.stop) == (completion.prompt, completion.stop)


async def test_what_cannot_be_seen_is_drawn_as_an_escape(in_process, engine):
    await begin(in_process, engine)
    await ask(in_process)
    assert frames(in_process)[1]["pieces"][0]["text"] == "x \\u202e"


async def test_a_client_that_did_not_opt_in_gets_the_text_alone(in_process, engine):
    await begin(in_process, engine, preview=False)
    assert (await ask(in_process))["text"] == "x + 1"
    assert frames(in_process) == []


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(text=" \n"), "empty_answer"),
        (Script(text="", reason="deadline"), "deadline"),
        (Script(text="x \u202e"), "unsafe_text"),
        (Script(error=api.Error(code="bad_request", sentence="No.")), "engine_error"),
    ],
)
async def test_what_is_no_answer_has_a_reason(in_process, engine, script, reason):
    await begin(in_process, engine, script)
    reply = await ask(in_process)
    assert (reply["reason"], reply["text"]) == (reason, "")
    assert reply["sentence"]


async def test_what_was_written_until_the_deadline_is_shown(in_process, engine):
    await begin(in_process, engine, Script(text="x +", reason="deadline"))
    assert (await ask(in_process))["text"] == "x +"


async def test_a_keystroke_ends_it(in_process, engine):
    await begin(in_process, engine, Script(keep=True))
    asked = send(in_process)
    await in_process.until(lambda: engine.requests)
    in_process.change(URI, 2, {"text": CODE + "x = 1\n"})
    assert (await in_process.answer(asked))["result"]["reason"] == "stale"
    await in_process.until(lambda: engine.cancelled == [engine.requests[0].id])


async def test_taking_it_back_ends_it_in_the_engine(in_process, engine):
    await begin(in_process, engine, Script(keep=True))
    asked = send(in_process)
    await in_process.until(lambda: engine.requests)
    in_process.cancel(asked)
    assert (await in_process.answer(asked))["error"]["code"] == -32800
    await in_process.until(lambda: engine.cancelled == [engine.requests[0].id])


async def test_a_newer_watch_replaces_the_one_before(in_process, engine):
    await begin(in_process, engine, Script(keep=True))
    first = send(in_process)
    await in_process.until(lambda: engine.requests)
    engine.script = lambda request: Script(text="x + 1")
    assert (await ask(in_process))["text"] == "x + 1"
    assert (await in_process.answer(first))["result"]["reason"] == "superseded"


@pytest.mark.parametrize("switch", [("setDocument", URI, False), ("setLanguage", "python", False)])
async def test_switching_the_document_off_ends_it(in_process, engine, switch):
    await begin(in_process, engine, Script(keep=True))
    asked = send(in_process)
    await in_process.until(lambda: engine.requests)
    name, *arguments = switch
    await in_process.call("workspace/executeCommand", {"command": f"seedling.{name}", "arguments": arguments})
    reason = "document_off" if name == "setDocument" else "language_off"
    assert (await in_process.answer(asked))["result"]["reason"] == reason
    await in_process.until(lambda: engine.cancelled == [engine.requests[0].id])


async def test_a_snooze_is_about_what_nobody_asked_for(in_process, engine):
    await begin(in_process, engine, Script(text="x + 1", delay_s=0.2))
    asked = send(in_process)
    await in_process.until(lambda: engine.requests)
    await in_process.call("workspace/executeCommand", {"command": "seedling.snooze", "arguments": [5]})
    assert (await in_process.answer(asked))["result"]["text"] == "x + 1"


async def test_a_watch_and_ghost_text_leave_each_other_alone(in_process, engine):
    await begin(in_process, engine)
    engine.script = lambda request: Script(text="x + 1", keep=request.in_blocks)
    asked = send(in_process)
    await in_process.until(lambda: engine.requests)
    assert await in_process.items(in_process.ask(URI, 1, 11))
    assert asked not in in_process.answers
    in_process.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert (await in_process.answer(asked))["result"]["reason"] == "closed"


async def test_other_versions_closed_documents_and_switched_off_ones_have_a_reason(in_process, engine):
    await begin(in_process, engine, languagesOff=["python"])
    assert (await ask(in_process, version=7))["reason"] == "stale"
    assert (await ask(in_process))["reason"] == "language_off"
    in_process.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    reply = await ask(in_process)
    assert (reply["reason"], reply["version"]) == ("not_open", None)
    assert engine.requests == []


@pytest.mark.parametrize("argument", [None, [], {"uri": URI}, {"uri": 1, "position": {"line": 0, "character": 0}}])
async def test_nonsense_is_refused_with_a_sentence(in_process, engine, argument):
    await begin(in_process, engine)
    arguments = [] if argument is None else [argument]
    msg_id = in_process.request("workspace/executeCommand", {"command": "seedling.watch", "arguments": arguments})
    assert (await in_process.answer(msg_id))["error"]["code"] == -32602
    assert engine.requests == []
