"""Restart delays, giving up, and requests that kill."""

from pathlib import Path

import msgspec
import pytest

from lsp_server.engine_client.crashes import CrashRecord, fingerprint
from lsp_server.engine_client.errors import EngineUnavailable
from model.engine.api import DenoiseRequest, Prompt

LOG = Path("/state/engine.log")
REQUEST = DenoiseRequest(id="1", prompt=Prompt(line="x"))


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def record(clock) -> CrashRecord:
    return CrashRecord(clock)


def test_delays_grow(record, clock):
    assert record.delay_s(LOG) == 0
    record.add(frozenset())
    assert record.delay_s(LOG) == 1
    clock.now_s += 0.4
    assert record.delay_s(LOG) == pytest.approx(0.6)
    clock.now_s += 100
    assert record.delay_s(LOG) == 0
    record.add(frozenset())
    assert record.delay_s(LOG) == 5


def test_three_crashes_in_two_minutes_are_too_many_until_time_has_passed(record, clock):
    for _ in range(3):
        record.add(frozenset())
        clock.now_s += 10
    with pytest.raises(EngineUnavailable, match=r"3 times in two minutes.*/state/engine\.log") as caught:
        record.delay_s(LOG)
    assert caught.value.reason == "stays_down"
    clock.now_s += 95  # the first is older than two minutes now
    assert record.delay_s(LOG) == 0
    record.add(frozenset())
    with pytest.raises(EngineUnavailable):
        record.delay_s(LOG)
    clock.now_s += 1000
    assert record.delay_s(LOG) == 0


def test_three_crashes_far_apart_wait_thirty_seconds(record, clock):
    for _ in range(3):
        record.add(frozenset())
        clock.now_s += 65
    clock.now_s -= 65
    assert record.delay_s(LOG) == 30


def test_a_request_running_in_two_crashes_is_refused_under_any_id(record):
    key = fingerprint(REQUEST)
    record.add(frozenset({key}))
    record.check_request(key)
    record.add(frozenset({key}))
    same = msgspec.structs.replace(REQUEST, id="2", deadline_ms=5.0)
    with pytest.raises(EngineUnavailable, match="not sent again"):
        record.check_request(fingerprint(same))
    record.check_request(fingerprint(msgspec.structs.replace(REQUEST, seed=1)))
