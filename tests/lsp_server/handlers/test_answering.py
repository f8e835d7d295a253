"""From requests to outcomes: what is asked, waited for, joined, cut, and what needs no question."""

import asyncio

import pytest
from desk import URI, Editor, Engine, VirtualTime, until

from lsp_server import in_flight
from lsp_server.handlers import answering
from lsp_server.outcome import Reason
from lsp_server.positions import Position
from lsp_server.snapshot import Snapshot
from lsp_server.wire import Opened
from model.engine import api


async def test_typing_along_asks_the_engine_once():
    editor = Editor(Engine("foo(1)", "bar"))
    assert (await editor.ask()).name == "shown"
    for text, rest in [("x = f|\n", "oo(1)"), ("x = foo(|)\n", "1)"), ("x = foo|\n", "(1)"), ("x = |\n", "foo(1)")]:
        editor.write(text)
        outcome = await editor.ask()
        assert [item.text for item in outcome.items] == [rest]
        assert (outcome.name, outcome.figures) == ("typed_along", None)
    assert len(editor.engine.requests) == 1
    assert '"reason": "typed_along"' in editor.traces[-1]
    assert await editor.texts("x = q|\n") == ["bar"]
    assert len(editor.engine.requests) == 2


async def test_what_changes_before_an_answer_is_looked_for_makes_it_stale():
    editor = Editor(Engine("foo(1)"))
    assert (await editor.ask()).items
    request = editor.ask()
    editor.write("y = |\n")  # in one breath: the request has arrived, its work has not begun
    assert (await request).reason is Reason.STALE
    first, second = editor.ask(), editor.ask()
    assert (await first).reason is Reason.SUPERSEDED
    assert (await second).items
    assert len(editor.engine.requests) == 2


async def test_what_is_typed_along_is_not_taken_away_in_the_middle_of_a_line():
    editor = Editor(Engine("foo(1)"), "x = | + y\n")
    assert (await editor.ask()).reason is Reason.MID_LINE
    assert (await editor.ask(trigger_kind=1)).items
    assert await editor.texts("x = f| + y\n") == ["oo(1)"]


@pytest.mark.parametrize("how", ["settings", "closed", "switched off"])
async def test_what_is_kept_goes_with_settings_and_documents(how):
    editor = Editor(Engine("foo", "bar"))
    assert (await editor.ask()).items
    if how == "settings":
        editor.session.configure({"seedling": {"confidence": 0.2}})
    elif how == "closed":
        editor.session.close_document(URI)
        editor.session.open(Opened(URI, "python", 7, "x = \n"))
    else:
        editor.session.configure({"seedling": {"enabled": False}})
        assert (await editor.ask()).reason is Reason.DISABLED
        return
    assert (await editor.ask()).items[0].text == "bar"


async def test_an_answer_under_way_serves_what_was_typed_meanwhile():
    editor = Editor(Engine("foo(1)"))
    editor.engine.gate.clear()
    editor.session.flights.expected_s = 0.0  # overdue: worth waiting for
    first = editor.ask()
    await until(lambda: editor.engine.requests)
    editor.write("x = f|\n")
    assert (await first).reason is Reason.STALE
    second = editor.ask()
    await asyncio.sleep(0.01)
    editor.engine.gate.set()
    outcome = await second
    assert ([item.text for item in outcome.items], outcome.name) == (["oo(1)"], "joined")
    assert len(editor.engine.requests) == 1


async def test_an_answer_under_way_that_does_not_fit_is_followed_by_a_new_question():
    editor = Editor(Engine("foo(1)", "uux"))
    editor.engine.gate.clear()
    editor.session.flights.expected_s = 0.0
    editor.ask()
    await until(lambda: editor.engine.requests)
    editor.write("x = q|\n")
    second = editor.ask()
    await asyncio.sleep(0.01)
    editor.engine.gate.set()
    outcome = await second
    assert ([item.text for item in outcome.items], outcome.name) == (["uux"], "shown")
    assert editor.engine.num_cancelled == 0


async def test_an_answer_that_has_just_been_begun_is_cut():
    editor = Editor(Engine("foo(1)", "oo(2)"))
    editor.engine.gate.clear()
    editor.session.flights.expected_s = 100.0
    editor.ask()
    await until(lambda: editor.engine.requests)
    editor.write("x = f|\n")
    second = editor.ask()
    await until(lambda: len(editor.engine.requests) == 2)
    assert editor.engine.num_cancelled == 1
    editor.engine.gate.set()
    assert [item.text for item in (await second).items] == ["oo(2)"]


async def test_the_same_question_twice_is_asked_once():
    editor = Editor(Engine(" "))
    editor.engine.gate.clear()
    first = editor.ask()
    await until(lambda: editor.engine.requests)
    second = editor.ask()
    assert (await first).reason is Reason.SUPERSEDED
    editor.engine.gate.set()
    assert (await second).reason is Reason.EMPTY_ANSWER
    assert len(editor.engine.requests) == 1


async def test_what_the_editor_cancels_may_still_serve_its_next_request(monkeypatch):
    monkeypatch.setattr(in_flight, "UNCLAIMED_S", 5.0)
    editor = Editor(Engine("foo(1)"))
    editor.engine.gate.clear()
    first = editor.ask()
    await until(lambda: editor.engine.requests)
    editor.write("x = f|\n")
    first.cancel()
    await asyncio.sleep(0)
    editor.engine.gate.set()
    await editor.session.flights.idle()
    outcome = await editor.ask()
    assert ([item.text for item in outcome.items], outcome.name) == (["oo(1)"], "typed_along")
    await editor.session.close()


async def test_what_nobody_wants_is_cancelled_in_the_engine(monkeypatch):
    monkeypatch.setattr(in_flight, "UNCLAIMED_S", 0.01)
    editor = Editor(Engine())
    editor.engine.gate.clear()
    first = editor.ask()
    await until(lambda: editor.engine.requests)
    first.cancel()
    await until(lambda: editor.engine.num_cancelled == 1)


async def test_broken_ghost_text_becomes_a_guess():
    editor = Editor(Engine("self.b = value", "", ""))
    assert (await editor.ask()).items
    editor.write("x = self.c =|\n")
    await editor.ask()
    assert editor.engine.requests[-1].canvas == (api.Masked(guess=" value"),)
    editor.write("x = q|\n")
    await editor.ask()
    assert editor.engine.requests[-1].canvas == (api.Masked(),)


async def test_a_line_of_another_document_is_a_guess_once_it_was_gathered():
    editor = Editor(Engine("foo", "sum(prices)"), "total = |\n")
    session = editor.session
    session.open(Opened("file:///w/other.py", "python", 1, "total = sum(prices)\n"))
    assert (await editor.ask()).items
    assert editor.engine.requests[-1].canvas == (api.Masked(),)
    here = Snapshot(document=session.document(URI), cursor=Position(0, 8), path="a.py")
    await until(lambda: session.context.lines_for(here) is not None)
    editor.write("total =|\n")
    editor.write("total = |\n")
    outcome = await editor.ask(trigger_kind=1)
    assert [request.canvas for request in editor.engine.requests[1:2]] == [(api.Masked(guess="sum(prices)\n"),)]
    assert outcome.items


async def test_what_is_shown_may_be_taken_back_letter_by_letter_and_nothing_else_comes_then():
    editor = Editor(Engine("foo(1)", "bar"))
    assert (await editor.ask()).items
    assert await editor.texts("x = fo|\n") == ["o(1)"]
    assert await editor.texts("x = f|\n") == ["oo(1)"]  # a deletion, into what is there
    editor.write("x =|\n")
    assert (await editor.ask()).reason is Reason.JUST_DELETED
    assert len(editor.engine.requests) == 1
    editor.write("x =y|\n")
    assert (await editor.ask()).items


async def test_what_was_accepted_and_undone_is_not_shown_again():
    editor = Editor(Engine("foo(1)", "bar"))
    assert (await editor.ask()).items
    editor.write("x = foo(1)|\n")
    editor.write("x = |\n")
    assert (await editor.ask()).reason is Reason.UNDONE
    assert (await editor.ask(trigger_kind=1)).items


async def test_the_prompt_is_not_built_where_the_answer_is_there(monkeypatch):
    editor = Editor(Engine("foo(1)"))
    assert (await editor.ask()).items
    monkeypatch.setattr(answering, "build_question", None)
    assert await editor.texts("x = f|\n") == ["oo(1)"]


class SlowEngine(Engine):
    """An engine that takes `seconds` for each answer."""

    def __init__(self, seconds: float, *texts: str) -> None:
        super().__init__(*texts)
        self.seconds = seconds

    async def ask(self, request: api.DenoiseRequest) -> list[api.Done]:
        answers = await super().ask(request)
        await asyncio.sleep(self.seconds)
        return answers


def type_quickly(engine_s: float, gap_s: float, editors_pause_s: float = 0.0) -> tuple[list[str], int]:
    """Types a line at an engine known to take so long: the last request's answer, and how many questions there were."""

    async def typing() -> tuple[list[str], int]:
        editor = Editor(SlowEngine(engine_s, *["!"] * 30), "|\n")
        editor.session.flights.expected_s = engine_s
        request = None
        for end in range(1, 21):
            editor.write("value = compute(everything)"[:end] + "|\n")
            await asyncio.sleep(editors_pause_s)
            request = editor.ask()
            await asyncio.sleep(gap_s - editors_pause_s)
        assert request is not None
        outcome = await request
        return [item.text for item in outcome.items], len(editor.engine.requests)

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(typing())


def test_a_burst_of_keys_asks_a_slow_engine_once():
    assert type_quickly(engine_s=0.3, gap_s=0.12) == (["!"], 1)
    assert type_quickly(engine_s=0.3, gap_s=0.12, editors_pause_s=0.05) == (["!"], 1)


def test_a_fast_engine_is_asked_at_each_key_and_a_slow_one_by_a_slow_typist():
    assert type_quickly(engine_s=0.01, gap_s=0.12)[1] > 10
    assert type_quickly(engine_s=0.3, gap_s=0.6)[1] == 20


def test_asked_by_hand_nothing_waits():
    async def by_hand() -> float:
        editor = Editor(SlowEngine(0.3, "foo"))
        editor.session.flights.expected_s = 5.0
        editor.write("x = y + |\n")
        started_s = asyncio.get_running_loop().time()
        assert (await editor.ask(trigger_kind=1)).items
        return asyncio.get_running_loop().time() - started_s

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        assert runner.run(by_hand()) == pytest.approx(0.3)
