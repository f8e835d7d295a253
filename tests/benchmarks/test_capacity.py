"""Capacity: the simulated clock against sums done by hand, the fit against known costs, the search for the users."""

import json

import pytest

from benchmarks import capacity
from benchmarks.capacity import (
    CARDS,
    arrivals_of,
    capacity_row,
    compare,
    crowd,
    measured_levels,
    more_a_pass_ms,
    most_users,
    needs_of_users,
    shapes,
)
from benchmarks.load import LIMIT_MS, Level, Timed
from benchmarks.pass_model import BEYOND_LIMIT, Fitted, Scattered, arithmetic, fit
from benchmarks.pass_model import Timed as TimedPass
from benchmarks.queue_simulation import Arrival, Machine, Need, Pass, simulate
from model.engine import api
from model.engine.scheduler import Limits
from model.evaluation.options import EvalError
from model.network.config import base_30m

LIMITS = Limits(max_sequences=8, max_ahead=192, max_rows=256, max_bytes=1 << 30)
TEN_A_PASS = Machine(lambda parts: 10.0, LIMITS, around_ms=3.0)


def need(*passes: tuple[int, int, int], open_ms: float = 2.0) -> Need:
    return Need(open_ms, tuple(Pass(*one) for one in passes))


def test_a_lone_request_takes_the_sum_of_its_parts():
    level = simulate([Arrival(1.0, "a", need((0, 4, 100), (0, 4, 104)))], TEN_A_PASS)
    assert level.p95_ms == pytest.approx(2 + 2 * 10 + 3)
    assert (level.errors, level.requests) == (0, 1)


def test_a_long_prompt_runs_in_the_scheduler_s_pieces():
    seen = []

    def pass_ms(parts) -> float:
        seen.append(tuple(parts))
        return 10.0

    level = simulate([Arrival(0.0, "a", need((500, 4, 10)))], Machine(pass_ms, LIMITS, around_ms=0.0))
    assert [[(part.num_ahead, part.num_rows, part.num_keys) for part in parts] for parts in seen] == [
        [(192, 0, 10)],
        [(192, 0, 202)],
        [(116, 4, 394)],
    ]
    assert level.p95_ms == pytest.approx(2 + 30)


def test_requests_at_once_share_passes():
    both = [Arrival(0.0, name, need((0, 4, 100), (0, 4, 104))) for name in "ab"]
    assert simulate(both, TEN_A_PASS).p95_ms == pytest.approx(2 * 2 + 2 * 10 + 3)
    alone = Machine(TEN_A_PASS.pass_ms, Limits(max_sequences=1), around_ms=3.0)
    assert simulate(both, alone).p95_ms > 2 * 2 + 3 * 10 + 3


def test_who_comes_in_a_pass_waits_for_its_end():
    late = [Arrival(0.0, "a", need((0, 4, 100))), Arrival(0.005, "b", need((0, 4, 100)))]
    level = simulate(late, TEN_A_PASS)
    assert level.p50_ms == pytest.approx((15 + 12 - 5 + 12 + 3) / 2)


def test_the_queue_refuses_and_says_so():
    slow = Machine(lambda parts: 1e4, LIMITS, around_ms=0.0)
    many = [Arrival(0.001 * number, "", need((0, 1, 1))) for number in range(400)]
    assert 0 < simulate(many, slow).errors < 400
    assert simulate(many, slow, max_errors=0).errors > 0


TRUE = Fitted(one_pass=1.0, sequence=0.5, row=0.04, row_key=0.0001)
SHAPES = [
    tuple(Pass(0, rows, keys) for _ in range(number))
    for number in (1, 2, 4)
    for rows in (1, 8, 64)
    for keys in (10, 500, 2000)
]


def test_the_fit_finds_known_costs_among_disturbed_ones():
    timed = [TimedPass(TRUE.pass_ms(parts), parts) for parts in SHAPES * 4]
    timed += [TimedPass(20 * TRUE.pass_ms(parts), parts) for parts in SHAPES[::9]]
    found = fit(timed)
    for parts in SHAPES:
        assert found.pass_ms(parts) == pytest.approx(TRUE.pass_ms(parts), rel=0.1)


def test_times_scatter_as_those_that_took_about_as_long():
    short, long = SHAPES[0], SHAPES[-1]
    timed = [TimedPass(ratio * TRUE.pass_ms(short), short) for ratio in (1.0, 1.0, 1.0, 30.0) * 20]
    timed += [TimedPass(ratio * TRUE.pass_ms(long), long) for ratio in (1.0, 2.0) * 40]
    scattered = Scattered(TRUE, timed)
    for parts, wanted in ((short, {1.0, 30.0}), (long, {1.0, 2.0})):
        found = [scattered.pass_ms(parts) / TRUE.pass_ms(parts) for _ in range(600)]
        assert {round(ratio, 6) for ratio in found} == wanted
        assert 60 < sum(ratio > 1.5 for ratio in found) < 400


def test_what_a_pass_takes_more_in_an_engine_is_the_median_s():
    needs = [need((0, 4, 100), (0, 4, 104)), need((500, 4, 10)), need((0, 1, 1))]
    lone = Machine(TRUE.pass_ms, LIMITS, around_ms=0.0)
    alone = [simulate([Arrival(0.0, "", one)], lone).p50_ms for one in needs]
    took = [ms + len(one.passes) * 0.7 for ms, one in zip(alone, needs, strict=True)]
    assert more_a_pass_ms([took[0], took[1] + 90, took[2]], needs, TRUE, LIMITS) == pytest.approx(0.7)
    assert more_a_pass_ms([0.0, 0.0, 0.0], needs, TRUE, LIMITS) == 0.0
    more = Scattered(TRUE, [TimedPass(TRUE.pass_ms(parts), parts) for parts in SHAPES], 0.7)
    assert more.pass_ms(SHAPES[3]) == pytest.approx(TRUE.pass_ms(SHAPES[3]) + 0.7)


def test_no_cost_is_negative():
    found = fit([TimedPass(1.0, SHAPES[0]), TimedPass(0.5, SHAPES[-1]), TimedPass(0.6, SHAPES[5])])
    assert min(found.one_pass, found.sequence, found.row, found.row_key) >= 0


def test_a_card_reads_its_weights_once_a_pass():
    card = CARDS[1]
    config = base_30m()
    model = arithmetic(config, card, (0.0, 0.0))
    lone, two = (model.pass_ms([Pass(0, 1, 0)] * number) for number in (1, 2))
    reading_ms = 1000 * (model.weight_bytes + model.key_bytes) / card.bytes_per_s
    assert lone == pytest.approx(BEYOND_LIMIT * reading_ms)
    assert lone < two < 1.1 * lone
    # Thousands of rows are bound by operations; those that only run ahead pass no head.
    ahead, labelled = model.pass_ms([Pass(4096, 0, 0)]), model.pass_ms([Pass(0, 4096, 0)])
    assert labelled > ahead > 2 * lone
    host = arithmetic(config, card, (1.0, 0.25))
    assert host.pass_ms([Pass(0, 1, 0)] * 2) == pytest.approx(two + 1.5)


def test_the_networks_have_their_sizes():
    weights = {
        name: arithmetic(config, CARDS[0], (0, 0)).weight_bytes / 2e9 for name, config in shapes(base_30m()).items()
    }
    assert weights["0.5 B"] == pytest.approx(0.494, abs=0.005)
    assert weights["1.5 B"] == pytest.approx(1.54, abs=0.01)
    assert 7.4 < weights["8 B"] < 8.3


def ask(at_s: float, user: int) -> Timed:
    return Timed(at_s, user, api.DenoiseRequest(id="x", api=1, prompt=api.Prompt(), canvas=(api.Masked(),)))


def test_more_users_than_the_trace_has_ask_at_other_times():
    by_user = needs_of_users([ask(1.0, 0), ask(2.0, 1), ask(59.0, 0)], [need((0, n, 1)) for n in (1, 2, 3)])
    arrivals = crowd(by_user, 4)
    assert len(arrivals) == 6
    assert [a.at_s for a in arrivals] == sorted(a.at_s for a in arrivals)
    assert {a.client for a in arrivals} == set("0123")
    first, copied = ([a for a in arrivals if a.client == name] for name in "02")
    assert [a.at_s for a in first] == [1.0, 59.0]
    assert {a.need for a in copied} == {a.need for a in first}
    assert [a.at_s for a in copied] != [a.at_s for a in first]
    assert crowd(by_user, 4) == arrivals


def test_the_search_ends_near_the_limit():
    asked = []

    def level_of(users: int) -> Level:
        asked.append(users)
        return Level(1.0, LIMIT_MS * users / 1000, 0, users, 1.0)

    assert 950 <= most_users(level_of) <= 1000
    assert len(asked) < 20
    assert most_users(lambda users: Level(1.0, LIMIT_MS + 1, 0, 1, 1.0)) == 0
    assert most_users(lambda users: Level(1.0, 1.0, int(users > 3), 1, 1.0)) == 3


def test_memory_bounds_the_users():
    by_user = [[(0.0, need((0, 4, 100)))]]
    slow = Machine(lambda parts: 250.0, Limits(max_sequences=1), around_ms=3.0)
    row = capacity_row("x", "y", slow, by_user, 1)
    assert row["users"] == 1
    assert 1 < float(str(row["by_time"])) < 240
    assert capacity_row("x", "y", slow, by_user, None)["users"] == row["by_time"]


def test_the_comparison_says_what_is_off(capsys):
    simulated = {users: Level(1.0, 100.0, 0, 1, 1.0) for users in (1, 4, 16, 64)}
    rows = compare(simulated, {1: 100.0, 4: 90.0, 16: 110.0, 64: 300.0})
    assert [round(row["off"], 2) for row in rows] == [0.0, 0.11, -0.09, -0.67]
    assert "16 users within 20%" in capsys.readouterr().out
    compare(simulated, {1: 100.0, 4: 70.0, 16: 110.0, 64: 300.0})
    assert "NOT within" in capsys.readouterr().out


def test_what_was_measured_is_read_from_the_load_benchmark(tmp_path):
    assert set(measured_levels(capacity.MEASURED)) == {1, 4, 16, 64}
    bad = tmp_path / "x.txt"
    for text in ("", "hello", json.dumps({"1": {}})):
        bad.write_text(text)
        with pytest.raises(EvalError, match="no result"):
            measured_levels(bad)
    with pytest.raises(EvalError, match="no result"):
        measured_levels(tmp_path / "missing.txt")


def test_a_socket_s_requests_belong_to_one_client():
    assert arrivals_of([ask(1.5, 3)], [need((0, 1, 1))]) == [Arrival(1.5, "", need((0, 1, 1)))]
