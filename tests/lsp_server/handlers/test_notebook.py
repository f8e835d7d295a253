"""Notebooks as an editor sends them: the code above a cell is in its prompt, and nothing leaves the cell."""

from typing import Any

import pytest
from fake_engine import Script
from raw_client import VSCODE

BOOK = "file:///w/b.ipynb"
WITH_NOTEBOOKS = {
    **VSCODE,
    "capabilities": {
        **VSCODE["capabilities"],
        "notebookDocument": {"synchronization": {"dynamicRegistration": True, "executionSummarySupport": True}},
    },
}


def uri(name: str) -> str:
    return f"vscode-notebook-cell:/w/b.ipynb#{name}%3D"


def cell(name: str, kind: int = 2) -> dict[str, Any]:
    return {"kind": kind, "document": uri(name)}


def text(name: str, content: str, language: str = "python") -> dict[str, Any]:
    return {"uri": uri(name), "languageId": language, "version": 1, "text": content}


class Editor:
    def __init__(self, client, engine) -> None:
        self.client, self.engine = client, engine

    async def open(self) -> None:
        result = await self.client.initialize(WITH_NOTEBOOKS)
        assert result["capabilities"]["notebookDocumentSync"] == {
            "notebookSelector": [{"notebook": "*"}],
            "save": False,
        }
        await self.client.ready()
        cells = [cell("a"), cell("m", kind=1), cell("s"), cell("b"), cell("z")]
        documents = [
            text("a", "import os\r\nx = 1"),
            text("m", "# Words", "markdown"),
            text("s", "SELECT 1", "sql"),
            text("b", "y = x\n"),
            text("z", "print(y, "),
        ]
        book = {"uri": BOOK, "notebookType": "jupyter-notebook", "version": 0, "cells": cells}
        self.client.notify("notebookDocument/didOpen", {"notebookDocument": book, "cellTextDocuments": documents})

    def change(self, **cells: Any) -> None:
        params = {"notebookDocument": {"uri": BOOK, "version": 1}, "change": {"cells": cells}}
        self.client.notify("notebookDocument/didChange", params)

    async def ask(self, name: str, line: int, character: int, **more: Any) -> list[dict]:
        return await self.client.items(self.client.ask(uri(name).replace("%3D", "="), line, character, **more))

    async def prefix_of_z(self) -> str:
        """Asked by hand, so that no answer of before is given again."""
        assert await self.ask("z", 0, 9, trigger_kind=1)
        return self.engine.requests[-1].prompt.prefix


@pytest.fixture
async def editor(in_process, engine):
    engine.script = lambda request: Script(text="x)")
    editor = Editor(in_process, engine)
    await editor.open()
    return editor


async def test_the_code_above_stands_in_the_prompt_and_the_answer_in_the_cell(editor):
    assert await editor.prefix_of_z() == "import os\nx = 1\ny = x\n"
    prompt = editor.engine.requests[-1].prompt
    assert (prompt.line, prompt.tail, prompt.suffix, prompt.path) == ("print(y, ", "", "", "b.ipynb")
    (item,) = await editor.ask("z", 0, 9)
    assert item["range"] == {"start": {"line": 0, "character": 9}, "end": {"line": 0, "character": 9}}
    await editor.ask("a", 1, 5, trigger_kind=1)
    assert (editor.engine.requests[-1].prompt.prefix, editor.engine.requests[-1].prompt.suffix) == ("import os\n", "")


async def test_the_popup_open_changes_nothing_above(editor):
    chosen = {
        "range": {"start": {"line": 0, "character": 6}, "end": {"line": 0, "character": 9}},
        "text": "yellow",
    }
    (item,) = await editor.ask("z", 0, 9, context={"selectedCompletionInfo": chosen})
    prompt = editor.engine.requests[-1].prompt
    assert (prompt.prefix, prompt.line) == ("import os\nx = 1\ny = x\n", "print(yellow")
    assert item["insertText"] == "yellowx)"
    assert item["range"]["start"] == {"line": 0, "character": 6}


async def test_cells_inserted_moved_and_deleted(editor):
    new = {"array": {"start": 1, "deleteCount": 0, "cells": [cell("n")]}, "didOpen": [text("n", "n = 2\n")]}
    editor.change(structure=new)
    assert await editor.prefix_of_z() == "import os\nx = 1\nn = 2\ny = x\n"
    moved = {"array": {"start": 0, "deleteCount": 2, "cells": [cell("n"), cell("a")]}}
    editor.change(structure=moved)
    assert await editor.prefix_of_z() == "n = 2\nimport os\nx = 1\ny = x\n"
    editor.change(structure={"array": {"start": 0, "deleteCount": 1}, "didClose": [{"uri": uri("n")}]})
    assert await editor.prefix_of_z() == "import os\nx = 1\ny = x\n"
    assert editor.client.server.session.document(uri("n")) is None


async def test_a_cell_gets_another_language_or_kind(editor):
    again = {
        "array": {"start": 2, "deleteCount": 1, "cells": [cell("s")]},
        "didClose": [{"uri": uri("s")}],
        "didOpen": [text("s", "s = 3")],
    }
    editor.change(structure=again)
    assert await editor.prefix_of_z() == "import os\nx = 1\ns = 3\ny = x\n"
    editor.change(data=[cell("s", kind=1)])
    assert await editor.prefix_of_z() == "import os\nx = 1\ny = x\n"


async def test_a_changed_cell_above_makes_the_answer_below_an_old_one(editor):
    await editor.ask("z", 0, 9)
    await editor.ask("z", 0, 9)
    assert len(editor.engine.requests) == 1  # given again
    change = {"range": {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 1}}, "text": "renamed"}
    editor.change(textContent=[{"document": {"uri": uri("a"), "version": 2}, "changes": [change]}])
    await editor.ask("z", 0, 9)
    assert len(editor.engine.requests) == 2
    assert editor.engine.requests[-1].prompt.prefix == "import os\nrenamed = 1\ny = x\n"
    deleted = {"array": {"start": 0, "deleteCount": 1}, "didClose": [{"uri": uri("a")}]}
    editor.change(structure=deleted)
    await editor.ask("z", 0, 9)
    assert [request.prompt.prefix for request in editor.engine.requests[2:]] == ["y = x\n"]


async def test_closing_a_notebook_closes_its_cells(editor):
    documents = [{"uri": uri("a")}]  # the others go with the notebook
    editor.client.notify(
        "notebookDocument/didClose", {"notebookDocument": {"uri": BOOK}, "cellTextDocuments": documents}
    )
    assert await editor.ask("z", 0, 9) == []
    assert all(editor.client.server.session.document(uri(name)) is None for name in "amsbz")


async def test_a_client_without_notebooks_sends_plain_documents(in_process, engine):
    engine.script = lambda request: Script(text="x)")
    result = await in_process.initialize(VSCODE)
    assert "notebookDocumentSync" not in result["capabilities"]
    await in_process.ready()
    in_process.open(uri("a"), "x = 1\n")
    in_process.open(uri("z"), "print(y, ")
    assert len(await in_process.items(in_process.ask(uri("z"), 0, 9))) == 1
    assert engine.requests[-1].prompt.prefix == ""


async def test_a_broken_message_costs_only_itself(editor):
    editor.change(structure={"array": {"start": "?"}})
    assert await editor.prefix_of_z() == "import os\nx = 1\ny = x\n"
