"""Complete as a pure function: what is asked, what is refused and why, what an answer becomes."""

import msgspec
import pytest
from capabilities import capabilities

from lsp_server.engine_link import EngineState
from lsp_server.features import complete
from lsp_server.features.complete import (
    Question,
    alternatives_to,
    plan_completion,
    shape_alternatives,
    shape_completion,
    with_guess,
)
from lsp_server.outcome import Outcome, Reason
from lsp_server.positions import Position
from lsp_server.settings import Settings
from lsp_server.snapshot import Selected, Snapshot, open_document
from model.engine import api

CAPABILITIES = capabilities()
READY = EngineState(kind="ready", capabilities=CAPABILITIES)
DONE = api.Done(
    text="answer",
    reason="stop",
    confidence=0.9,
    steps=1,
    forwards=2,
    num_tokens=1,
    prompt_tokens=9,
    cached_tokens=8,
    model="m",
    device="cpu",
    engine_ms=5.0,
)


def marked(text: str, language: str = "python", **more) -> Snapshot:
    """The snapshot of `text` with its cursor at the `|`."""
    before, _, after = text.partition("|")
    document = open_document("file:///w/a.py", language, 1, before + after)
    cursor = Position(before.count("\n"), len(before) - before.rfind("\n") - 1)
    return Snapshot(document=document, cursor=cursor, path="a.py", **more)


def question_at(snapshot: Snapshot, engine: EngineState = READY, **settings) -> Question:
    plan = plan_completion(snapshot, Settings(**settings), engine, "id")
    assert isinstance(plan, Question)
    return plan


def asked(snapshot: Snapshot, engine: EngineState = READY, **settings) -> api.DenoiseRequest:
    return question_at(snapshot, engine, **settings).request


def answered(snapshot: Snapshot, text: str = "answer", settings: Settings | None = None, **done) -> Outcome:
    answer = msgspec.structs.replace(DONE, text=text, **done)
    return shape_completion(answer, snapshot, settings or Settings(), question_at(snapshot))


@pytest.mark.parametrize(
    ("reason", "snapshot", "engine", "settings"),
    [
        (Reason.DISABLED, marked("x = |"), READY, {"enabled": False}),
        (Reason.MANUAL_ONLY, marked("x = |"), READY, {"manual_only": True}),
        (Reason.LANGUAGE_OFF, marked("x = |"), READY, {"languages": ("go",)}),
        (Reason.MID_WORD, marked("x = na|me"), READY, {}),
        (Reason.MID_LINE, marked("x = | + y"), READY, {}),
        (Reason.MID_LINE, marked("x = f(| # c"), READY, {}),
        (Reason.HUGE_FILE, marked("x = |"), READY, {"max_file_bytes": 2}),
        (Reason.LANGUAGE_NOT_SUPPORTED, marked("x = |", "cobol"), READY, {}),
        (Reason.NO_ENGINE, marked("x = |"), EngineState(kind="failed"), {}),
        (Reason.NO_ENGINE, marked("x = |"), EngineState(), {}),
        (Reason.LOADING, marked("x = |"), EngineState(kind="loading"), {}),
        (
            Reason.CANNOT_COMPLETE,
            marked("x = |"),
            EngineState(kind="ready", capabilities=msgspec.structs.replace(CAPABILITIES, complete=())),
            {},
        ),
    ],
)
def test_every_refusal_has_its_name(reason, snapshot, engine, settings):
    plan = plan_completion(snapshot, Settings(**settings), engine, "id")
    assert isinstance(plan, Outcome)
    assert plan.reason is reason


@pytest.mark.parametrize(("language", "named"), [("cobol", "cobol"), ("", "a language without a name")])
def test_a_language_the_model_does_not_know_is_named_beside_those_it_knows(language, named):
    plan = plan_completion(marked("x = |", language), Settings(), READY, "id")
    assert isinstance(plan, Outcome)
    assert plan.detail == f"{named}; it knows python"
    assert "SEEDLING_MODEL" in plan.sentence


@pytest.mark.parametrize("after", ["", "  ", ")", ')"]', "):", ") {", "],", " ) ;", "```"])
def test_closers_and_punctuation_may_follow_the_cursor(after):
    assert asked(marked(f"x = f(|{after}")).deadline_ms == 400


def test_asked_by_hand_manual_only_and_the_middle_of_a_line_do_not_hold():
    assert asked(marked("x = | + y", trigger="invoked")).prompt.tail == " + y"
    request = asked(marked("x = na|me", trigger="invoked"), manual_only=True)
    assert request.deadline_ms == 2_000
    assert asked(marked("x = |")).deadline_ms == 400


@pytest.mark.parametrize(
    ("text", "stop"),
    [
        ("def f(x):\n    |\n", "node"),
        ("def f(x):\n|\n", "node"),
        ("def f(x):\n    r|\n", "line"),
        ("def f(x):\n    |)\n", "line"),
        ("def f(x):\n    |\n    y = 1\n", "line"),  # the block goes on below: not empty
        ("def f(x):\n    |\n\n    y = 1\n", "line"),
        ("def f(x):\n    |\n\ny = 1\n", "node"),
        ("# note:\n|\n", "line"),
        ("def f(x):\n\n    |\n", "node"),
        ("x = 1\n|\n", "line"),
        ("|\ny = 1\n", "line"),
    ],
)
def test_several_lines_only_in_an_empty_block(text, stop):
    assert asked(marked(text)).stop == stop
    assert asked(marked(text), multi_line=False).stop == "line"
    lines_only = msgspec.structs.replace(CAPABILITIES, complete=("line",))
    assert asked(marked(text), EngineState(kind="ready", capabilities=lines_only)).stop == "line"


def test_the_item_stands_at_the_cursor_and_replaces_what_it_closes():
    (item,) = answered(marked("def f(|):\n"), "a, b):").items
    assert (item.text, item.start, item.end) == ("a, b):", Position(0, 6), Position(0, 8))
    (item,) = answered(marked("x = |\n"), "1\ny = 2").items
    assert (item.text, item.start, item.end) == ("1", Position(0, 4), Position(0, 4))


def test_the_item_extends_the_selected_popup_item():
    selected = Selected(Position(0, 3), Position(0, 5), "path")
    snapshot = marked("os.pa|)", selected=selected)
    assert asked(snapshot).prompt.line == "os.path"
    (item,) = answered(snapshot, ".join(a))").items
    assert (item.text, item.start, item.end) == ("path.join(a))", Position(0, 3), Position(0, 6))


@pytest.mark.parametrize(
    ("reason", "text", "done"),
    [
        (Reason.CANCELLED, "x", {"reason": "cancelled"}),
        (Reason.DEADLINE, "", {"reason": "deadline"}),
        (Reason.EMPTY_ANSWER, " ", {}),
        (Reason.LOW_CONFIDENCE, "x", {"confidence": 0.14}),
        (Reason.UNSAFE_TEXT, "\x1b[2J", {}),
        (Reason.SAME_AS_SUFFIX, ")", {}),
        (Reason.REPETITION, "a.b.b.b.b.b.b.b.b.b", {}),
    ],
)
def test_every_answer_that_is_not_shown_has_its_name(reason, text, done):
    outcome = answered(marked("f(|)"), text, **done)
    assert outcome.reason is reason
    assert outcome.figures is not None
    assert outcome.figures.engine_ms == 5.0


def test_asked_by_hand_doubtful_answers_are_shown():
    assert answered(marked("x = |", trigger="invoked"), confidence=0.01).items
    assert answered(marked("x = |"), confidence=0.15).items
    assert answered(marked("x = |"), settings=Settings(confidence=0.0), confidence=0.0).items


def test_what_was_finished_at_the_deadline_is_shown():
    assert answered(marked("x = |"), "foo(", reason="deadline").items[0].text == "foo("


def alternatives(*texts: str, first: str = "answer", **done) -> Outcome:
    """The outcome of `first` with further answers, less and less sure."""
    snapshot = marked("x = |", trigger="invoked")
    others = [
        msgspec.structs.replace(DONE, text=text, confidence=0.1 * (number + 1), **done)
        for number, text in enumerate(texts)
    ]
    done = msgspec.structs.replace(DONE, text=first)
    return shape_alternatives(done, others, snapshot, Settings(), question_at(snapshot))


def test_alternatives_come_behind_the_first_surest_first_each_text_once():
    outcome = alternatives("b", "answer", "c", "b")
    assert [item.text for item in outcome.items] == ["answer", "b", "c"]
    assert [item.id for item in outcome.items] == ["id", "id.1", "id.2"]
    assert outcome.figures is not None
    assert outcome.figures.confidence == 0.9


def test_alternatives_that_are_cut_short_or_unfit_are_none():
    assert len(alternatives("b", reason="deadline").items) == 1
    assert len(alternatives("\x00", " ").items) == 1
    assert alternatives(" ", first=" ").reason is Reason.EMPTY_ANSWER
    assert [item.text for item in alternatives("b", first=" ").items] == ["b"]


def test_alternatives_are_drawn_behind_the_same_prompt():
    request = asked(marked("x = |", trigger="invoked"))
    more = alternatives_to(request)
    assert (more.prompt, more.canvas, more.stop) == (request.prompt, request.canvas, request.stop)
    assert (more.n, more.temperature > 0, request.temperature) == (2, True, 0)
    assert more.id != request.id


def test_a_guess_is_the_beginning_of_the_hole():
    question = question_at(marked("x = |"))
    assert with_guess(question, "") is question
    guessed = with_guess(question, "foo(")
    assert guessed.request.canvas == (api.Masked(guess="foo("),)
    assert guessed.similar is None  # the gate has no second witness in it


def test_a_similar_line_is_the_first_guess_but_none_for_alternatives():
    request = asked(marked("total = sum(prices)\n\ntotal = |\n", trigger="invoked"))
    assert request.canvas == (api.Masked(guess="sum(prices)\n"),)
    assert alternatives_to(request).canvas == (api.Masked(),)
    assert asked(marked("total = |\n")).canvas == (api.Masked(),)


def test_an_unlikely_similar_line_is_a_witness_only():
    question = question_at(
        marked("".join(f"a{n}\nb{n}\nc{n}\ntotal = {n}\n" for n in range(5)) + "d\ne\nf\ntotal = |\n")
    )
    assert question.request.canvas == (api.Masked(),)
    assert question.guess == ""
    assert question.similar is not None


def test_the_similar_line_is_looked_for_once_and_is_the_gates_witness_too(monkeypatch):
    snapshot = marked("total = sum(prices)\n\ntotal = |\n")
    question = question_at(snapshot)
    monkeypatch.setattr(complete, "similar_line", None)

    def confidence(text: str, question: Question) -> float:
        done = msgspec.structs.replace(DONE, text=text, confidence=0.81)
        return shape_completion(done, snapshot, Settings(), question).items[0].confidence

    alone = msgspec.structs.replace(question, similar=None)
    assert confidence("sum(prices)", question) != confidence("sum(prices)", alone) == pytest.approx(0.81)
    assert confidence("max(prices)", question) < confidence("max(prices)", alone)
