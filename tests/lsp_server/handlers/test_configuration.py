"""Settings files as a session meets them: at the start, when they change, and for the right documents."""

from pathlib import Path
from typing import Any

import pytest
from fake_engine import Script
from raw_client import VSCODE

WATCHING = {
    **VSCODE,
    "capabilities": {
        **VSCODE["capabilities"],
        "workspace": {
            **VSCODE["capabilities"]["workspace"],
            "didChangeWatchedFiles": {"dynamicRegistration": True},
        },
    },
}


def registrations(client) -> list[dict]:
    asked = [request["params"].get("registrations", []) for request in client.server_requests]
    return [one for many in asked for one in many]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


async def begin(client, engine, *folders: Path, profile: dict = VSCODE, **more: Any) -> None:
    engine.script = lambda request: Script(text="1")
    named = [{"uri": folder.as_uri(), "name": folder.name} for folder in folders]
    await client.initialize(profile, workspaceFolders=named or None, trace="messages", **more)
    await client.ready()


async def outcome(client, path: Path) -> str:
    if client.server.session.document(path.as_uri()) is None:
        client.open(path.as_uri(), "x = ")
    await client.items(client.ask(path.as_uri(), 0, 4))
    return client.outcomes()[-1]


def warnings(client) -> list[str]:
    return [note["params"]["message"] for note in client.notifications if note["method"] == "window/logMessage"]


async def test_a_projects_file_governs_its_folder_from_the_first_request_on(in_process, engine, project, tmp_path):
    (project / ".seedling.toml").write_text("exclude = ['secret_*.py']\nconfidence = 0.0\nengine = 'http://evil'\n")
    await begin(in_process, engine, project)
    assert await outcome(in_process, project / "secret_a.py") == "excluded"
    assert engine.requests == []
    assert await outcome(in_process, project / "a.py") == "shown"
    assert await outcome(in_process, tmp_path / "secret_a.py") == "shown"
    named = [sentence for sentence in warnings(in_process) if ".seedling.toml" in sentence]
    assert [word for word in ("engine", "confidence") if any(f" {word} in " in sentence for sentence in named)]
    assert len(named) == len(set(named)) == 2


async def test_no_folder_no_project(in_process, engine, project):
    (project / ".seedling.toml").write_text("enabled = false")
    await begin(in_process, engine)  # what VS Code sends in an untrusted workspace
    assert await outcome(in_process, project / "a.py") == "shown"


async def test_a_changed_file_is_read_when_the_editor_says_so(in_process, engine, project):
    await begin(in_process, engine, project, profile=WATCHING)
    await in_process.until(lambda: registrations(in_process))
    watchers = [one["registerOptions"] for one in registrations(in_process) if "Watched" in one["method"]]
    assert watchers == [{"watchers": [{"globPattern": "**/.seedling.toml"}, {"globPattern": "**/.seedlingignore"}]}]
    assert await outcome(in_process, project / "a.py") == "shown"
    file = project / ".seedling.toml"
    file.write_text("manual_only = true")
    in_process.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": file.as_uri(), "type": 1}, 7]})
    assert await outcome(in_process, project / "a.py") == "manual_only"
    file.unlink()
    in_process.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": file.as_uri(), "type": 3}]})
    assert await outcome(in_process, project / "a.py") == "shown"


async def test_without_watching_a_focus_or_an_opened_document_will_do(in_process, engine, project):
    await begin(in_process, engine, project)
    assert await outcome(in_process, project / "a.py") == "shown"
    (project / ".seedling.toml").write_text("manual_only = true")
    in_process.notify("textDocument/didFocus", {"textDocument": {"uri": (project / "a.py").as_uri()}})
    assert await outcome(in_process, project / "a.py") == "manual_only"
    (project / ".seedling.toml").write_text("enabled = false")
    assert await outcome(in_process, project / "b.py") == "disabled"


async def test_what_seedlingignore_names_is_not_completed_and_what_gitignore_names_is(in_process, engine, project):
    (project / ".gitignore").write_text("draft.py\n")
    (project / ".seedlingignore").write_text("private/\n")
    await begin(in_process, engine, project)
    assert await outcome(in_process, project / "draft.py") == "shown"
    assert await outcome(in_process, project / "private" / "a.py") == "excluded"
    report = {"command": "seedling.status", "arguments": [(project / "private" / "a.py").as_uri()]}
    document = (await in_process.call("workspace/executeCommand", report))["document"]
    assert document["reason"] == "excluded"
    assert document["sentence"].endswith("(.seedlingignore)")
    num_asked = len(engine.requests)
    (project / ".seedlingignore").write_text("draft.py\n")
    in_process.notify("textDocument/didSave", {"textDocument": {"uri": (project / ".seedlingignore").as_uri()}})
    assert await outcome(in_process, project / "draft.py") == "excluded"
    assert len(engine.requests) == num_asked
    assert await outcome(in_process, project / "private" / "a.py") == "shown"


async def test_a_cell_of_an_ignored_notebook(in_process, engine, project):
    (project / ".seedlingignore").write_text("*.ipynb\n")
    notebooks = {"capabilities": {**VSCODE["capabilities"], "notebookDocument": {"synchronization": {}}}}
    await begin(in_process, engine, project, profile={**VSCODE, **notebooks})
    book, cell = (project / "b.ipynb").as_uri(), f"vscode-notebook-cell:{project.as_posix()}/b.ipynb#a"
    document = {"uri": cell, "languageId": "python", "version": 1, "text": "x = "}
    params = {"uri": book, "version": 1, "cells": [{"kind": 2, "document": cell}]}
    in_process.notify("notebookDocument/didOpen", {"notebookDocument": params, "cellTextDocuments": [document]})
    assert await in_process.items(in_process.ask(cell, 0, 4, trigger_kind=1)) == []
    assert in_process.outcomes()[-1] == "excluded"


async def test_folders_come_and_go(in_process, engine, project):
    (project / ".seedling.toml").write_text("enabled = false")
    await begin(in_process, engine)
    assert await outcome(in_process, project / "a.py") == "shown"
    folder = {"uri": project.as_uri(), "name": "project"}
    in_process.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [folder], "removed": []}})
    await in_process.until(lambda: in_process.server.session.client.folders)
    assert await outcome(in_process, project / "a.py") == "disabled"
    in_process.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": [folder]}})
    await in_process.until(lambda: not in_process.server.session.client.folders)
    assert await outcome(in_process, project / "a.py") == "shown"


async def test_the_users_file_counts_from_the_start_and_when_it_changes(in_process, engine, tmp_path):
    file = tmp_path / "config" / "seedling" / "settings.toml"
    file.parent.mkdir()
    file.write_text("manual_only = true\ncolour = 'red'")
    await begin(in_process, engine, initializationOptions={"manualOnly": False})
    assert await outcome(in_process, tmp_path / "a.py") == "manual_only"
    assert any("colour" in sentence and str(file) in sentence for sentence in warnings(in_process))
    file.write_text("manual_only = false")
    assert await outcome(in_process, tmp_path / "b.py") == "shown"


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        ("enabled = false", "disabled"),
        ("exclude = ['a.*']", "excluded"),
        ("languages_off = ['python']", "language_off"),
        ("manual_only = true", "manual_only"),
    ],
)
async def test_switched_off_means_at_once(in_process, engine, project, toml, reason):
    await begin(in_process, engine, project)
    engine.script = lambda request: Script(keep=True)
    uri = (project / "a.py").as_uri()
    in_process.open(uri, "x = ")
    running = in_process.ask(uri, 0, 4)
    await in_process.until(lambda: engine.requests)
    (project / ".seedling.toml").write_text(toml)
    in_process.notify("textDocument/didFocus", {"textDocument": {"uri": uri}})
    assert await in_process.items(running) == []
    assert in_process.outcomes()[-1] == reason
    await in_process.until(lambda: len(engine.cancelled) == 1)
