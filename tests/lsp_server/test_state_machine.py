"""Any session at all, step by step, against an oracle: a client's own model of its documents, in its own units.

The server runs in this process with an engine whose answers come when the machine says so and a clock that moves when
it says so, so every run can be repeated and shrunk. Each answer of the engine is numbered: the machine knows for which
text at which cursor it was asked for. After every step it must hold that the server's documents are the client's, that
each request has at most one answer, and that an item fits the version it was asked for, holds only what the engine
promised for that very place, and is not shown where the user has switched it off. At the end each has exactly one.
test_fuzz.py does less, over real pipes.
"""

import asyncio
import itertools
import json
from collections import Counter
from typing import Any, NamedTuple

import pytest
from capabilities import capabilities
from editor_model import Edit, edit_of, num_units, places_of, position_of, unified
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lsp_server.engine_link import EngineState, EngineTrouble
from lsp_server.handlers.completion import TYPING_PAUSE_S
from lsp_server.log import quiet_libraries
from lsp_server.outcome import Reason
from lsp_server.server import SeedlingServer
from model.engine import api

# Two documents; of one the client spells the URI as it likes, as VS Code and others do on Windows.
URIS = {"a.py": ["file:///c%3A/w/a.py", "file:///C:/w/a.py", "file:///c:/w/a.py"], "b.py": ["file:///w%20x/b.py"]}
PIECES = ["a", "(", ")", '"', " ", "    ", "\t", "\n", "\r\n", "\r", "é", "e\u0301", "😀", "\u2028", "x = ", "if a:\n"]
BODIES = ["v{q}z", "v{q}z)", 'v{q}z")', "é😀{q}z", "({q}z)", "v{q}z\nw{q}z", "", "v{q}\x00", "  v{q}z", "{q}z  # n{q}"]
WHICH = st.integers(0, 1_000)
NAME = st.sampled_from(sorted(URIS))
TEXT = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
EDITS = st.lists(st.tuples(WHICH, st.integers(0, 3), TEXT), min_size=1, max_size=3)
SETTINGS = [{}, {"enabled": False}, {"manualOnly": True}, {"confidence": 0.99}, {"exclude": ["a.py"]}, {"enabled": "?"}]
FIGURES: dict[str, Any] = {
    "reason": "stop",
    "steps": 1,
    "forwards": 1,
    "num_tokens": 1,
    "prompt_tokens": 1,
    "cached_tokens": 1,
    "model": "scripted",
    "device": "none",
    "engine_ms": 1.0,
}
READY = EngineState(kind="ready", sentence="Ready.", progress=1.0, capabilities=capabilities(context_tokens=100_000))


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

    def start(self) -> None:
        self.state = READY

    async def ask(self, request: api.DenoiseRequest) -> list[api.Done]:
        answer: asyncio.Future[list[api.Done]] = asyncio.get_running_loop().create_future()
        self.questions.append((request, answer))
        try:
            return await answer
        finally:
            self.questions = [question for question in self.questions if question[1] is not answer]

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


class Session(RuleBasedStateMachine):
    @initialize(encoding=st.sampled_from(["utf-8", "utf-16", "utf-32"]), client=WHICH, is_short=st.booleans())
    def begin(self, encoding: str, client: int, is_short: bool) -> None:
        """`is_short`: it ends by `shutdown` while requests run."""
        quiet_libraries()
        inline = client % 4 > 0
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

    @rule(name=NAME, text=TEXT, which=WHICH, closes=st.booleans())
    def reload(self, name: str, text: str, which: int, closes: bool) -> None:
        """Opened again, perhaps without having been closed."""
        if closes:
            self.close_document(name, which)
            self.notify("textDocument/didChange", self.changed(name, [{"text": "ghost"}]))
        self.open(name, text, which)

    @rule(name=NAME, which=WHICH)
    def close_document(self, name: str, which: int) -> None:
        self.documents.pop(name, None)
        self.notify("textDocument/didClose", {"textDocument": {"uri": self.uri(name, which)}})

    @rule(name=NAME, edits=EDITS, which=WHICH)
    def edit(self, name: str, edits: list[tuple[int, int, str]], which: int) -> None:
        text, changes = self.text(name), []
        for place, length, new in edits:
            places = places_of(text)
            first = place % len(places)
            edit = Edit(places[first], places[min(first + length, len(places) - 1)], new)
            changes.append(edit.to_wire(text, self.encoding))
            text = edit.applied(text)
        self.change(name, changes, text, which)

    @rule(name=NAME, text=TEXT)
    def replace_all(self, name: str, text: str) -> None:
        self.text(name)
        self.change(name, [{"text": text}], text)

    @rule(name=NAME, piece=st.sampled_from(PIECES), times=st.integers(1, 3))
    def type_at_the_end(self, name: str, piece: str, times: int) -> None:
        """And ask after each key, as editors do."""
        for _ in range(times):
            text = self.text(name)
            edit = Edit(len(text), len(text), piece)
            if len(text) in places_of(text):
                self.change(name, [edit.to_wire(text, self.encoding)], edit.applied(text))
            self.ask_at(name, places_of(self.text(name))[-1])

    # Requests

    @rule(name=NAME, place=WHICH, kind=st.sampled_from([0, 1, 2, 2, 2]), which=WHICH, reuse=st.integers(0, 9))
    def ask(self, name: str, place: int, kind: int, which: int, reuse: int) -> None:
        document = self.documents.get(name, Document(0, ""))
        places = places_of(document.text)
        # Mostly at the end, where typing happens.
        self.ask_at(name, places[-1 - place % len(places)] if place % 3 else places[-1], kind, which, reuse)

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

    @rule(name=NAME)
    def ask_for_an_old_version(self, name: str) -> None:
        self.text(name)
        params = {
            "textDocument": {"uri": self.uri(name), "version": self.documents[name].version - 1},
            "position": {"line": 0, "character": 0},
            "context": {"triggerKind": 1},
        }
        answer = self.answers[self.request(self.method, params)][-1]
        assert answer["result"]["items"] == []

    def items_at_the_end(self, name: str, kind: int, body: str) -> tuple[Asked, list[dict]]:
        """Asks, lets the engine answer, and takes what is shown."""
        text = self.text(name)
        msg_id = self.ask_at(name, places_of(text)[-1], kind)
        for _ in range(4):
            if self.engine.questions and msg_id not in self.answers:
                self.engine_answers(len(self.engine.questions) - 1, body, 1.0)
        (asked,) = self.asked[msg_id]
        answers = self.answers.get(msg_id, [{}])
        return asked, answers[0].get("result", {}).get("items", [])

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        known = [*self.asked, 10_000_000, "never sent"]
        self.notify("$/cancelRequest", {"id": known[which % len(known)]})

    @rule(seconds=st.sampled_from([0.01, 0.5, 3.0, 700.0]))
    def wait(self, seconds: float) -> None:
        self.pass_time(seconds)

    # The engine

    @precondition(lambda self: self.engine.questions)
    @rule(which=WHICH, body=st.sampled_from(BODIES), confidence=st.sampled_from([1.0, 1.0, 0.9, 0.01]))
    def engine_answers(self, which: int, body: str, confidence: float) -> None:
        request, answer = self.engine.questions[which % len(self.engine.questions)]
        prompt = request.prompt
        done = []
        for index in range(request.n):
            text = body.format(q=next(self.numbers))
            name = prompt.path.rpartition("/")[2]
            self.promises[name].append(
                Promise(unified(prompt.prefix + prompt.line), unified(prompt.tail + prompt.suffix), unified(text))
            )
            done.append(api.Done(text=text, index=index, confidence=confidence, **FIGURES))
        answer.set_result(done)
        self.pass_time(0.001)

    @precondition(lambda self: self.engine.questions)
    @rule(which=WHICH, reason=st.sampled_from([Reason.ENGINE_ERROR, Reason.NO_ENGINE, Reason.DEADLINE]))
    def engine_fails(self, which: int, reason: Reason) -> None:
        _, answer = self.engine.questions[which % len(self.engine.questions)]
        answer.set_exception(EngineTrouble(reason, "As told."))
        self.pass_time(0.001)

    @rule(lost=st.booleans())
    def engine_changes(self, lost: bool) -> None:
        self.engine.state = EngineState(kind="failed", sentence="Gone.") if lost else READY

    # What the user does with an item

    @rule(name=NAME, which=WHICH, kind=st.integers(0, 2), body=st.sampled_from(BODIES))
    def accept(self, name: str, which: int, kind: int, body: str) -> None:
        asked, items = self.items_at_the_end(name, kind, body)
        if not items:
            return
        item = items[which % len(items)]
        if "range" in item:
            self.notify("textDocument/didShowCompletion", {"item": item})
        before = asked.document.text
        edit = edit_of(item, before, asked.cursor, self.encoding)
        self.change(name, [edit.to_wire(before, self.encoding)], edit.applied(before), which)
        assert self.command(item["command"]["command"], *item["command"]["arguments"]).get("result", 0) is None
        event("accepted")

    @rule(name=NAME, kind=st.integers(0, 2), body=st.sampled_from(BODIES), length=st.integers(1, 6), told=st.booleans())
    def accept_a_part_and_ask_again(self, name: str, kind: int, body: str, length: int, told: bool) -> None:
        """Or type it: the rest is then offered at once, or nothing, but never anything else."""
        asked, items = self.items_at_the_end(name, kind, body)
        if not items:
            return
        item, text = items[0], asked.document.text
        edit = edit_of(item, text, asked.cursor, self.encoding)
        if edit.start != asked.cursor or edit.end != asked.cursor:
            return
        part = edit.text[:length]
        typed = Edit(edit.start, edit.start, part)
        self.change(name, [typed.to_wire(text, self.encoding)], typed.applied(text))
        if told:
            accepted = {"item": item, "acceptedLength": num_units(part, "utf-16")}
            self.notify("textDocument/didPartiallyAcceptCompletion", accepted)
        msg_id = self.ask_at(name, edit.start + len(part))
        answers = self.answers.get(msg_id)
        if answers and answers[0]["result"]["items"]:
            (again,) = answers[0]["result"]["items"]
            rest = edit_of(again, self.text(name), edit.start + len(part), self.encoding)
            assert rest.text.endswith(edit.text[length:])
            event("typed along")

    # Switches

    @rule(name=NAME, on=st.booleans(), which=WHICH, values=st.sampled_from(SETTINGS))
    def switch(self, name: str, on: bool, which: int, values: dict) -> None:
        if which % 3 == 0:
            assert "result" in self.command("seedling.snooze", 0 if on else 10)
            self.is_snoozed = not on
        elif which % 3 == 1:
            assert "result" in self.command("seedling.setDocument", self.uri(name, which), on)
            (self.off.discard if on else self.off.add)(name)
        else:
            self.settings = values
            changed = {"seedling": {"context": "none", **values}}
            self.notify("workspace/didChangeConfiguration", {"settings": changed})

    @rule()
    def switch_everything_on(self) -> None:
        for name in URIS:
            self.switch(name, True, 1, {})
        self.switch("a.py", True, 0, {})
        self.switch("a.py", True, 2, {})
        self.engine.state = READY

    @rule(name=NAME, which=WHICH)
    def say_something_odd(self, name: str, which: int) -> None:
        known = [["seedling.snooze", "soon"], ["seedling.setDocument"], ["seedling.accepted", {}], ["unknown"]]
        answer = self.command(*known[which % len(known)])
        assert "error" in answer or answer["result"] is None
        self.notify("textDocument/didFocus", {"textDocument": {"uri": self.uri(name)}} if which % 2 else {})

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


COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much]}


def test_any_session():
    run_state_machine_as_test(Session, settings=settings(max_examples=60, stateful_step_count=40, **COMMON))


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_many_sessions():
    run_state_machine_as_test(Session, settings=settings(max_examples=200, stateful_step_count=60, **COMMON))
