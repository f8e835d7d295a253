"""Rewrites and watches in any session: documents change, close and are asked about again while the engine thinks.

The oracle is the client's own model of its documents (session_oracle.py). What is answered is for the version that was
asked about, which is still the newest; its range covers what was selected, lies on characters, and its text is one that
the engine gave for just this question. Everything else has a reason, and each request has one answer at the end. One
canvas a document is written at a time, and nothing of it is shown once its request is answered.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from editor_model import Edit, offset_of, places_of, position_of, unified
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace
from session_oracle import READY, Document, Oracle, ScriptedEngine

from lsp_server.engine_link import EngineTrouble
from lsp_server.outcome import Reason
from model.engine import api

PIECES = [
    "a",
    "(",
    " ",
    "    ",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "é",
    "😀",
    "\u2028",
    "x = 1",
    "if a:\n",
    "    b = 2\n",
    "# c",
]
CODE = "x = 1\r\nif a:\r\n    é = '😀'\r\n    b = 2\r\n\r\n\tc = 3\r\n"
ANSWERS = ["{q}", "v{q}\nw", "v{q}\r\n", "", "v{q}\x00", "    v{q}\n\n"]
TEXT = st.lists(st.sampled_from(PIECES), max_size=10).map("".join)
WHICH = st.integers(0, 1_000)
NAME = st.sampled_from(["a.py", "b.py"])
DEAD: tuple[api.DoneReason, ...] = ("eom", "eom", "eom", "deadline", "cancelled")
FIGURES: dict[str, Any] = {"steps": 1, "forwards": 1, "num_tokens": 1, "prompt_tokens": 1, "cached_tokens": 1}


class Engine(ScriptedEngine):
    """As the other, with progress."""

    async def ask(
        self, request: api.DenoiseRequest, on_progress: Callable[[api.Progress], None] | None = None
    ) -> list[api.Done]:
        if on_progress is not None:
            on_progress(api.Progress(step=1, pieces=(), confidence=0.5))
        return await super().ask(request)


class Rewrite(NamedTuple):
    name: str
    document: Document | None
    start: int
    end: int
    is_watch: bool = False


class Rewrites(Oracle):
    @initialize(encoding=st.sampled_from(["utf-8", "utf-16", "utf-32"]))
    def begin(self, encoding: str) -> None:
        self.start(encoding, inline=True, is_short=False)
        assert READY.capabilities is not None
        self.engine = self.server.session.engine = Engine()
        self.engine.state = replace(READY, capabilities=replace(READY.capabilities, rewrite="free"))
        session = self.server.session
        session.client = replace(session.client, options={"preview": True})
        self.rewrites: dict[int, Rewrite] = {}
        self.said: dict[str, set[str]] = {"a.py": set(), "b.py": set()}

    def write(self, data: bytes) -> None:
        message = json.loads(data.partition(b"\r\n\r\n")[2])
        if message.get("method") == "seedling/canvas":
            token = message["params"]["token"]
            assert token in self.rewrites, "a frame of a canvas that nobody asked for"
            assert token not in self.answers, "a frame behind the answer"
            event("frame")
        super().write(data)

    @rule(name=NAME, text=TEXT)
    def write_all(self, name: str, text: str) -> None:
        self.text(name)
        self.change(name, [{"text": text}], text)

    @rule(name=NAME, place=WHICH, new=TEXT)
    def type_somewhere(self, name: str, place: int, new: str) -> None:
        text = self.text(name)
        at = places_of(text)[place % len(places_of(text))]
        edit = Edit(at, at, new)
        self.change(name, [edit.to_wire(text, self.encoding)], edit.applied(text))

    @rule(name=NAME)
    def close_document(self, name: str) -> None:
        self.documents.pop(name, None)
        self.notify("textDocument/didClose", {"textDocument": {"uri": self.uri(name)}})

    @rule(name=NAME, first=WHICH, second=WHICH, seed=st.integers(0, 2), which=WHICH)
    def rewrite(self, name: str, first: int, second: int, seed: int, which: int) -> None:
        document = self.documents.get(name)
        text = "" if document is None else document.text
        places = places_of(text)
        start, end = sorted((places[first % len(places)], places[second % len(places)]))
        msg_id = next(self.ids)
        self.rewrites[msg_id] = Rewrite(name, document, start, end)
        ends = {side: position_of(text, at, self.encoding) for side, at in (("start", start), ("end", end))}
        argument = {"uri": self.uri(name, which), "range": ends, "instruction": "x", "seed": seed, "apply": False}
        argument["token"] = msg_id
        self.request("workspace/executeCommand", {"command": "seedling.rewrite", "arguments": [argument]}, msg_id)
        self.until(lambda: msg_id in self.answers or self.asks_about(name))

    def asks_about(self, name: str) -> bool:
        return any(request.prompt.path.endswith(name) for request, _ in self.engine.questions)

    def all_answered(self, name: str) -> bool:
        return all(msg_id in self.answers for msg_id, one in self.rewrites.items() if one.name == name)

    @rule(name=NAME, first=WHICH, second=WHICH, seed=st.integers(0, 2), answer=st.sampled_from(ANSWERS))
    def rewrite_code_at_once(self, name: str, first: int, second: int, seed: int, answer: str) -> None:
        self.write_all(name, CODE)
        self.rewrite(name, first, second, seed, seed)
        if self.engine.questions:
            self.engine_answers(len(self.engine.questions) - 1, answer, "eom", keeps=True)

    @rule(name=NAME, place=WHICH, which=WHICH, version=st.integers(0, 5))
    def watch(self, name: str, place: int, which: int, version: int) -> None:
        document = self.documents.get(name)
        text = "" if document is None else document.text
        at = places_of(text)[place % len(places_of(text))]
        msg_id = next(self.ids)
        self.rewrites[msg_id] = Rewrite(name, document, at, at, is_watch=True)
        argument: dict[str, Any] = {"uri": self.uri(name, which), "position": position_of(text, at, self.encoding)}
        argument |= {"token": msg_id} | ({} if document is None or version else {"version": document.version})
        self.request("workspace/executeCommand", {"command": "seedling.watch", "arguments": [argument]}, msg_id)

    @rule(name=NAME, place=WHICH, answer=st.sampled_from(ANSWERS), changes=st.booleans())
    def watch_to_its_end(self, name: str, place: int, answer: str, changes: bool) -> None:
        self.watch(name, place, place, 1)
        if changes:
            self.type_somewhere(name, place, "z")
        if self.engine.questions:
            self.engine_answers(len(self.engine.questions) - 1, answer, "eom", keeps=True)

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        known = [*self.rewrites, 10_000_000]
        self.notify("$/cancelRequest", {"id": known[which % len(known)]})

    @precondition(lambda self: self.engine.questions)
    @rule(which=WHICH, answer=st.sampled_from(ANSWERS), reason=st.sampled_from(DEAD), keeps=st.booleans())
    def engine_answers(self, which: int, answer: str, reason: api.DoneReason, keeps: bool) -> None:
        request, waiting = self.engine.questions[which % len(self.engine.questions)]
        new = answer.format(q=next(self.numbers))
        pieces = [
            piece.text if isinstance(piece, api.Locked) and keeps else new
            for piece in request.canvas
            if not isinstance(piece, api.Masked)
        ] or [new]
        self.said[request.prompt.path.rpartition("/")[2]].add(unified(new).strip("\n"))
        done = api.Done(
            text="".join(pieces), reason=reason, confidence=0.9, model="m", device="none", engine_ms=1.0, **FIGURES
        )
        waiting.set_result([done])
        self.until(lambda: self.all_answered(request.prompt.path.rpartition("/")[2]))

    @precondition(lambda self: self.engine.questions)
    @rule(which=WHICH)
    def engine_fails(self, which: int) -> None:
        _, waiting = self.engine.questions[which % len(self.engine.questions)]
        waiting.set_exception(EngineTrouble(Reason.ENGINE_ERROR, "As told."))
        self.pass_time(0.001)

    @invariant()
    def one_canvas_a_document(self) -> None:
        if hasattr(self, "server"):
            paths = [request.prompt.path for request, _ in self.engine.questions]
            assert len(paths) == len(set(paths))

    @invariant()
    def answers_fit(self) -> None:
        for msg_id, rewrite in list(getattr(self, "rewrites", {}).items()):
            for answer in self.answers.get(msg_id, []):
                self.check_rewrite(rewrite, answer)
                del self.rewrites[msg_id]
        super().answers_fit()

    def teardown(self) -> None:
        for _, waiting in list(self.engine.questions):
            waiting.set_exception(EngineTrouble(Reason.NO_ENGINE, "Gone."))
        self.pass_time(0.001)
        super().teardown()

    def check_rewrite(self, rewrite: Rewrite, answer: dict) -> None:
        if "error" in answer:
            assert answer["error"]["code"] == -32800
            return
        result = answer["result"]
        if result["reason"] is not None:
            assert result["sentence"]
            event(result["reason"])
            return
        document = rewrite.document
        assert document is not None
        assert self.documents.get(rewrite.name) == document, "what is answered is for the newest version"
        assert result["version"] == document.version
        if rewrite.is_watch:
            assert result["position"] == position_of(document.text, rewrite.start, self.encoding)
            assert result["text"].strip("\n") in self.said[rewrite.name]
            event("watched")
            return
        start, end = (offset_of(document.text, result["range"][side], self.encoding) for side in ("start", "end"))
        assert not document.text[rewrite.start : start].strip()
        assert not document.text[end : rewrite.end].strip()
        assert result["text"].strip("\n") in self.said[rewrite.name]
        assert "\r" not in result["text"]
        event("rewritten")


COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much]}


def test_rewrites_in_any_session():
    run_state_machine_as_test(Rewrites, settings=settings(max_examples=30, stateful_step_count=25, **COMMON))
