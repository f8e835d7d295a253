"""An LSP client made of nothing but JSON and bytes, so that it can also do what a well-behaved library would not.

It keeps every message it receives: a test can ask whether each request was answered exactly once.
"""

import asyncio
import contextlib
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0

# Built by hand: the profiles that pytest-lsp ships are older than inline completion.
VSCODE = {
    "clientInfo": {"name": "Visual Studio Code", "version": "1.139.1"},
    "capabilities": {
        "general": {"positionEncodings": ["utf-16"], "markdown": {"parser": "marked", "version": "1.1.0"}},
        "workspace": {
            "applyEdit": True,
            "configuration": True,
            "didChangeConfiguration": {"dynamicRegistration": True},
            "workspaceFolders": True,
        },
        "textDocument": {
            "synchronization": {"dynamicRegistration": True, "didSave": True},
            "completion": {"contextSupport": True, "completionItemKind": {"valueSet": [1, 2, 3, 99]}},
            "inlineCompletion": {"dynamicRegistration": True},
            "codeAction": {"tagSupport": {"valueSet": [1, 77]}},
        },
        "window": {"workDoneProgress": True, "showDocument": {"support": True}},
    },
}
NEOVIM = {
    "clientInfo": {"name": "Neovim", "version": "0.12.4"},
    "capabilities": {
        "general": {"positionEncodings": ["utf-8", "utf-16", "utf-32"]},
        "workspace": {"configuration": True, "workspaceFolders": True},
        "textDocument": {
            "synchronization": {"dynamicRegistration": False},
            "inlineCompletion": {"dynamicRegistration": False},
        },
        "window": {"workDoneProgress": True},
    },
}
OLD_VSCODE = {
    # vscode-languageclient 9.x: inline completion is proposed there, and triggerKind counts from zero.
    "clientInfo": {"name": "Visual Studio Code", "version": "1.85.0"},
    "capabilities": {"textDocument": {"inlineCompletion": {"dynamicRegistration": True}}},
}
BARE = {"clientInfo": {"name": "bare"}, "capabilities": {}}

_SERVE = "import sys; from lsp_server.server import serve; sys.exit(serve({arguments}))"


class RawClient:
    """One server process and the conversation with it."""

    def __init__(self, process: asyncio.subprocess.Process, reader, writer) -> None:
        self.process = process
        self.answers: dict[Any, list[dict]] = {}
        self.notifications: list[dict] = []
        self.server_requests: list[dict] = []
        self.configuration: Any = None
        self.refuse_progress = False
        self.apply_edits = False
        self._reader, self._writer = reader, writer
        self._ids = itertools.count(1)
        self._arrived = asyncio.Condition()
        self._reading = asyncio.ensure_future(self._read())

    def send(self, message: Any) -> None:
        """Sends one message as it is."""
        self.send_bytes(framed(message))

    def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    def notify(self, method: str, params: Any = None) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def request(self, method: str, params: Any = None) -> int:
        """Sends a request and returns its id."""
        msg_id = next(self._ids)
        self.send({"jsonrpc": "2.0", "id": msg_id, "method": method, "params": params})
        return msg_id

    def cancel(self, msg_id: int) -> None:
        self.notify("$/cancelRequest", {"id": msg_id})

    async def answer(self, msg_id: Any) -> dict:
        """The whole answer to a request."""
        await self.until(lambda: msg_id in self.answers)
        return self.answers[msg_id][0]

    async def call(self, method: str, params: Any = None) -> Any:
        """The result of a request; fails on an error answer."""
        answer = await self.answer(self.request(method, params))
        assert "error" not in answer, answer
        return answer["result"]

    async def until(self, condition) -> None:
        """Waits until `condition()` holds; looks again after every message and every 20 ms."""
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():
                async with self._arrived:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._arrived.wait(), 0.02)

    async def initialize(self, profile: dict = VSCODE, **more: Any) -> dict:
        """Does the handshake; returns the result of `initialize`."""
        result = await self.call("initialize", {"processId": os.getpid(), "rootUri": None, **profile, **more})
        self.notify("initialized", {})
        return result

    async def ready(self) -> None:
        """Waits until the engine is ready."""
        await self.until(lambda: self.statuses() and self.statuses()[-1]["message"] == "Ready.")

    def statuses(self) -> list[dict]:
        return [note["params"] for note in self.notifications if note["method"] == "didChangeStatus"]

    def open(self, uri: str, text: str, language: str = "python", version: int = 1) -> None:
        document = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, uri: str, version: int, *changes: dict) -> None:
        document = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": list(changes)})

    def ask(self, uri: str, line: int, character: int, trigger_kind: int = 2, **more: Any) -> int:
        """Asks for an inline completion; returns the request's id."""
        context = {"triggerKind": trigger_kind, **more.pop("context", {})}
        position = {"line": line, "character": character}
        params = {"textDocument": {"uri": uri}, "position": position, "context": context, **more}
        return self.request("textDocument/inlineCompletion", params)

    async def items(self, msg_id: int) -> list[dict]:
        """The items of an inline completion."""
        answer = await self.answer(msg_id)
        assert "error" not in answer, answer
        return answer["result"]["items"]

    async def shut_down(self) -> int:
        """Ends the session as the protocol wants it; returns the exit status."""
        assert (await self.answer(self.request("shutdown"))).get("result", "missing") is None
        self.notify("exit")
        return await asyncio.wait_for(self.process.wait(), TIMEOUT_S)

    async def kill(self) -> None:
        """Ends whatever is left of the process."""
        self._reading.cancel()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def _read(self) -> None:
        while True:
            length = None
            while (line := await self._reader.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if length is None:
                return
            self._take(json.loads(await self._reader.readexactly(length)))
            async with self._arrived:
                self._arrived.notify_all()

    def _take(self, message: dict) -> None:
        if "method" not in message:
            self.answers.setdefault(message["id"], []).append(message)
        elif "id" in message:
            self.server_requests.append(message)
            self._serve(message)
        else:
            self.notifications.append(message)

    def _serve(self, message: dict) -> None:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        if message["method"] == "workspace/configuration":
            answer["result"] = [self.configuration]
        elif message["method"] == "workspace/applyEdit":
            answer["result"] = {"applied": self.apply_edits}
        elif message["method"] == "window/workDoneProgress/create" and self.refuse_progress:
            answer["error"] = {"code": -32601, "message": "no"}
        else:
            answer["result"] = None
        self.send(answer)


def framed(message: Any) -> bytes:
    """`message` as JSON with its header."""
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


async def start_stdio(environment: dict[str, str], folder: Path) -> RawClient:
    """A server on stdin and stdout."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _SERVE.format(arguments=""),
        env=environment,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return RawClient(process, process.stdout, process.stdin)


async def start_tcp_server(
    environment: dict[str, str], folder: Path, token: str
) -> tuple[asyncio.subprocess.Process, int]:
    """A server on a free port of 127.0.0.1; returns the process and the port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _SERVE.format(arguments=f"0, {token!r}"),
        env=environment,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    line = await asyncio.wait_for(process.stderr.readline(), TIMEOUT_S)
    assert line.startswith(b"seedling: listening on 127.0.0.1:"), line
    return process, int(line.rpartition(b":")[2])


async def start_tcp(environment: dict[str, str], folder: Path) -> RawClient:
    """A server on TCP, already proven to."""
    process, port = await start_tcp_server(environment, folder, "the-token")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"the-token\n")
    return RawClient(process, reader, writer)
