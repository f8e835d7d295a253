"""An editor without a screen: it speaks LSP to a server in this process, byte by byte, and shows ghost text.

Source: VS Code's inline suggestions: it asks 50 ms after the last keystroke, takes back the question before it with
every keystroke, keeps showing what the typed characters continue, and hides what does not fit. Neovim's client waits
200 ms and takes nothing back. Left out: drawing, and Neovim's encoding of positions.
"""

import asyncio
import itertools
import json
import re
from typing import Any

import msgspec

from benchmarks.scenario import File
from benchmarks.scenario_document import (
    Ghost,
    OpenDocument,
    first_word_length,
    ghost_after_typing,
    ghost_of,
    num_utf16,
)
from lsp_server.features.prefetch import indent_below
from lsp_server.positions import split_lines
from lsp_server.server import SeedlingServer
from lsp_server.snapshot import detect_indent

FOLDER = "file:///project"
DEBOUNCE_S = {"vscode": 0.05, "neovim": 0.2}
REQUEST_CANCELLED = -32800
INVOKED, AUTOMATIC = 1, 2
CAPABILITIES = {
    "general": {"positionEncodings": ["utf-16"]},
    "workspace": {"configuration": False, "workspaceFolders": True},
    "textDocument": {"synchronization": {"didSave": True}, "inlineCompletion": {"dynamicRegistration": True}},
    "notebookDocument": {"synchronization": {"dynamicRegistration": True}},
}


class _Question(msgspec.Struct, frozen=True):
    """A request for ghost text: what the document was then."""

    number: int
    document: OpenDocument
    version: int
    cursor: int
    selected: str | None
    future: asyncio.Future


class Editor:
    """The client's half of a session. `faults` collects what no server may do, whatever the scenario is about."""

    def __init__(self, server: SeedlingServer, client: str = "vscode") -> None:
        self._server = server
        self._debounce_s = DEBOUNCE_S[client]
        self._takes_back = client == "vscode"
        server.protocol.set_writer(self)  # pyright: ignore[reportArgumentType]
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future] = {}
        self._num_answers: dict[int, int] = {}
        self._documents: dict[str, OpenDocument] = {}
        self._active: OpenDocument | None = None
        self._num_questions = 0
        self._question: _Question | None = None
        self._debounce: asyncio.TimerHandle | None = None
        self._selected: str | None = None
        self._notebook_version = 1
        self._ghosts: list[Ghost] = []
        self.status: dict[str, Any] = {}
        self.traces: dict[int, dict[str, Any]] = {}
        self.num_flickers = 0
        self.faults: list[str] = []

    # What is seen

    @property
    def document(self) -> OpenDocument:
        assert self._active is not None, "a document is open"
        return self._active

    @property
    def ghost(self) -> Ghost | None:
        return self._ghosts[0] if self._ghosts else None

    @property
    def num_alternatives(self) -> int:
        return len(self._ghosts)

    @property
    def last_trace(self) -> dict[str, Any]:
        """What the server said about the last question it answered."""
        return self.traces[max(self.traces)] if self.traces else {}

    @property
    def is_busy(self) -> bool:
        return self._debounce is not None or bool(self._waiting)

    # The conversation

    async def initialize(self) -> None:
        """The handshake, and the settings of a user who has none."""
        folder = {"uri": FOLDER, "name": "project"}
        params = {"processId": None, "rootUri": FOLDER, "workspaceFolders": [folder], "capabilities": CAPABILITIES}
        await self._call("initialize", {**params, "trace": "messages"})
        self.notify("initialized", {})

    async def leave(self) -> None:
        """The end of the session, and the last look at what was answered."""
        await self._call("shutdown", None)
        unanswered = [str(number) for number, count in self._num_answers.items() if count != 1]
        if unanswered:
            self.faults.append(f"requests {', '.join(unanswered)} were not answered exactly once")

    def notify(self, method: str, params: Any) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    async def execute(self, command: str, *arguments: Any) -> None:
        """Runs a command of the server."""
        await self._call("workspace/executeCommand", {"command": command, "arguments": list(arguments)})

    async def _call(self, method: str, params: Any) -> Any:
        return await self._request(method, params)[1]

    def _request(self, method: str, params: Any) -> tuple[int, asyncio.Future]:
        number = next(self._ids)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._num_answers[number] = 0
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return number, future

    def _send(self, message: dict[str, Any]) -> None:
        self._server.protocol.receive(json.dumps(message).encode())

    def write(self, data: bytes) -> None:
        """Takes one message of the server, as pygls writes it: a header and a body."""
        message = json.loads(data.partition(b"\r\n\r\n")[2])
        if "method" not in message:
            self._num_answers[message["id"]] += 1
            future = self._waiting.pop(message["id"], None)
            if future is not None and not future.done():
                future.set_result(message)
            self._look_at_error(message.get("error"))
        elif "id" in message:
            answer = {"jsonrpc": "2.0", "id": message["id"], "result": None}
            asyncio.get_running_loop().call_soon(self._send, answer)
        else:
            self._hear(message["method"], message["params"])

    def _look_at_error(self, error: dict[str, Any] | None) -> None:
        if error is not None and error["code"] != REQUEST_CANCELLED:
            self.faults.append(f"an error was answered: {error['message']}")

    def _hear(self, method: str, params: Any) -> None:
        if method == "didChangeStatus":
            self.status = params
        elif method == "window/showMessage":
            self.faults.append(f"a message was put over the code: {params['message']}")
        elif method == "$/logTrace":
            trace = json.loads(params["message"])
            number = str(trace.get("id", "")).rpartition("-")[2]  # of the request in this session
            if number.isdecimal():
                self.traces[int(number)] = trace

    # Documents

    def open(self, files: list[File]) -> None:
        """Opens documents, or the cells of one notebook; the first one with a cursor, else the first one, is active."""
        opened = [OpenDocument(file) for file in files]
        self._documents.update({document.file.path: document for document in opened})
        items = [
            {"uri": document.file.uri, "languageId": document.file.language, "version": 1, "text": document.text}
            for document in opened
        ]
        if files[0].cell is None:
            for item in items:
                self.notify("textDocument/didOpen", {"textDocument": item})
        else:
            cells = [{"kind": 2, "document": item["uri"]} for item in items]
            notebook = {"uri": _notebook(files[0]), "notebookType": "jupyter-notebook", "version": 1, "cells": cells}
            params = {"notebookDocument": notebook, "cellTextDocuments": items}
            self.notify("notebookDocument/didOpen", params)
        active = next((document for document in opened if document.file.cursor is not None), opened[0])
        self.focus(active.file.path)

    def focus(self, path: str) -> None:
        """Makes an open document the one that is edited."""
        self._forget_ghost()
        self._active = self._documents[path]
        self.notify("textDocument/didFocus", {"textDocument": {"uri": self._active.file.uri}})

    def close(self, path: str) -> None:
        """Closes a document."""
        document = self._documents.pop(path)
        self.notify("textDocument/didClose", {"textDocument": {"uri": document.file.uri}})
        if document is self._active:
            self._forget_ghost()
            self._active = next(iter(self._documents.values()), None)

    # What the user does

    def begin_step(self) -> None:
        """What follows is undone at once."""
        if self._active is not None:
            self._active.begin_step()

    def type(self, text: str) -> None:
        """One keystroke; an opening bracket with its closing one leaves the cursor between the two."""
        ghost, self._ghosts = self.ghost, []
        self._edit(self.document.cursor, self.document.cursor, text)
        rest = None if ghost is None else ghost_after_typing(ghost, self.document, len(text))
        self._ghosts = [] if rest is None else [rest]

    def type_pair(self, pair: str) -> None:
        self._ghosts = []
        self._edit(self.document.cursor, self.document.cursor, pair)
        self.document.cursor -= 1

    def type_over(self, text: str) -> None:
        self._ghosts = []
        self._edit(self.document.cursor, self.document.cursor + len(text), text)

    def enter(self) -> None:
        """Enter, with the indentation that editors give the next line."""
        document = self.document
        style = detect_indent(split_lines(document.text))
        before = document.text[document.line_start : document.cursor]
        self.type(document.line_end + indent_below(before, style))

    def backspace(self) -> None:
        self._ghosts = []
        self._edit(self.document.cursor - 1, self.document.cursor, "")

    def undo(self) -> None:
        self._ghosts = []
        self._tell(self.document.undo())
        self._ask_soon()

    def move_behind(self, text: str) -> None:
        """Puts the cursor behind the first place where `text` stands."""
        self._forget_ghost()
        self.document.cursor = self.document.text.index(text) + len(text)

    def replaced_elsewhere(self, old: str, new: str) -> None:
        """Something else than the user changes the document: no question follows, and none is taken back."""
        document, cursor = self.document, self.document.cursor
        start = document.text.index(old)
        self._ghosts = []
        self._tell(document.replace(start, start + len(old), new))
        document.cursor = cursor if cursor <= start else cursor + len(new) - len(old)

    def select_in_popup(self, name: str | None) -> None:
        """Selects an item of the completion popup, which makes editors ask again; None closes the popup."""
        self._selected = name
        self._take_back()
        self._ghosts = []
        self._ask(AUTOMATIC)

    def invoke(self) -> None:
        """The trigger key."""
        self._take_back()
        self._ask(INVOKED)

    def next_alternative(self) -> None:
        self._ghosts = [*self._ghosts[1:], *self._ghosts[:1]]

    def dismiss(self) -> None:
        self._forget_ghost()

    async def accept(self) -> None:
        """Inserts the ghost text; the item's command tells the server."""
        ghost = self._shown_ghost()
        self._ghosts, self._selected = [], None
        self._edit(ghost.start, ghost.end, ghost.text)
        command = ghost.item["command"]
        await self.execute(command["command"], *command["arguments"])

    def accept_word(self) -> None:
        ghost = self._shown_ghost()
        self._accept_part(ghost, first_word_length(self._rest(ghost)))

    def accept_line(self) -> None:
        ghost = self._shown_ghost()
        line, end, _ = self._rest(ghost).partition("\n")
        self._accept_part(ghost, len(line + end))

    def _shown_ghost(self) -> Ghost:
        assert self.ghost is not None, "nothing is shown that could be accepted"
        return self.ghost

    def _rest(self, ghost: Ghost) -> str:
        return ghost.text[self.document.cursor - ghost.start :]

    def _accept_part(self, ghost: Ghost, length: int) -> None:
        part = self._rest(ghost)[:length]
        self.type(part)
        units = ghost.num_accepted_units + num_utf16(part)
        self._ghosts = [msgspec.structs.replace(rest, num_accepted_units=units) for rest in self._ghosts]
        self.notify("textDocument/didPartiallyAcceptCompletion", {"item": ghost.item, "acceptedLength": units})

    # Changes and questions

    def _edit(self, start: int, end: int, text: str) -> None:
        self._tell(self.document.replace(start, end, text))
        self._ask_soon()

    def _tell(self, change: dict[str, Any]) -> None:
        document = self.document
        changed = {"uri": document.file.uri, "version": document.version}
        if document.file.cell is None:
            self.notify("textDocument/didChange", {"textDocument": changed, "contentChanges": [change]})
            return
        self._notebook_version += 1
        notebook = {"uri": _notebook(document.file), "version": self._notebook_version}
        cells = {"textContent": [{"document": changed, "changes": [change]}]}
        self.notify("notebookDocument/didChange", {"notebookDocument": notebook, "change": {"cells": cells}})

    def _ask_soon(self) -> None:
        self._take_back()
        self._debounce = asyncio.get_running_loop().call_later(self._debounce_s, self._ask, AUTOMATIC)

    def _take_back(self) -> None:
        if self._debounce is not None:
            self._debounce.cancel()
            self._debounce = None
        question, self._question = self._question, None
        if question is not None and not question.future.done() and self._takes_back:
            self.notify("$/cancelRequest", {"id": question.number})

    def _forget_ghost(self) -> None:
        self._take_back()
        self._ghosts, self._selected = [], None

    def _ask(self, trigger_kind: int) -> None:
        self._debounce = None
        document, context = self.document, {"triggerKind": trigger_kind}
        position = document.position(document.cursor)
        if self._selected is not None:
            word = re.search(r"\w*$", document.text[: document.cursor])
            start = document.position(document.cursor - len(word.group() if word else ""))
            selected = {"range": {"start": start, "end": position}, "text": self._selected}
            context = {**context, "selectedCompletionInfo": selected}
        params = {"textDocument": {"uri": document.file.uri}, "position": position, "context": context}
        number, future = self._request("textDocument/inlineCompletion", params)
        question = _Question(number, document, document.version, document.cursor, self._selected, future)
        self._question = question
        future.add_done_callback(lambda answered: self._show(question, answered.result()))

    def _show(self, question: _Question, answer: dict[str, Any]) -> None:
        document = question.document
        items = (answer.get("result") or {}).get("items", [])
        now = (document.version, document.cursor)
        if question is not self._question or document is not self._active:
            return
        if now != (question.version, question.cursor):
            self._ghosts = []
            return
        self._look_at_ranges(items, document)
        before = self.ghost
        ghosts = [ghost_of(item, document, question.selected) for item in items]
        self._ghosts = [ghost for ghost in ghosts if ghost is not None]
        # What still stood there, typed along by the editor alone, goes or says something else.
        if before is not None and (self.ghost is None or self._rest(before) != self._rest(self.ghost)):
            self.num_flickers += 1
        if self._ghosts:
            self.notify("textDocument/didShowCompletion", {"item": self._ghosts[0].item})

    def _look_at_ranges(self, items: list[dict[str, Any]], document: OpenDocument) -> None:
        line = document.position(document.cursor)["line"]
        longest = num_utf16(document.line)
        for item in items:
            ends = (item["range"]["start"], item["range"]["end"])
            if any(end["line"] != line or not 0 <= end["character"] <= longest for end in ends):
                self.faults.append(f"an item's range leaves the cursor's line: {item['range']}")


def _notebook(file: File) -> str:
    return f"{FOLDER}/{file.path.partition('#')[0]}"
