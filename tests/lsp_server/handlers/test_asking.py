"""What the engine is asked for: alternatives by hand, and the next line after an acceptance."""

import asyncio

import msgspec
import pytest
from desk import Editor, Engine, VirtualTime, until

from lsp_server.engine_link import EngineTrouble
from lsp_server.handlers import asking
from lsp_server.handlers.asking import prefetch
from lsp_server.outcome import Reason
from model.engine import api


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


async def test_where_questions_cost_money_none_is_asked_ahead_or_for_choice():
    editor = Editor(Engine("foo(1)", "y = 2", "z = 3"))
    editor.engine.state = msgspec.structs.replace(editor.engine.state, is_metered=True)
    await accepting(editor)
    await editor.session.idle()
    assert len(editor.engine.requests) == 1
    outcome = await editor.ask(trigger_kind=1)
    assert (len(outcome.items), len(editor.engine.requests)) == (1, 2)
    await editor.ask(trigger_kind=1)  # something is shown already: this asks for others
    assert [request.n for request in editor.engine.requests[2:]] == [1, 2]
