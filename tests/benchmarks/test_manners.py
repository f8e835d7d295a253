"""Every scenario that has passed still passes, the bars hold; and the harness can fail: planted wrong expectations,
questions that the cassette does not hold, a server that breaks the protocol.
"""

import asyncio
import json
import time

import pytest

from benchmarks.manners import (
    BASELINE,
    CASSETTE,
    SCENARIOS,
    harmonic_mean,
    lost_since,
    rates,
    read_baseline,
    report,
    write_baseline,
)
from benchmarks.replay_scenario import RECORD_AGAIN, Result, replay
from benchmarks.scenario import Scenario, ScenarioError, read_scenario, read_scenarios
from benchmarks.scenario_clock import EPOCH_S, JumpingLoop, clock_of
from benchmarks.scenario_editor import Editor
from benchmarks.scenario_engine import Cassette, ReplayEngine, Reply, key_of, read_cassette, write_cassette
from model.engine import api

ALL = read_scenarios(SCENARIOS)
TAPE = read_cassette(CASSETTE)
SHOWN = """A reply is shown
-- shop.py --
def total(prices):
    ▮
-- steps --
reply " sum(prices)"
type "return"
"""


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return {scenario.name: replay(scenario, TAPE) for scenario in ALL}


def play(text: str, name: str = "behave_planted") -> Result:
    return replay(read_scenario(name, text), TAPE)


# The scenarios


@pytest.mark.parametrize("name", sorted(read_baseline(BASELINE)))
def test_what_has_passed_passes(results: dict[str, Result], name: str) -> None:
    assert results[name].failure == ""


def test_the_baseline_knows_every_scenario() -> None:
    names = json.loads(BASELINE.read_text("utf-8"))
    assert sorted(names["pass"] + names["fail"]) == sorted(scenario.name for scenario in ALL)


def test_the_bars_hold(results: dict[str, Result]) -> None:
    reached = rates(list(results.values()))
    assert (reached["show_rate"] or 0.0) >= 0.6
    assert (reached["quiet_rate"] or 0.0) >= 0.8


def test_the_cassette_holds_what_is_asked(results: dict[str, Result]) -> None:
    assert [name for name, result in results.items() if result.misses] == []


def test_the_scenarios_are_many_and_what_counts_is_the_models() -> None:
    kinds = [scenario.kind for scenario in ALL]
    assert kinds.count("show") >= 20
    assert kinds.count("quiet") >= 20
    assert [one.name for one in ALL if one.kind != "behave" and one.has_own_replies] == []
    assert all(step.verb != "expect" for one in ALL for step in one.steps[:1]), "something happens first"
    wants = {"show": "shown", "quiet": "quiet"}
    for one in ALL:
        if one.kind in wants:
            assert any(step.source.startswith(f"expect {wants[one.kind]}") for step in one.steps), one.name


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 12, 13])
def test_a_complaint_has_its_scenarios(number: int) -> None:
    assert any(scenario.title.startswith(f"Complaint {number}:") for scenario in ALL)


# The harness can fail


@pytest.mark.parametrize(
    ("expectation", "failure"),
    [
        ("expect quiet", "is shown"),
        ('expect shown exactly "sum(price)"', "is shown"),
        ('expect shown containing "len"', "is shown"),
        ("expect answer typed_along", "shown"),
        ("expect asked at most 5", "6 questions"),
        ('expect line "    return▮ sum"', "return▮"),
        ('expect text "return▮"', "def total"),
        ('expect text containing "len"', "def total"),
        ("expect alternatives 2", "1"),
        ('expect prompt containing "import os"', "def total"),
        ("expect status SNOOZED", "the status is"),
        ('expect quiet or shown exactly "x"', "is shown"),
        ("expect everything", "no expectation"),
        ("jump 3", "no step"),
        ("engine asleep", "no mode"),
        ("wait 3h", "no duration"),
        ('focus "nowhere.py"', "nowhere.py"),
    ],
)
def test_a_planted_mistake_fails_and_names_its_line(expectation: str, failure: str) -> None:
    result = play(f"{SHOWN}{expectation}\n")
    assert not result.passed
    assert result.failure.startswith(f"line 8: {expectation}: ")
    assert failure in result.failure


def test_the_same_without_a_mistake_passes() -> None:
    result = play(f'{SHOWN}expect shown exactly " sum(prices)"\nexpect answer shown\nexpect asked at most 6\n')
    assert result.failure == ""
    assert (result.answer, result.confidence, result.used_keys) == ("shown", 0.95, frozenset())


def test_accepting_nothing_fails() -> None:
    assert "nothing is shown" in play(SHOWN.replace(" sum(prices)", "") + "expect quiet\naccept\n").failure


def test_a_bracket_without_its_partner_fails() -> None:
    text = SHOWN.replace('type "return"', 'type "return (("')
    assert "has no partner" in play(f"{text}expect no duplicate bracket\n").failure


def test_a_question_that_was_not_recorded_fails() -> None:
    text = SHOWN.replace('reply " sum(prices)"\n', "") + "expect shown\n"
    result = replay(read_scenario("show_planted", text), Cassette(TAPE.capabilities, {}))
    assert RECORD_AGAIN in result.failure
    assert result.misses


def test_an_answer_is_known_by_the_question_alone() -> None:
    text = SHOWN.replace('reply " sum(prices)"\n', "").replace('type "return"', 'type "r"') + "expect shown\n"
    scenario = read_scenario("show_planted", text)
    (key,) = replay(scenario, Cassette(TAPE.capabilities, {})).misses
    reply = Reply(" len(prices)", "stop", 0.99, 20.0, 3)
    tape = Cassette(TAPE.capabilities, {key: (reply,)})
    assert replay(scenario, tape).failure == ""


def test_a_lost_scenario_is_named(tmp_path) -> None:
    good, bad = play(f"{SHOWN}expect shown\n", "show_good"), play(f"{SHOWN}expect shown\n", "show_bad")
    write_baseline([good, bad], tmp_path / "baseline.json")
    bad = play(f"{SHOWN}expect quiet\n", "show_bad")
    lost = lost_since(read_baseline(tmp_path / "baseline.json"), [good, bad])
    assert lost == ["show_bad"]
    table, *_, last = report([good, bad], lost).split("\n\n")
    assert "show_bad   FAILS" in table
    figures = json.loads(last.splitlines()[-1])
    assert (figures["right_rate"], figures["quiet_rate"], figures["score"]) == (0.5, None, None)
    assert figures["lost"] == ["show_bad"]


def test_what_is_shown_counts_as_shown_even_where_it_is_wrong() -> None:
    wrong = play(f'{SHOWN}expect shown containing "len"\n', "show_wrong")
    silent = play(SHOWN.replace(" sum(prices)", "") + "expect shown\n", "show_silent")
    reached = rates([wrong, silent])
    assert (wrong.shown, silent.shown) == (True, False)
    assert (reached["show_rate"], reached["right_rate"]) == (0.5, 0.0)


def test_all_quiet_is_worth_nothing() -> None:
    assert (harmonic_mean(0.0, 1.0), harmonic_mean(0.0, 0.0)) == (0.0, 0.0)
    assert harmonic_mean(0.6, 0.8) == 0.6857


def test_ghost_text_that_changes_under_the_fingers_fails() -> None:
    text = SHOWN.replace(
        'type "return"\n', 'type "return"\nexpect shown\nsetting confidence 0.99\nreply ""\ntype " "\n'
    )
    assert "1 times" in play(f"{text}expect no flicker\n").failure


# A server that breaks the protocol


class OddServer:
    """Answers every request for ghost text with `answers`, on the spot."""

    def __init__(self, *answers: dict) -> None:
        self.protocol = self
        self._answers = answers

    def set_writer(self, writer) -> None:
        self._writer = writer

    def receive(self, body: bytes) -> None:
        message = json.loads(body)
        if message["method"] == "textDocument/inlineCompletion":
            for answer in self._answers:
                number = {} if "method" in answer else {"id": message["id"]}
                self._writer.write(b"\r\n\r\n" + json.dumps({"jsonrpc": "2.0", **number, **answer}).encode())
        elif "id" in message:
            self._writer.write(b"\r\n\r\n" + json.dumps({"id": message["id"], "result": None}).encode())


def item(line: int, start: int, end: int) -> dict:
    ends = {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}
    return {"result": {"items": [{"insertText": "x", "range": ends, "command": {}}]}}


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        ([item(1, 10, 10)], None),
        ([item(0, 3, 3)], "leaves the cursor's line"),
        ([item(1, 10, 11)], "leaves the cursor's line"),
        ([item(1, 10, 10)] * 2, "not answered exactly once"),
        ([], "not answered exactly once"),
        ([{"error": {"code": -32603, "message": "Internal error"}}], "Internal error"),
        ([{"error": {"code": -32800, "message": "Cancelled"}}], None),
        ([item(1, 10, 10), {"method": "window/showMessage", "params": {"message": "Hello"}}], "Hello"),
    ],
)
def test_what_no_server_may_do_is_a_fault(answers: list[dict], fault: str | None) -> None:
    async def talk() -> list[str]:
        editor = Editor(OddServer(*answers))  # pyright: ignore[reportArgumentType]
        editor.open(list(read_scenario("behave_odd", SHOWN).files))
        for key in "return":
            editor.type(key)
        await asyncio.sleep(0.1)
        await editor.leave()
        return editor.faults

    faults = asyncio.run(talk())
    assert any(fault in found for found in faults) if fault else faults == []


# Reading, clock, engine


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("planted", SHOWN),
        ("show_planted", SHOWN.replace("-- steps --", "-- stairs --")),
        ("show_planted", SHOWN.replace("▮", "")),
        ("show_planted", SHOWN.replace("▮", "▮\n-- other.py --\n▮")),
        ("show_planted", SHOWN.replace("-- shop.py", "colour: red\n-- shop.py")),
        ("show_planted", SHOWN.replace('"return"', '"ret\\urn"')),
        ("show_planted", "\n" + SHOWN),
    ],
)
def test_a_scenario_that_cannot_be_read_is_one_sentence(name: str, text: str) -> None:
    with pytest.raises(ScenarioError, match=name):
        read_scenario(name, text)


def test_documents_are_written_out() -> None:
    text = "Much text\nline ends: crlf\n-- a.py --\n@times 2 x = 1\n@wide 3 ab▮\n-- b.ipynb#2 --\n␀\n-- steps --\n"
    scenario = read_scenario("show_much", text)
    first, second = scenario.files
    assert (first.text, first.cursor, first.language) == ("x = 1\r\nx = 1\r\nababab", 20, "python")
    assert (second.text, second.cell, second.uri) == ("\0", 2, "vscode-notebook-cell:/project/b.ipynb#W2")


def test_an_hour_passes_at_once_and_every_clock_shows_it() -> None:
    async def nap() -> tuple[float, float, float]:
        before = (asyncio.get_running_loop().time(), time.perf_counter(), time.time())
        await asyncio.sleep(3_600)
        await asyncio.to_thread(sum, [1, 2])
        after = (asyncio.get_running_loop().time(), time.perf_counter(), time.time())
        return after[0] - before[0], after[1] - before[1], after[2] - EPOCH_S - after[0]

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, JumpingLoop)
        with clock_of(loop):
            assert runner.run(nap()) == pytest.approx((3_600, 3_600, 0))


def test_the_engine_keeps_to_deadline_and_time() -> None:
    request = api.DenoiseRequest(id="a", prompt=api.Prompt(line="x"), deadline_ms=100)
    tape = Cassette(TAPE.capabilities, {key_of(request): (Reply("y", "stop", 0.9, 60.0, 1),)})
    engine = ReplayEngine(tape)

    async def ask() -> tuple[float, api.Event]:
        started_s = asyncio.get_running_loop().time()
        (event,) = [event async for event in engine.denoise(request)]
        return asyncio.get_running_loop().time() - started_s, event

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        took_s, done = runner.run(ask())
        assert isinstance(done, api.Done)
        assert (took_s, done.text, done.reason) == (pytest.approx(0.06), "y", "stop")
        engine.slow_ms = 80
        took_s, done = runner.run(ask())
        assert isinstance(done, api.Done)
        assert (took_s, done.text, done.reason) == (pytest.approx(0.1), "", "deadline")


def test_a_cassette_is_written_as_it_is_read(tmp_path) -> None:
    tape = Cassette(TAPE.capabilities, {"b": (Reply("x", "stop", 0.5, 1.0),), "a": ()})
    write_cassette(tape, tmp_path / "tape.json")
    assert read_cassette(tmp_path / "tape.json") == tape
    assert len((tmp_path / "tape.json").read_text().splitlines()) == 5


def test_scenarios_are_ordered_by_what_they_want() -> None:
    assert isinstance(ALL[0], Scenario)
    kinds = [scenario.kind for scenario in ALL]
    assert kinds == sorted(kinds, key=["show", "quiet", "behave"].index)
