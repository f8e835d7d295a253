"""What the status says: the engine, then why the document in focus stays quiet, and never what passes by."""

from typing import Any

from fake_engine import Script
from msgspec.structs import replace

from lsp_server.engine_link import EngineState

PLAIN = "file:///w/a.py"
SECRET = "file:///w/.env"
RUST = "file:///w/a.rs"


async def begin(client, engine, **options: Any) -> None:
    engine.script = lambda request: Script(text="1")
    await client.initialize(initializationOptions=options)
    await client.ready()


def focus(client, uri: str | None) -> None:
    client.notify("textDocument/didFocus", None if uri is None else {"textDocument": {"uri": uri}})


def last(client) -> tuple[str, str | None, str | None]:
    status = client.statuses()[-1]
    return status["kind"], status.get("reason"), status.get("uri")


async def settled(client) -> None:
    """All notifications that were sent before have arrived."""
    await client.call("workspace/executeCommand", {"command": "seedling.status"})


async def test_the_focused_document_decides(in_process, engine):
    await begin(in_process, engine)
    for uri, language in ((PLAIN, "python"), (SECRET, "shellscript"), (RUST, "rust")):
        in_process.open(uri, "x = ", language)
    for uri, expected in (
        (SECRET, ("Inactive", "excluded", SECRET)),
        (PLAIN, ("Normal", None, None)),
        (RUST, ("Inactive", "language_not_supported", RUST)),
        (None, ("Normal", None, None)),
    ):
        focus(in_process, uri)
        await settled(in_process)
        assert last(in_process) == expected
    assert "(.env)" in next(status["message"] for status in in_process.statuses() if status.get("uri") == SECRET)
    assert "rust" in next(status["message"] for status in in_process.statuses() if status.get("uri") == RUST)


async def test_a_focus_that_comes_before_the_document(in_process, engine):
    await begin(in_process, engine)
    focus(in_process, SECRET)
    await settled(in_process)
    assert last(in_process) == ("Normal", None, None)
    in_process.open(SECRET, "x")
    await settled(in_process)
    assert last(in_process) == ("Inactive", "excluded", SECRET)


async def test_one_endless_line_is_no_matter_of_the_document(in_process, engine):
    await begin(in_process, engine)
    in_process.open(PLAIN, "d = '" + "x" * 5_000 + "'\ny = ")
    focus(in_process, PLAIN)
    assert await in_process.items(in_process.ask(PLAIN, 1, 4))
    await in_process.items(in_process.ask(PLAIN, 0, 9, trigger_kind=1))
    report = await in_process.call("workspace/executeCommand", {"command": "seedling.status"})
    assert (report["document"]["reason"], report["last"]["reason"]) == (None, "minified")
    assert last(in_process) == ("Normal", None, None)


async def test_what_is_closed_says_nothing_any_more(in_process, engine):
    await begin(in_process, engine)
    in_process.open(SECRET, "x")
    await in_process.items(in_process.ask(SECRET, 0, 1))
    await settled(in_process)
    assert last(in_process) == ("Inactive", "excluded", SECRET)
    in_process.notify("textDocument/didClose", {"textDocument": {"uri": SECRET}})
    await settled(in_process)
    assert last(in_process) == ("Normal", None, None)


async def test_without_focus_messages_the_last_that_asked_decides(in_process, engine):
    await begin(in_process, engine)
    in_process.open(PLAIN, "x = ")
    in_process.open(SECRET, "x = ")
    for uri, expected in ((SECRET, ("Inactive", "excluded", SECRET)), (PLAIN, ("Normal", None, None))):
        await in_process.items(in_process.ask(uri, 0, 4))
        await settled(in_process)
        assert last(in_process) == expected


async def test_what_comes_and_goes_while_one_types_is_no_status(in_process, engine):
    await begin(in_process, engine)
    in_process.open(PLAIN, "x = value\n# words\n")
    focus(in_process, PLAIN)
    num_before = len(in_process.statuses())
    for line, character in ((0, 2), (0, 6), (1, 7), (0, 9)):
        await in_process.items(in_process.ask(PLAIN, line, character))
    await settled(in_process)
    assert len(in_process.statuses()) == num_before
    report = await in_process.call("workspace/executeCommand", {"command": "seedling.status"})
    assert report["document"] == {"uri": PLAIN, "reason": None, "sentence": ""}


async def test_the_focus_leaves_the_syntax_tree_of_the_last_keystroke_alone(in_process, engine):
    await begin(in_process, engine)
    in_process.open(PLAIN, "x = 1\ny = ")
    await in_process.items(in_process.ask(PLAIN, 1, 4))
    session = in_process.server.session
    lines = session.document(PLAIN).lines
    tree = session.trees.of(PLAIN, lines, "python")
    focus(in_process, PLAIN)
    await settled(in_process)
    assert session.trees.of(PLAIN, lines, "python") is tree


async def test_manual_only_does_not_flap_when_asked_by_hand(in_process, engine):
    await begin(in_process, engine, manualOnly=True)
    in_process.open(PLAIN, "x = ")
    focus(in_process, PLAIN)
    await settled(in_process)
    num_before = len(in_process.statuses())
    assert last(in_process) == ("Inactive", "manual_only", PLAIN)
    for trigger_kind in (2, 1, 2, 1):
        await in_process.items(in_process.ask(PLAIN, 0, 4, trigger_kind=trigger_kind))
    await settled(in_process)
    assert len(in_process.statuses()) == num_before


async def test_a_document_that_grows_too_large_and_shrinks(in_process, engine):
    await begin(in_process, engine, maxFileBytes=20)
    in_process.open(PLAIN, "x = ")
    focus(in_process, PLAIN)
    for version, text, reason in ((2, "x = \n" + "y = 1\n" * 9, "huge_file"), (3, "x = ", None)):
        in_process.change(PLAIN, version, {"text": text})
        await in_process.items(in_process.ask(PLAIN, 0, 4))
        await settled(in_process)
        assert last(in_process)[1] == reason


async def test_settings_change_the_status_at_once(in_process, engine):
    await begin(in_process, engine)
    in_process.open(PLAIN, "x = ")
    focus(in_process, PLAIN)
    in_process.configuration = {"enabled": False}
    in_process.notify("workspace/didChangeConfiguration", {"settings": None})
    await in_process.until(lambda: last(in_process)[1] == "disabled")
    in_process.configuration = {}
    in_process.notify("workspace/didChangeConfiguration", {"settings": None})
    await in_process.until(lambda: last(in_process) == ("Normal", None, None))


async def test_the_report_holds_everything_a_person_needs(in_process, engine):
    await begin(in_process, engine)
    in_process.open(PLAIN, "x = ")
    await in_process.items(in_process.ask(PLAIN, 0, 4))
    call = {"command": "seedling.status", "arguments": [PLAIN]}
    assert await in_process.call("workspace/executeCommand", call) == {
        "kind": "Normal",
        "busy": False,
        "message": "Ready.",
        "model": "fake",
        "device": "none",
        "languages": ["python"],
        "rewrite": "none",
        "rewriteKinds": [],
        "document": {"uri": PLAIN, "reason": None, "sentence": ""},
        "last": {"reason": None, "sentence": ""},
    }
    call = {"command": "seedling.status", "arguments": ["file:///w/never-opened.py"]}
    assert (await in_process.call("workspace/executeCommand", call))["document"]["reason"] == "not_open"


async def test_the_status_says_what_may_be_rewritten(in_process, engine):
    listed = {"rewrite": "listed", "edits_listed": ("docstring", "rename", "unheard-of")}
    engine.capabilities = replace(engine.capabilities, **listed)
    await begin(in_process, engine)
    report = await in_process.call("workspace/executeCommand", {"command": "seedling.status"})
    docstring = {"kind": "docstring", "title": "Add a docstring", "instruction": "add a docstring"}
    for status in (report, in_process.statuses()[-1]):
        assert (status["rewrite"], status["rewriteKinds"]) == ("listed", [docstring])


async def test_a_model_that_is_not_there_yet_says_nothing_of_rewriting(in_process, engine):
    engine.health_status = "loading"
    await in_process.initialize()
    await in_process.until(lambda: in_process.statuses())
    assert "rewrite" not in in_process.statuses()[-1]


async def test_the_engine_comes_first(in_process, engine):
    engine.health_status = "failed"
    await in_process.initialize()
    in_process.open(SECRET, "x")
    focus(in_process, SECRET)
    await in_process.until(lambda: in_process.statuses() and in_process.statuses()[-1]["kind"] == "Error")
    assert last(in_process) == ("Error", None, None)
    report = await in_process.call("workspace/executeCommand", {"command": "seedling.status"})
    assert report["document"]["reason"] == "excluded"
    assert report["model"] is None


async def test_an_engine_that_is_offline_is_said_aloud_once(in_process):
    def said() -> list[str]:
        return [
            note["params"]["message"] for note in in_process.notifications if note["method"] == "window/showMessage"
        ]

    await in_process.initialize()
    await in_process.ready()
    link = in_process.server.session.engine
    for kind in ("offline", "loading", "offline", "loading", "ready", "offline"):
        link._set(EngineState(kind=kind, sentence="The engine at https://box does not answer: as told."))
    await in_process.until(lambda: in_process.statuses()[-1]["kind"] == "Warning")
    assert said() == ["Seedling: The engine at https://box does not answer: as told."]
    assert "does not answer" in in_process.statuses()[-1]["message"]
    link._set(EngineState(kind="ready", sentence="A stand-in.", is_stand_in=True))
    await in_process.until(lambda: in_process.statuses()[-1]["message"] == "A stand-in.")
    assert in_process.statuses()[-1]["kind"] == "Warning"
    assert len(said()) == 1
