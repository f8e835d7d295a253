"""A minimal editor for benchmarks: one language server process, one message at a time, clocks around the answers.

Left out: everything a real editor does besides talking; tests/lsp_server has a client that checks behaviour.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CAPABILITIES = {
    "general": {"positionEncodings": ["utf-16"]},
    "workspace": {"applyEdit": True, "configuration": False, "workspaceFolders": True},
    "textDocument": {
        "synchronization": {"didSave": True},
        "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
        "inlineCompletion": {"dynamicRegistration": True},
        "codeAction": {"isPreferredSupport": True},
    },
    "window": {"workDoneProgress": False},
}


class Editor:
    """Starts `command` and speaks LSP to it over its standard streams. Close it with `close`."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], folder: Path) -> None:
        self.started_s = time.perf_counter()
        self._process = subprocess.Popen(
            list(command),
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._num_requests = 0
        self.notifications: list[dict[str, Any]] = []

    @property
    def pid(self) -> int:
        return self._process.pid

    def notify(self, method: str, params: Any) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def call(self, method: str, params: Any) -> Any:
        """The result of a request. Raises RuntimeError with the server's message for an error."""
        self._num_requests += 1
        msg_id = self._num_requests
        self._send({"jsonrpc": "2.0", "id": msg_id, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == msg_id and "method" not in message:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]

    def initialize(self) -> float:
        """Does the handshake; returns the milliseconds from process start to the answer."""
        self.call("initialize", {"processId": None, "rootUri": None, "capabilities": CAPABILITIES, "trace": "messages"})
        elapsed_ms = (time.perf_counter() - self.started_s) * 1000
        self.notify("initialized", {})
        return elapsed_ms

    def wait_for_status(self, timeout_s: float) -> dict[str, Any]:
        """The first `didChangeStatus` that is not busy. Raises TimeoutError."""
        until_s = time.perf_counter() + timeout_s
        while time.perf_counter() < until_s:
            for note in self.notifications:
                if note["method"] == "didChangeStatus" and not note["params"]["busy"]:
                    return note["params"]
            self._receive()
        raise TimeoutError("the engine did not become ready")

    def close(self) -> None:
        """Ends the session as the protocol wants it."""
        self.call("shutdown", None)
        self.notify("exit", None)
        self._process.wait(10)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        self._in.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._in.flush()

    def _receive(self) -> dict[str, Any]:
        length = 0
        while (line := self._out.readline()) != b"\r\n":
            if not line:
                raise RuntimeError("the server ended")
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        message = json.loads(self._out.read(length))
        if "method" in message and "id" in message:
            self._send({"jsonrpc": "2.0", "id": message["id"], "result": None})
        elif "method" in message:
            self.notifications.append(message)
        return message


def seedling_command() -> list[str]:
    """`seedling serve` as an editor starts it: the script beside this interpreter."""
    script = Path(sys.executable).parent / ("seedling.exe" if sys.platform == "win32" else "seedling")
    if not script.exists():
        raise SystemExit(f"benchmarks: {script} is missing: install the project into this environment first.")
    return [str(script), "serve"]
