"""Any session at all, step by step, against an oracle: a client's own model of its documents (session_oracle.py).

After every step the server's documents must be the client's, each request has at most one answer, and an item fits the
version it was asked for, holds only what the engine promised for that very place, and is not shown where the user has
switched it off. At the end each has exactly one. test_fuzz.py does less, over real pipes.
"""

from typing import Any

import pytest
from editor_model import Edit, edit_of, num_units, offset_of, places_of, unified
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from session_oracle import READY, URIS, Asked, Document, Oracle

from lsp_server.engine_link import EngineState, EngineTrouble
from lsp_server.outcome import Reason
from model.engine import api

PIECES = ["a", "(", ")", '"', " ", "    ", "\t", "\n", "\r\n", "\r", "é", "e\u0301", "😀", "\u2028", "x = ", "if a:\n"]
BODIES = ["v{q}z", "v{q}z)", 'v{q}z")', "é😀{q}z", "({q}z)", "v{q}z\nw{q}z", "", "v{q}\x00", "  v{q}z", "{q}z  # n{q}"]
FIXES = st.sampled_from(["z", "z = 1", "(", ")", "\u202e", "z\n", "", "é", "1", " 1"])
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


class Session(Oracle):
    @initialize(encoding=st.sampled_from(["utf-8", "utf-16", "utf-32"]), client=WHICH, is_short=st.booleans())
    def begin(self, encoding: str, client: int, is_short: bool) -> None:
        self.start(encoding, inline=client % 4 > 0, is_short=is_short)

    # Documents

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
        done = []
        for index in range(request.n):
            text = body.format(q=next(self.numbers))
            self.promise(request, text)
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

    # Fixes

    @rule(name=NAME, row=st.integers(0, 4), place=WHICH, length=st.integers(0, 4), new=FIXES, which=WHICH)
    def fix(self, name: str, row: int, place: int, length: int, new: str, which: int) -> None:
        """A quick fix is what the engine named, of that version and of nothing else."""
        text = self.text(name)
        msg_id = self.ask_for_fixes(name, which, row)
        if not self.engine.repairs:
            assert self.answers[msg_id][0]["result"] == []
            return
        assert self.settings.get("enabled") is not False
        assert name not in self.off
        request, answer = self.engine.repairs[0]
        rows = request.text.split("\n")
        assert request.first_row is not None
        assert request.last_row is not None
        above = sum(len(line) + 1 for line in rows[: request.first_row])
        named = "\n".join(rows[request.first_row : request.last_row + 1])
        start = above + place % (len(named) + 1)
        end = min(start + length, above + len(named))
        answer.set_result([api.Finding(start=start, end=end, text=new, confidence=0.9, kind="name")])
        self.until(lambda: msg_id in self.answers)
        actions = self.answers[msg_id][0]["result"]
        for action in actions:
            chosen = {"title": action["title"], "data": action["command"]["arguments"][0]}
            edit = self.resolved(chosen)["result"]["edit"]
            ((uri, (change,)),) = edit["changes"].items()
            assert uri in URIS[name]
            ends = [offset_of(text, change["range"][at], self.encoding) for at in ("start", "end")]
            after = Edit(ends[0], ends[1], change["newText"]).applied(text)
            assert unified(after) == request.text[:start] + new + request.text[end:]
            self.change(name, [{"text": text}], text)
            assert self.resolved(chosen)["error"]["code"] == -32801  # another version, though the same text
            event("fixed")

    def resolved(self, chosen: dict) -> dict:
        return self.answers[self.request("codeAction/resolve", chosen)][-1]

    @rule(name=NAME, which=WHICH, happens=st.sampled_from(["change", "close", "failure", "cancel"]))
    def no_fix(self, name: str, which: int, happens: str) -> None:
        """Whatever comes between costs the fix, never an answer."""
        text = self.text(name)
        msg_id = self.ask_for_fixes(name, which, 0)
        if self.engine.repairs:
            if happens == "change":
                self.change(name, [{"text": text + "#"}], text + "#")
            elif happens == "close":
                self.close_document(name, which)
            elif happens == "cancel":
                self.notify("$/cancelRequest", {"id": msg_id})
            else:
                self.engine.repairs[0][1].set_exception(EngineTrouble(Reason.ENGINE_ERROR, "As told."))
        self.until(lambda: msg_id in self.answers or msg_id not in self.num_sent)
        for answer in self.answers.get(msg_id, []):
            assert answer.get("result", []) == []
        self.until(lambda: not self.engine.repairs)

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


COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much]}


def test_any_session():
    run_state_machine_as_test(Session, settings=settings(max_examples=60, stateful_step_count=40, **COMMON))


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_many_sessions():
    run_state_machine_as_test(Session, settings=settings(max_examples=200, stateful_step_count=60, **COMMON))
