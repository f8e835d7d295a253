"""Flights: who may wait for an answer under way, and what ends it."""

import asyncio

import pytest

from lsp_server import in_flight
from lsp_server.in_flight import Flights, worth_joining
from lsp_server.outcome import Figures, Outcome, Reason, nothing
from lsp_server.positions import Position
from lsp_server.snapshot import Snapshot, open_document

URI = "file:///w/a.py"
OUTCOME = nothing(Reason.EMPTY_ANSWER, figures=Figures())


def at(text: str, uri: str = URI) -> Snapshot:
    before, _, after = text.partition("|")
    cursor = Position(before.count("\n"), len(before) - before.rfind("\n") - 1)
    return Snapshot(document=open_document(uri, "python", 1, before + after), cursor=cursor, path="a.py")


class Work:
    """A question that ends when it is told to."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.was_cancelled = False

    async def __call__(self) -> Outcome:
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return OUTCOME


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("typed", "elapsed_s", "worth"),
    [
        ("", 0.0, True),  # the same question
        ("a", 0.01, False),  # asking anew costs little more
        ("a", 0.06, True),
        ("a", 5.0, True),  # it should have been there already
        ("abcd", 0.06, True),
        ("abcde", 0.06, False),
        ("\n", 0.06, False),
    ],
)
def test_waiting_pays_when_most_of_the_time_is_over(typed, elapsed_s, worth):
    assert worth_joining(typed, elapsed_s, 0.1) is worth


async def test_who_may_join():
    flights = Flights()
    flight = flights.start(at("a\nx = |)\n"), Work()())
    flights.expected_s = 0.0  # overdue
    assert flights.joinable(at("a\nx = |)\n")) is flight
    assert flights.joinable(at("a\nx = f|)\n")) is flight
    for other in ("a\nx = f\n|)\n", "a\ny = |)\n", "b\nx = f|)\n", "a\nx =|)\n"):
        assert flights.joinable(at(other)) is None
    assert flights.joinable(at("a\nx = |)\n", "file:///w/b.py")) is None
    flights.expected_s = 10.0  # just begun
    assert flights.joinable(at("a\nx = f|)\n")) is None
    await flights.close()


async def test_a_wait_that_is_cancelled_leaves_the_flight_alone():
    flights, work = Flights(), Work()
    flight = flights.start(at("x = |"), work())
    first, second = flight.wait(), flight.wait()
    assert flight.num_waiting == 2
    first.cancel()
    await until(lambda: flight.num_waiting == 1)
    work.may_end.set()
    assert await second is OUTCOME
    assert flights.joinable(at("x = |")) is None  # it has landed


async def test_what_ends_a_flight():
    for end in (
        lambda flights: flights.arrived(at("y = |")),  # a request that its answer is nothing to
        lambda flights: flights.changed(at("y = |").document),
        lambda flights: flights.start(at("x = |"), Work()()),
        lambda flights: flights.cancel(URI),
    ):
        flights, work = Flights(), Work()
        flight = flights.start(at("x = |"), work())
        waiting = flight.wait()
        await asyncio.sleep(0)  # the work has begun
        end(flights)
        assert (await waiting).reason is Reason.SUPERSEDED
        assert work.was_cancelled
        await flights.close()


async def test_what_it_outlives():
    flights, work = Flights(), Work()
    flight = flights.start(at("x = |)"), work())
    flights.arrived(at("x = f|)"))
    flights.changed(at("x = f()|)").document)
    await asyncio.sleep(0)
    assert not flight.task.done()
    flights.arrived(at("z|", "file:///w/b.py"))  # nobody waits for it, and another document needs the engine
    await until(flight.task.done)
    await flights.close()


async def test_unclaimed_it_ends_and_claimed_it_goes_on(monkeypatch):
    monkeypatch.setattr(in_flight, "UNCLAIMED_S", 0.02)
    flights, claimed, unclaimed = Flights(), Work(), Work()
    waited_for = flights.start(at("x = |"), claimed())
    waiting = waited_for.wait()
    flights.arrived(at("z|", "file:///w/b.py"))  # wanted here, so another document's request leaves it alone
    alone = flights.start(at("x = |", "file:///w/b.py"), unclaimed())
    for uri in (URI, "file:///w/b.py"):
        flights.left(uri)
    await until(alone.task.done)
    assert unclaimed.was_cancelled
    assert not waited_for.task.done()
    claimed.may_end.set()
    assert await waiting is OUTCOME
    await asyncio.wait_for(flights.idle(), 5)


async def test_a_failure_of_ours_reaches_who_waits_and_nobody_else():
    async def fail() -> Outcome:
        raise RuntimeError("no")

    flights = Flights()
    flight = flights.start(at("x = |"), fail())
    with pytest.raises(RuntimeError, match="no"):
        await flight.wait()
    with pytest.raises(RuntimeError, match="no"):
        await flight.wait()  # it has landed already
    flights.start(at("x = |"), fail())
    await asyncio.wait_for(flights.idle(), 5)


async def test_the_expected_time_follows_what_is_measured(monkeypatch):
    flights, work = Flights(), Work()
    flight = flights.start(at("x = |"), work())
    monkeypatch.setattr(in_flight, "_now_s", lambda: flight.started_s + 10.0)
    work.may_end.set()
    await flight.wait()
    await until(lambda: flights.expected_s > 1.0)
    assert flights.expected_s < 5.0


async def test_closing_ends_everything():
    flights, work = Flights(), Work()
    flights.start(at("x = |"), work())
    await asyncio.sleep(0)
    await flights.close()
    assert work.was_cancelled
