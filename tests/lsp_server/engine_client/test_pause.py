"""What Retry-After says, and how it is kept, by a fake clock. Whole requests: test_client.py, test_upstream.py."""

import asyncio

import pytest

from lsp_server.engine_client.pause import LONGEST_S, SPREAD, Pause, asked_s

UNIX_S = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        (" 7 ", 7.0),
        ("99999", LONGEST_S),
        ("9" * 400, LONGEST_S),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
        ("Thu, 14 Nov 2999 22:13:00 GMT", LONGEST_S),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
    ],
)
def test_what_the_header_asks_for(header, seconds):
    assert asked_s(header, UNIX_S) == seconds


class Clock:
    now_s = 100.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pause_of(clock: Clock, told: list[float], chance: float = 0.0) -> Pause:
    return Pause(told.append, now=lambda: clock.now_s, chance=lambda: chance)


def test_a_pause_is_never_shorter_than_asked_and_bounded(clock):
    for chance in (0.0, 0.5, 1.0):
        pause = pause_of(clock, told := [], chance)
        pause.begin("10")
        assert told == [pause.remaining_s] == [pytest.approx(10 * (1 + SPREAD * chance))]
    pause.begin("1000000")
    assert pause.remaining_s == LONGEST_S * (1 + SPREAD)


def test_a_shorter_one_does_not_end_a_longer_one_and_nonsense_is_none(clock):
    pause = pause_of(clock, told := [])
    pause.begin("soon")
    assert pause.remaining_s == 0
    pause.begin("10")
    pause.begin("3")
    assert (pause.remaining_s, told) == (10, [10])
    clock.now_s += 11
    assert pause.remaining_s == 0
    pause.begin("3")
    assert told == [10, 3]


async def test_who_has_less_time_is_told_at_once_and_the_others_wait(clock, monkeypatch):
    pause = pause_of(clock, [])
    pause.begin("10")
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.now_s += seconds
        if len(waits) == 1:
            pause.begin("5")  # somebody else was refused meanwhile

    monkeypatch.setattr(asyncio, "sleep", sleep)
    error = await pause.outlast(9_999.0)
    assert error is not None
    assert (error.code, waits) == ("too_many", [])
    assert "10 s" in error.sentence
    assert await pause.outlast(None) is None
    assert waits == [10, 5]
    assert await pause.outlast(0.0) is None
