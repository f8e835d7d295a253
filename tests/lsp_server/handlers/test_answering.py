"""From requests to outcomes, in this process: a real session, an engine link that answers as it is told."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lsp_server import in_flight
from lsp_server.engine_link import EngineLink, EngineState, EngineTrouble
from lsp_server.handlers import answering, asking
from lsp_server.handlers.answering import complete
from lsp_server.handlers.asking import prefetch
from lsp_server.outcome import Outcome, Reason
from lsp_server.session import Session
from lsp_server.snapshot import Change
from lsp_server.wire import Changed, CompletionRequest, Opened
from model.engine import api

URI = "file:///w/a.py"
CAPABILITIES = api.Capabilities(
    api=api.API_VERSION,
    model="m",
    device="cpu",
    languages=("python",),
    complete=("line",),
    rewrite="none",
    fix=False,
    mend=False,
    next_edit=False,
    context_tokens=1024,
)


class Engine:
    """Takes the place of an engine link. `texts` are what it answers, in turn; `gate` holds answers back."""

    def __init__(self, *texts: str) -> None:
        self.state = EngineState(kind="ready", capabilities=CAPABILITIES)
        self.texts = list(texts)
        self.requests: list[api.DenoiseRequest] = []
        self.num_cancelled = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.trouble: EngineTrouble | None = None
        self.confidence_of_more = 0.8

    async def ask(self, request: api.DenoiseRequest) -> list[api.Done]:
        self.requests.append(request)
        texts = [self.texts.pop(0) if self.texts else "answer" for _ in range(request.n)]
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.num_cancelled += 1
            raise
        if self.trouble is not None:
            raise self.trouble
        confidence = 0.9 if request.n == 1 else self.confidence_of_more
        return [done(text, index, confidence) for index, text in enumerate(texts)]

    async def close(self) -> None:
        pass


def done(text: str, index: int, confidence: float) -> api.Done:
    return api.Done(
        text=text,
        reason="stop",
        confidence=confidence,
        steps=1,
        forwards=2,
        num_tokens=1,
        prompt_tokens=9,
        cached_tokens=8,
        model="m",
        device="cpu",
        engine_ms=5.0,
        index=index,
    )


class Editor:
    """An editor with one document, whose cursor stands at the `|`."""

    def __init__(self, engine: Engine, text: str = "x = |\n") -> None:
        self.engine = engine
        self.session = Session(cast(EngineLink, engine))
        self.traces: list[str] = []
        status = SimpleNamespace(answered=lambda uri, outcome: None)
        self._server = cast(Any, SimpleNamespace(session=self.session, trace=self.traces.append, status=status))
        self._version = 1
        before, _, after = text.partition("|")
        self._position = (before.count("\n"), len(before) - before.rfind("\n") - 1)
        self.session.open(Opened(URI, "python", 1, before + after))

    def write(self, text: str) -> None:
        """Replaces the whole document; the `|` is the cursor."""
        before, _, after = text.partition("|")
        self._position = (before.count("\n"), len(before) - before.rfind("\n") - 1)
        self._version += 1
        self.session.change(Changed(URI, self._version, (Change(before + after),)))

    def ask(self, trigger_kind: int = 2, **more) -> asyncio.Task[Outcome]:
        request = CompletionRequest(uri=URI, position=self._position, trigger_kind=trigger_kind, **more)
        return asyncio.ensure_future(complete(self._server, URI, *self.session.arrive(request)))

    async def texts(self, text: str, trigger_kind: int = 2) -> list[str]:
        self.write(text)
        return [item.text for item in (await self.ask(trigger_kind)).items]


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


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


async def test_asked_by_hand_there_are_alternatives():
    editor = Editor(Engine("foo", "bar", "foo"))
    outcome = await editor.ask(trigger_kind=1)
    assert [item.text for item in outcome.items] == ["foo", "bar"]
    assert [request.n for request in editor.engine.requests] == [1, 2]
    assert await editor.texts("x = b|\n") == ["ar"]  # the second was chosen
    assert await editor.texts("x = f|\n") == ["oo"]
    assert len(editor.engine.requests) == 2
    await editor.texts("x = |\n", trigger_kind=1)
    assert len(editor.engine.requests) == 4  # by hand it is always asked


async def test_doubtful_alternatives_are_not_offered_unasked():
    editor = Editor(Engine("foo", "bar", "baz"))
    editor.engine.confidence_of_more = 0.1
    assert len((await editor.ask(trigger_kind=1)).items) == 3
    assert await editor.texts("x = f|\n") == ["oo"]
    assert len(editor.engine.requests) == 2
    await editor.texts("x = b|\n")
    assert len(editor.engine.requests) == 3


async def test_trouble_has_its_name():
    editor = Editor(Engine())
    editor.engine.trouble = EngineTrouble(Reason.ENGINE_ERROR, "No.")
    for trigger_kind in (1, 2):
        outcome = await editor.ask(trigger_kind)
        assert (outcome.reason, outcome.detail) == (Reason.ENGINE_ERROR, "No.")


async def accepting(editor: Editor) -> None:
    """Accepts what is offered at `x = |`."""
    (item,) = (await editor.ask()).items
    editor.write(f"x = {item.text}|\n")
    offer = editor.session.offers.accepted(item.id)
    assert offer is not None
    editor.session.in_background(prefetch(editor.session, offer))


async def test_after_an_acceptance_the_next_line_is_there_at_once():
    editor = Editor(Engine("foo(1)", "y = 2"))
    await accepting(editor)
    await until(lambda: len(editor.session.type_along) == 2)
    assert editor.engine.requests[1].prompt.line == ""
    editor.write("x = foo(1)\n|\n")
    outcome = await editor.ask()
    assert ([item.text for item in outcome.items], outcome.name) == (["y = 2"], "prefetched")
    assert len(editor.engine.requests) == 2


async def test_asking_ahead_waits_for_the_editors_own_request():
    editor = Editor(Engine("foo(1)", "ahead", " + 3", "y = 2"))
    await accepting(editor)
    editor.engine.gate.clear()
    await until(lambda: len(editor.engine.requests) == 2)
    own = editor.ask()  # at the end of the accepted item
    await until(lambda: len(editor.engine.requests) == 3)
    assert editor.engine.num_cancelled == 1
    editor.engine.gate.set()
    assert [item.text for item in (await own).items] == [" + 3"]
    await until(lambda: len(editor.session.type_along) == 3)
    assert await editor.texts("x = foo(1)\n|\n") == ["y = 2"]


async def test_the_next_keystroke_ends_asking_ahead():
    editor = Editor(Engine("foo(1)"))
    await accepting(editor)
    editor.engine.gate.clear()
    await until(lambda: len(editor.engine.requests) == 2)
    editor.write("x = foo(1).|\n")
    await until(lambda: editor.engine.num_cancelled == 1)
    await asyncio.sleep(0.01)
    assert len(editor.engine.requests) == 2
    editor.engine.gate.set()


async def test_enter_joins_what_is_asked_ahead():
    editor = Editor(Engine("foo(1)", "y = 2"))
    await accepting(editor)
    editor.engine.gate.clear()
    await until(lambda: len(editor.engine.requests) == 2)
    editor.write("x = foo(1)\n|\n")
    own = editor.ask()
    await asyncio.sleep(0.01)
    editor.engine.gate.set()
    outcome = await own
    assert ([item.text for item in outcome.items], outcome.name) == (["y = 2"], "joined")
    assert len(editor.engine.requests) == 2


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
    monkeypatch.setattr(answering, "build_request", None)
    assert await editor.texts("x = f|\n") == ["oo(1)"]


class VirtualTime(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer when nothing else is to be done."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 1_000.0

    def time(self) -> float:
        return self._now_s

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # pyright: ignore[reportAttributeAccessIssue]
            self._now_s = max(self._now_s, self._scheduled[0].when())  # pyright: ignore[reportAttributeAccessIssue]
        super()._run_once()  # pyright: ignore[reportAttributeAccessIssue]


class SlowEngine(Engine):
    """An engine that takes `seconds` for each answer."""

    seconds = 0.3

    async def ask(self, request: api.DenoiseRequest) -> list[api.Done]:
        answers = await super().ask(request)
        await asyncio.sleep(self.seconds)
        return answers


def type_quickly(expected_s: float, gap_s: float, editors_pause_s: float = 0.0) -> tuple[list[str], int]:
    """Types a line at an engine of 0.3 s: what the last request is answered, and how many questions there were."""

    async def typing() -> tuple[list[str], int]:
        editor = Editor(SlowEngine(*["!"] * 30), "|\n")
        editor.session.flights._measure = lambda seconds: None  # its clock is the real one
        editor.session.flights.expected_s = expected_s
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
    assert type_quickly(expected_s=0.3, gap_s=0.12) == (["!"], 1)
    assert type_quickly(expected_s=0.3, gap_s=0.12, editors_pause_s=0.05) == (["!"], 1)


def test_an_engine_believed_fast_and_slow_typing_are_asked_at_each_key():
    assert type_quickly(expected_s=0.01, gap_s=0.12)[1] > 10
    assert type_quickly(expected_s=0.3, gap_s=0.6)[1] == 20


def test_asked_by_hand_nothing_waits():
    async def by_hand() -> float:
        editor = Editor(SlowEngine("foo"))
        editor.session.flights.expected_s = 5.0
        editor.write("x = y + |\n")
        started_s = asyncio.get_running_loop().time()
        assert (await editor.ask(trigger_kind=1)).items
        return asyncio.get_running_loop().time() - started_s

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        assert runner.run(by_hand()) == pytest.approx(0.3)


class LateAlternatives(Engine):
    """An engine whose alternatives come `late_s` behind the first answer."""

    late_s = 1.0

    async def ask(self, request: api.DenoiseRequest) -> list[api.Done]:
        answers = await super().ask(request)
        try:
            await asyncio.sleep(0.0 if request.n == 1 else self.late_s)
        except asyncio.CancelledError:
            self.num_cancelled += 1
            raise
        return answers


def test_late_alternatives_do_not_hold_the_first_answer_up_but_come_when_asked_for_again():
    async def cycling() -> None:
        editor = Editor(LateAlternatives("foo", "bar", "baz", "foo", "bar", "baz"))
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        assert [item.text for item in (await editor.ask(trigger_kind=1)).items] == ["foo"]
        assert loop.time() - started_s == pytest.approx(asking.ALTERNATIVES_PATIENCE_S)
        assert editor.engine.num_cancelled == 1
        # Now one is shown: whoever asks at the same place wants another one.
        outcome = await editor.ask(trigger_kind=1)
        assert [item.text for item in outcome.items] == ["foo", "bar", "baz"]

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        runner.run(cycling())


def test_alternatives_that_fail_cost_nothing():
    class Failing(Engine):
        async def ask(self, request: api.DenoiseRequest) -> list[api.Done]:
            if request.n > 1:
                raise EngineTrouble(Reason.ENGINE_ERROR, "No.")
            return await super().ask(request)

    async def ask() -> list[str]:
        return [item.text for item in (await Editor(Failing("foo")).ask(trigger_kind=1)).items]

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        assert runner.run(ask()) == ["foo"]
