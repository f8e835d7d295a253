"""A client with one Python document at a `file:` URI, an engine that repairs as told, and menus taken apart."""

from typing import Any

import msgspec
from capabilities import capabilities
from fake_engine import FakeEngine, Script

from model.engine import api

URI = "file:///c%3A/w/a.py"
ABLE = {
    "textDocument": {
        "synchronization": {"didSave": True},
        "codeAction": {
            "dataSupport": True,
            "resolveSupport": {"properties": ["edit"]},
            "tagSupport": {"valueSet": [1]},
        },
        "diagnostic": {"dynamicRegistration": False},
        "inlineCompletion": {},
    },
    "workspace": {
        "applyEdit": True,
        "workspaceEdit": {"documentChanges": True, "changeAnnotationSupport": {}},
        "diagnostics": {"refreshSupport": True},
    },
}


def replaced(text: str, old: str, new: str, confidence: float = 0.9, kind: str = "name") -> api.Finding:
    """The finding that turns the first `old` of a text into `new`."""
    start = text.index(old)
    return api.Finding(start=start, end=start + len(old), text=new, confidence=confidence, kind=kind)


def says(engine: FakeEngine, *findings: api.Finding, **more: Any) -> None:
    """What the engine answers to repairs from now on."""
    engine.repair_script = lambda request: Script(findings=findings, **more)


def can_repair(engine: FakeEngine, **changes: bool) -> None:
    engine.capabilities = capabilities(model="fake", **{"fix": True, "mend": True, **changes})


async def begin(client, text: str, able: dict | None = None, **settings: Any) -> None:
    """Opens the document, once the engine is ready."""
    options = {"seedling": settings}
    await client.initialize(
        {"capabilities": ABLE if able is None else able}, trace="messages", initializationOptions=options
    )
    await client.ready()
    client.open(URI, text)


def change(client, text: str, version: int = 2) -> None:
    document = {"uri": URI, "version": version}
    client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})


def diagnostic(row: int, source: str = "Ruff", first: int = 0, last: int = 3) -> dict[str, Any]:
    ends = {"start": {"line": row, "character": first}, "end": {"line": row, "character": last}}
    return {"range": ends, "message": "Undefined name", "source": source, "code": "F821", "severity": 99}


def question(row: int = 0, *diagnostics: dict, **context: Any) -> dict[str, Any]:
    at = {"line": row, "character": 0}
    return {
        "textDocument": {"uri": URI},
        "range": {"start": at, "end": at},
        "context": {"triggerKind": 1, "diagnostics": list(diagnostics), **context},
    }


async def menu(client, row: int = 0, *diagnostics: dict, **context: Any) -> list[dict[str, Any]]:
    return await client.call("textDocument/codeAction", question(row, *diagnostics, **context))


def reasons(client, feature: str = "actions") -> list[str]:
    """The reasons of all menus (or searches) so far."""
    notes = (note["params"]["message"] for note in client.notifications if note["method"] == "$/logTrace")
    traces = (msgspec.json.decode(note) for note in notes)
    return [trace["reason"] for trace in traces if trace.get("feature") == feature]
