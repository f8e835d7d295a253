"""The load: the committed trace, the schedule of its users, percentiles, and the search for the rate; no engine."""

import asyncio
import json
from itertools import pairwise

import msgspec
import pytest

from benchmarks import load, load_trace
from benchmarks.load import Level, Timed, play, quantile, rate_at, schedule, search, shortened, users_requests
from model.checkpoints.load import default_checkpoint, load_preset
from model.engine import api


def test_the_committed_trace_is_the_scripts():
    assert load_trace.TRACE_FILE.read_text("utf-8") == load_trace.encoded(load_trace.make_trace())


def test_each_user_asks_once_in_four_seconds_in_bursts():
    trace = load_trace.load_trace()
    assert len(trace.users) == 64
    for user in trace.users:
        times = [ask.at_ms for ask in user]
        assert times == sorted(times)
        assert times[-1] <= trace.seconds * 1000
        assert len(user) == trace.seconds / 4
    gaps = [b.at_ms - a.at_ms for user in trace.users for a, b in pairwise(user)]
    within = [gap for gap in gaps if gap <= load_trace.GAP_MS[1]]
    assert len(within) > len(gaps) / 2  # bursts


def test_every_place_leads_to_a_request_of_its_own_user():
    trace = shortened(load_trace.load_trace(), 6)
    trace = msgspec.structs.replace(trace, users=trace.users[:3])
    requests = users_requests(trace, load_preset(default_checkpoint()))
    assert [len(own) for own in requests] == [len(user) for user in trace.users]
    for own in requests:
        assert own
        for timed in own:
            assert timed.request.deadline_ms is None
            assert timed.request.prompt.prefix


def timed(at_s: float, user: int) -> Timed:
    return Timed(at_s, user, api.DenoiseRequest(id="1", prompt=api.Prompt()))


def test_users_ask_together_and_the_lone_one_after_another():
    requests = [[timed(user / 10 + i, user) for i in range(3)] for user in range(6)]
    together = schedule(requests, 4)
    assert len(together) == 12
    assert [ask.at_s for ask in together] == sorted(ask.at_s for ask in together)
    assert {ask.user for ask in together} == {0, 1, 2, 3}
    assert schedule(requests, 4, 2.0)[-1].at_s == together[-1].at_s / 2
    lone = schedule(requests, 1)
    assert [ask.user for ask in lone] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [ask.at_s for ask in lone] == sorted(ask.at_s for ask in lone)


async def test_the_load_is_open():
    """A slow answer holds no request up, and its time counts from when it was due."""
    begun: list[int] = []
    may_end = asyncio.Event()

    async def send(user: int, request: api.DenoiseRequest) -> str | None:
        begun.append(user)
        if user == 0:
            await may_end.wait()
        else:
            may_end.set()
        return "queue_full" if user == 2 else None

    level = await play([timed(0.0, 0), timed(0.02, 1), timed(0.02, 2)], send)
    assert begun == [0, 1, 2]
    assert level.errors == 1
    assert level.requests == 3
    assert level.p95_ms >= 15  # user 0 waited for user 1, who came 20 ms later


@pytest.mark.parametrize("capacity", [3.0, 40.0, 400.0])
async def test_the_search_finds_where_the_times_pass(monkeypatch, capacity):
    """An engine whose times grow with the rate; nothing is slept."""
    requests = [[timed(i * 4.0, user) for i in range(1, 4)] for user in range(64)]

    async def instant(asks, send) -> Level:
        rate = len(asks) / asks[-1].at_s
        return Level(rate, 300.0 * rate / capacity, 0, len(asks), rate)

    async def send(user: int, request: api.DenoiseRequest) -> str | None:
        return None

    monkeypatch.setattr(load, "play", instant)
    levels = await search(requests, send)
    found = rate_at(levels, 300.0)
    assert found == pytest.approx(capacity, rel=0.02)


def test_no_rate_where_the_limit_was_never_passed():
    assert rate_at([Level(1, 10, 0, 5, 1.0), Level(1, 20, 0, 5, 2.0)], 300.0) is None
    assert quantile([5.0], 95) == 5.0


def test_the_last_line_is_json_by_the_number_of_users(capsys):
    found = {users: Level(10.0 + users, 20.0 + users, 0, 15 * users, users / 4) for users in load.LEVELS}
    load.report(found, [Level(20, 100, 0, 900, 16.0), Level(50, 500, 0, 900, 24.0)])
    data = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert data["1"] == {"p50_ms": 11.0, "p95_ms": 21.0, "errors": 0, "requests": 15}
    assert set(data) == {"1", "4", "16", "64", "rate_at_300_ms", "ratio_16"}
    assert data["rate_at_300_ms"] == 20.0
    assert data["ratio_16"] == pytest.approx(36 / 21, abs=0.01)
