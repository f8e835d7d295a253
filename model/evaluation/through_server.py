"""A language server to evaluate through: an engine and `seedling serve` as processes, asked over LSP as an editor asks.

The engine runs the checkpoint in the numbers that the evaluation was asked for, uncompiled; the server knows nothing
of the user's settings. Everything lies in a folder of its own that is removed again. With --fp32 the text is that of
the evaluation without a server; where it is not, the editors' path differs. Source: LSP 3.18; the command
`seedling.rewrite`. Left out: ghost text, whose path the editors' own tests measure.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

from model.checkpoints.load import PRESET_FILE, default_checkpoint
from model.checkpoints.presets import Preset, encode_preset
from model.evaluation.options import EvalError

if TYPE_CHECKING:
    from model.evaluation.decode import Place
    from model.evaluation.edit_data import EditTask

T = TypeVar("T")

START_S = 180.0
ANSWER_S = 120.0
POLL_S = 0.05
DEADLINE_MS = 60_000
"""As long as the settings allow: a score must not depend on how busy the machine is."""
FOLDERS = ("work", "config", "state", "cache", "data", "runtime")
CAPABILITIES = {
    "general": {"positionEncodings": ["utf-32"]},
    "workspace": {"workspaceEdit": {"documentChanges": True}},
    "textDocument": {
        "codeAction": {
            "codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["quickfix"]}},
            "dataSupport": True,
            "resolveSupport": {"properties": ["edit"]},
        }
    },
}
"""Positions in characters: the ranges of an answer are Python indices."""


class ServedModel:
    """An open conversation. What the server refuses, or has no answer to, stays as it is (0 passes)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: LanguageClient, root: Path) -> None:
        self._loop, self._client, self._root = loop, client, root
        self._version = 0

    def rewritten(self, task: "EditTask") -> tuple[str, int]:
        """The old code of a task as `seedling.rewrite` would have it."""

        async def ask(uri: str) -> tuple[str, int]:
            where = _range(task.place.before, task.old)
            argument = {"uri": uri, "range": where, "instruction": task.instruction, "apply": False}
            params = types.ExecuteCommandParams("seedling.rewrite", [argument])
            reply = await self._client.workspace_execute_command_async(params)
            reply = reply if isinstance(reply, dict) else vars(reply)
            if reply["reason"] is not None:
                return task.old, reply["forwards"]
            text = _replaced(task.with_answer(task.old), _ends(reply["range"]), reply["text"])
            return _between(task.place, text, task.old), reply["forwards"]

        return self._with_document(task.place.path, task.with_answer(task.old), ask)

    def repaired(self, place: "Place", draft: str) -> tuple[str, int]:
        """The draft after the first quick fix for a diagnostic that covers it."""

        async def ask(uri: str) -> tuple[str, int]:
            where = _range(place.before, draft)
            for edit in (await self._edits(uri, where))[:1]:
                text = _replaced(place.before + draft + place.after, _ends(edit["range"]), edit["newText"])
                return _between(place, text, draft), 1
            return draft, 0

        return self._with_document(place.path, place.before + draft + place.after, ask)

    def quick_fixes(self, path: str, text: str, row: int) -> list[str]:
        """What the menu's fixes for a diagnostic at a row would make of a text, in the menu's order."""

        async def ask(uri: str) -> list[str]:
            where = {"start": {"line": row, "character": 0}, "end": {"line": row, "character": 0}}
            edits = await self._edits(uri, where)
            return [_replaced(text, _ends(edit["range"]), edit["newText"]) for edit in edits]

        return self._with_document(path, text, ask)

    async def _edits(self, uri: str, where: dict[str, Any]) -> list[dict[str, Any]]:
        """The edit of each quick fix in the menu for a diagnostic of another server."""
        named = {"range": where, "message": "This is wrong.", "source": "eval", "severity": 1}
        context = {"diagnostics": [named], "only": ["quickfix"], "triggerKind": 1}
        raw = {"textDocument": {"uri": uri}, "range": where, "context": context}
        converter = self._client.protocol._converter
        actions = await self._client.text_document_code_action_async(converter.structure(raw, types.CodeActionParams))
        edits: list[dict[str, Any]] = []
        for action in actions or ():
            if isinstance(action, types.CodeAction) and action.data is not None:
                resolved = await self._client.code_action_resolve_async(action)
                edits.append(converter.unstructure(resolved.edit)["documentChanges"][0]["edits"][0])
        return edits

    def _with_document(self, path: str, text: str, ask: Callable[[str], Awaitable[T]]) -> T:
        async def work() -> T:
            uri = (self._root / path.lstrip("/")).as_uri()
            self._version += 1
            item = types.TextDocumentItem(uri, "python", self._version, text)
            self._client.text_document_did_open(types.DidOpenTextDocumentParams(item))
            try:
                return await ask(uri)
            finally:
                closed = types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
                self._client.text_document_did_close(closed)

        return self.run(work())

    def run(self, work: Awaitable[T]) -> T:
        """The result of a conversation. EvalError with a sentence if it fails."""

        async def timed() -> T:
            async with asyncio.timeout(ANSWER_S):
                return await work

        try:
            return self._loop.run_until_complete(timed())
        except JsonRpcException as error:
            raise EvalError(f"the language server refused ({error})") from None
        except TimeoutError:
            raise EvalError(f"the language server did not answer within {ANSWER_S:.0f} s") from None


@contextlib.contextmanager
def served(args: argparse.Namespace, preset: Preset) -> Iterator[ServedModel]:
    """A server over the checkpoint of --model, with this preset in place of its own. EvalError if it does not start."""
    folder = Path(tempfile.mkdtemp(prefix="seedling-"))  # short: a socket's path has 103 bytes at most
    engine: subprocess.Popen[bytes] | None = None
    loop = asyncio.new_event_loop()
    try:
        for name in FOLDERS:
            (folder / name).mkdir(mode=0o700)
        model = _with_preset(args.model or default_checkpoint(), folder / "model", preset)
        socket = folder / "runtime" / "engine.sock"
        engine = _start_engine(args, model, socket)
        client = LanguageClient("seedling-eval", "1")
        client.feature("didChangeStatus")(lambda params: None)  # asked for instead (seedling.status)
        server = ServedModel(loop, client, folder / "work")
        loop.run_until_complete(_begin(client, folder, socket, engine))
        yield server
        server.run(_end(client))
    finally:
        if engine is not None:
            engine.terminate()
            engine.wait()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)


def _with_preset(model: Path, folder: Path, preset: Preset) -> Path:
    """A checkpoint folder of links, but for the preset."""
    folder.mkdir()
    for path in model.resolve().iterdir():
        if path.name != PRESET_FILE and path.is_file():
            try:
                (folder / path.name).symlink_to(path)
            except OSError:  # Windows without the right to make links
                shutil.copyfile(path, folder / path.name)
    (folder / PRESET_FILE).write_bytes(encode_preset(preset))
    return folder


def _start_engine(args: argparse.Namespace, model: Path, socket: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "model.engine", "serve", "--socket", str(socket), "--model", str(model), "--eager"]
    words += ["--dtype", "float32"] if args.fp32 else []
    words += ["--threads", str(args.threads)] if args.threads else []
    words += ["--log", str(socket.with_name("engine.log"))]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def _begin(client: LanguageClient, folder: Path, socket: Path, engine: subprocess.Popen[bytes]) -> None:
    """Starts the server and waits until it has its engine."""
    deadline_s = time.monotonic() + START_S
    while not socket.exists():
        if engine.poll() is not None or time.monotonic() > deadline_s:
            raise EvalError("the engine did not start: seedling engine serve shows why")
        await asyncio.sleep(POLL_S)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEEDLING_", "XDG_"))}
    own = {f"XDG_{name.upper()}_HOME": str(folder / name) for name in ("config", "state", "cache", "data")}
    environment = {**kept, **own, "SEEDLING_ENGINE": f"unix:{socket}", "SEEDLING_RUNTIME_DIR": str(folder / "runtime")}
    await client.start_io(sys.executable, "-m", "seedling_lsp", "serve", env=environment)
    converter = client.protocol._converter
    root = (folder / "work").as_uri()
    raw = {
        "processId": os.getpid(),
        "rootUri": root,
        "workspaceFolders": [{"uri": root, "name": "work"}],
        "capabilities": CAPABILITIES,
        "initializationOptions": {"seedling": {"invokedDeadlineMs": DEADLINE_MS}},
    }
    await client.initialize_async(converter.structure(raw, types.InitializeParams))
    client.initialized(types.InitializedParams())
    while True:
        status = await client.workspace_execute_command_async(types.ExecuteCommandParams("seedling.status"))
        status = status if isinstance(status, dict) else vars(status)
        if status.get("message") == "Ready.":
            return
        # An engine that does not answer yet is tried again by the server.
        if engine.poll() is not None or time.monotonic() > deadline_s:
            raise EvalError(f"the language server has no engine ({status.get('message')})")
        await asyncio.sleep(POLL_S)


async def _end(client: LanguageClient) -> None:
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()


def _range(before: str, selected: str) -> dict[str, Any]:
    start, end = (_place(before), _place(before + selected))
    return {name: {"line": row, "character": column} for name, (row, column) in (("start", start), ("end", end))}


def _place(text: str) -> tuple[int, int]:
    return text.count("\n"), len(text) - (text.rfind("\n") + 1)


def _ends(where: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    plain = where if isinstance(where, dict) else {name: vars(getattr(where, name)) for name in ("start", "end")}
    ends = [end if isinstance(end, dict) else vars(end) for end in (plain["start"], plain["end"])]
    return (ends[0]["line"], ends[0]["character"]), (ends[1]["line"], ends[1]["character"])


def _replaced(text: str, ends: tuple[tuple[int, int], tuple[int, int]], new: str) -> str:
    lines = text.split("\n")
    start, end = (sum(len(line) + 1 for line in lines[:row]) + column for row, column in ends)
    return text[:start] + new + text[end:]


def _between(place: "Place", text: str, otherwise: str) -> str:
    """What stands at the place in a text; `otherwise` where more than the place has changed."""
    is_inside = text.startswith(place.before) and text.endswith(place.after)
    if not is_inside or len(text) < len(place.before) + len(place.after):
        return otherwise
    return text[len(place.before) : len(text) - len(place.after)]
