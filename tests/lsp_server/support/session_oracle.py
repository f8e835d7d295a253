"""The oracle of test_state_machine.py: a client's own model of its documents, in its own units, and what must hold.

The server runs in this process with an engine whose answers come when the machine says so and a clock that moves when
it says so, so every run can be repeated and shrunk. Each answer of the engine is numbered: the machine knows for which
text at which cursor it was asked for. Left out: what happens (the rules, in the test).
"""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from capabilities import capabilities
from editor_model import Edit, edit_of, position_of, unified
from hypothesis import event
from hypothesis.stateful import RuleBasedStateMachine, invariant

from lsp_server.engine_link import EngineState
from lsp_server.handlers.completion import TYPING_PAUSE_S
from lsp_server.log import quiet_libraries
from lsp_server.server import SeedlingServer
from model.engine import api

# Two documents; of one the client spells the URI as it likes, as VS Code and others do on Windows.
URIS = {"a.py": ["file:///c%3A/w/a.py", "file:///C:/w/a.py", "file:///c:/w/a.py"], "b.py": ["file:///w%20x/b.py"]}
READY = EngineState(
    kind="ready", sentence="Ready.", progress=1.0, capabilities=capabilities(context_tokens=100_000, fix=True)
)


class StillLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still unless it is moved."""

    now_s = 0.0

    def time(self) -> float:
        return self.now_s


class ScriptedEngine:
    """In place of the engine link: keeps every question until it is told what to say."""

    def __init__(self) -> None:
        self.state = READY
        self.questions: list[tuple[api.DenoiseRequest, asyncio.Future[list[api.Done]]]] = []
        self.repairs: list[tuple[api.RepairRequest, asyncio.Future[list[api.Finding]]]] = []

    def start(self) -> None:
        self.state = READY

    async def ask(self, request: api.DenoiseRequest) -> list[api.Done]:
        answer: asyncio.Future[list[api.Done]] = asyncio.get_running_loop().create_future()
        self.questions.append((request, answer))
        try:
            return await answer
        finally:
            self.questions = [question for question in self.questions if question[1] is not answer]

    async def repair(self, request: api.RepairRequest) -> list[api.Finding]:
        answer: asyncio.Future[list[api.Finding]] = asyncio.get_running_loop().create_future()
        self.repairs.append((request, answer))
        try:
            return await answer
        finally:
            self.repairs = [question for question in self.repairs if question[1] is not answer]

    async def close(self) -> None:
        """Nothing to let go."""


class Document(NamedTuple):
    version: int
    text: str


class Asked(NamedTuple):
    name: str
    document: Document
    cursor: int
    may_show: bool


class Promise(NamedTuple):
    """What the engine said, between the two texts it was asked about."""

    before: str
    after: str
    text: str


class Oracle(RuleBasedStateMachine):
    """One session of a client. `is_short`: it ends by `shutdown` while requests run."""

    def start(self, encoding: str, *, inline: bool, is_short: bool) -> None:
        """Begins the session with both documents open."""
        quiet_libraries()
        self.loop = StillLoop()
        self.encoding = encoding
        self.method = "textDocument/inlineCompletion" if inline else "textDocument/completion"
        self.server = SeedlingServer()
        self.engine = self.server.session.engine = ScriptedEngine()
        self.server.protocol.set_writer(self)
        self.documents: dict[str, Document] = {}
        self.asked: dict[int, list[Asked]] = {}
        self.num_sent: Counter[int] = Counter()
        self.answers: dict[int, list[dict]] = {}
        self.promises: dict[str, list[Promise]] = {name: [] for name in URIS}
        self.off: set[str] = set()
        self.settings: dict[str, Any] = {}
        self.is_snoozed, self.is_short = False, is_short
        self.changed_s = float("-inf")
        self.numbers, self.ids, self.versions = itertools.count(100), itertools.count(1), itertools.count(1)
        able: dict[str, Any] = {"general": {"positionEncodings": [encoding]}}
        if inline:
            able["textDocument"] = {"inlineCompletion": {}}
        self.request("initialize", {"capabilities": able, "initializationOptions": {"context": "none"}})
        self.open("a.py", "x = \n", 0)
        self.open("b.py", "if a:\r\n\t", 0)

    # The wire

    def write(self, data: bytes) -> None:
        message = json.loads(data.partition(b"\r\n\r\n")[2])
        if "method" not in message:
            self.answers.setdefault(message["id"], []).append(message)

    def close(self) -> None:
        """The protocol may close its writer."""

    def send(self, message: dict) -> None:
        async def deliver() -> None:
            self.server.protocol.receive(json.dumps({"jsonrpc": "2.0", **message}).encode())
            for _ in range(20):
                await asyncio.sleep(0)

        self.loop.run_until_complete(deliver())

    def notify(self, method: str, params: Any) -> None:
        self.send({"method": method, "params": params})

    def request(self, method: str, params: Any, msg_id: int | None = None) -> int:
        msg_id = next(self.ids) if msg_id is None else msg_id
        self.num_sent[msg_id] += 1
        self.send({"id": msg_id, "method": method, "params": params})
        return msg_id

    def command(self, name: str, *arguments: Any) -> dict:
        """The answer to a command, which is due at once."""
        return self.answers[self.request("workspace/executeCommand", {"command": name, "arguments": arguments})][-1]

    def pass_time(self, seconds: float) -> None:
        async def settle() -> None:
            for _ in range(20):
                await asyncio.sleep(0)

        self.loop.now_s += seconds
        self.loop.run_until_complete(settle())

    # Documents

    def uri(self, name: str, which: int = 0) -> str:
        return URIS[name][which % len(URIS[name])]

    def text(self, name: str) -> str:
        """The text of a document, which is opened if it is not open."""
        if name not in self.documents:
            self.open(name, "y = 1\r\n", 1)
        return self.documents[name].text

    def changed(self, name: str, changes: list[dict], which: int = 0) -> dict:
        identifier = {"uri": self.uri(name, which), "version": next(self.versions)}
        return {"textDocument": identifier, "contentChanges": changes}

    def change(self, name: str, changes: list[dict], text: str, which: int = 0) -> None:
        params = self.changed(name, changes, which)
        self.documents[name] = Document(params["textDocument"]["version"], text)
        self.changed_s = self.loop.now_s
        self.notify("textDocument/didChange", params)

    def open(self, name: str, text: str, which: int) -> None:
        document = self.documents[name] = Document(next(self.versions), text)
        fields = {"uri": self.uri(name, which), "languageId": "python", "version": document.version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": fields})

    # Requests

    def ask_at(self, name: str, cursor: int, kind: int = 2, which: int = 0, reuse: int = 9) -> int:
        document = self.documents.get(name, Document(0, ""))
        msg_id = next(self.ids)
        if reuse == 0 and self.asked:
            msg_id = list(self.asked)[which % len(self.asked)]
        switched_on = self.settings.get("enabled") is not False and name not in self.off
        # The completion key and a typed letter look alike; only a pause tells them apart.
        is_typing = self.method.endswith("/completion") and self.loop.now_s - self.changed_s < TYPING_PAUSE_S
        unasked = kind == 2 or is_typing or (kind == 0 and self.method.endswith("/completion"))
        excluded = name in self.settings.get("exclude", ())
        quiet = unasked and (self.is_snoozed or self.settings.get("manualOnly", False))
        may_show = name in self.documents and switched_on and not excluded and not quiet
        self.asked.setdefault(msg_id, []).append(Asked(name, document, cursor, may_show))
        params = {
            "textDocument": {"uri": self.uri(name, which)},
            "position": position_of(document.text, cursor, self.encoding),
            "context": {"triggerKind": kind},
        }
        return self.request(self.method, params, msg_id)

    def ask_for_fixes(self, name: str, which: int, row: int) -> int:
        """Asks for code actions at a diagnostic, until the engine is asked or there is an answer; threads take part."""
        ends = {"start": {"line": row, "character": 0}, "end": {"line": row, "character": 0}}
        diagnostic = {"range": ends, "message": "Odd.", "source": "other"}
        params = {
            "textDocument": {"uri": self.uri(name, which)},
            "range": ends,
            "context": {"diagnostics": [diagnostic], "triggerKind": 1},
        }
        msg_id = self.request("textDocument/codeAction", params)
        self.until(lambda: msg_id in self.answers or bool(self.engine.repairs))
        return msg_id

    def until(self, condition: Callable[[], bool]) -> None:
        """Lets threads end; the clock stands still."""
        for _ in range(10_000):
            if condition():
                return
            time.sleep(0.001)
            self.pass_time(0.0)
        raise AssertionError("it never happened")

    def promise(self, request: api.DenoiseRequest, text: str) -> None:
        """Remembers what the engine says to a question."""
        prompt = request.prompt
        self.promises[prompt.path.rpartition("/")[2]].append(
            Promise(unified(prompt.prefix + prompt.line), unified(prompt.tail + prompt.suffix), unified(text))
        )

    # What must hold

    @invariant()
    def documents_are_the_clients(self) -> None:
        if not hasattr(self, "server"):
            return
        for name, uris in URIS.items():
            document = self.server.session.document(uris[-1])
            assert (None if document is None else (document.version, document.text)) == self.documents.get(name)

    @invariant()
    def answers_fit(self) -> None:
        if not hasattr(self, "server"):
            return
        for msg_id, answers in list(self.answers.items()):
            assert len(answers) <= self.num_sent[msg_id]
            for asked, answer in zip(self.asked.get(msg_id, []), answers, strict=False):
                if len(self.asked[msg_id]) == 1:
                    self.check(asked, answer)
            if len(answers) == self.num_sent[msg_id]:
                del self.answers[msg_id], self.num_sent[msg_id]

    def check(self, asked: Asked, answer: dict) -> None:
        if "error" in answer:
            assert answer["error"]["code"] == -32800  # cancelled, and nothing else goes wrong
            return
        items = answer["result"]["items"]
        assert asked.may_show or not items
        for item in items:
            edit = edit_of(item, asked.document.text, asked.cursor, self.encoding)
            assert self.was_promised(asked, edit), (asked, edit)
            event("shown")

    def was_promised(self, asked: Asked, edit: Edit) -> bool:
        """Whether the engine said this, for this document, before it or while this was typed of it."""
        text = asked.document.text
        before, after = unified(text[: asked.cursor]), unified(text[asked.cursor :])
        new = squashed(edit.text[asked.cursor - edit.start :])
        for promise in self.promises[asked.name]:
            if not before.startswith(promise.before):
                continue
            typed, whole = squashed(before[len(promise.before) :]), squashed(promise.text)
            same_behind = after.endswith(promise.after) or promise.after.endswith(after)
            if same_behind and whole.startswith(typed) and whole[len(typed) :].startswith(new):
                return True
        return False

    def teardown(self) -> None:
        if not hasattr(self, "server"):
            return
        try:
            if self.is_short:
                self.shut_down()
            self.engine.state = READY
            for _ in range(50):
                for _, answer in self.engine.questions:
                    answer.cancel()
                self.pass_time(1.0)
                self.answers_fit()
            assert {msg_id: (num, self.answers.get(msg_id)) for msg_id, num in self.num_sent.items()} == {}
        finally:
            self.loop.run_until_complete(self.server.session.close())
            self.loop.close()

    def shut_down(self) -> None:
        """What runs is answered; what comes later is refused, and changes nothing."""
        msg_id = self.request("shutdown", None)
        assert self.answers.pop(msg_id) == [{"jsonrpc": "2.0", "id": msg_id, "result": None}]
        self.notify("textDocument/didChange", self.changed("a.py", [{"text": "late"}]))
        late = [self.request(method, {}) for method in ("initialize", self.method, "workspace/executeCommand")]
        assert [self.answers.pop(refused)[0]["error"]["code"] for refused in late] == [-32600] * 3
        for answered in [msg_id, *late]:
            del self.num_sent[answered]


def squashed(text: str) -> str:
    """`text` without white space, which shaping may change."""
    return "".join(text.split())
