"""Questions to the engine on their way, at most one a document, and who waits for them.

Source: Copilot's asyncCompletions.ts: a request whose text continues the one that is running waits for that answer
instead of cutting it. A flight outlives the request that began it: editors cancel a request with every keystroke, and
its answer may be just what the next one needs. What no newer request can use ends at once; what it could use ends when
nobody has come for it in time. Left out: what is asked (features/complete.py), keeping answers (type_along.py).
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from lsp_server.outcome import Outcome, Reason, nothing
from lsp_server.snapshot import Document, Snapshot
from lsp_server.type_along import could_become, spot_of, typed_since

# Longer than the pause that editors make after a keystroke before they ask again (VS Code 50 ms, Neovim 200 ms).
UNCLAIMED_S = 0.3
FIT_CHANCE = 0.5
MAX_JOIN_CHARS = 4
_FIRST_EXPECTED_S = 0.1
_EXPECTED_MEMORY = 0.8


class Flight:
    """One question. `task` ends with its outcome, and never raises what belongs to an outcome."""

    def __init__(self, snapshot: Snapshot, work: Coroutine[Any, Any, Outcome]) -> None:
        self.spot = spot_of(snapshot)
        self.task = asyncio.ensure_future(work)
        self.task.add_done_callback(self._land)
        self.started_s = _now_s()
        self._waiting: set[asyncio.Future[Outcome]] = set()

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    def wait(self) -> asyncio.Future[Outcome]:
        """The outcome. Waiting counts from this call on; cancelling the future ends the wait, not the flight."""
        waiting: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)
        if self.task.done():
            self._land(self.task)
        return waiting

    def _land(self, task: asyncio.Task[Outcome]) -> None:
        error = None if task.cancelled() else task.exception()
        for waiting in [waiting for waiting in self._waiting if not waiting.done()]:
            if error is not None:
                waiting.set_exception(error)
            else:
                waiting.set_result(nothing(Reason.SUPERSEDED) if task.cancelled() else task.result())


class Flights:
    """All flights of a session by document URI. Loop thread only."""

    def __init__(self) -> None:
        self.expected_s = _FIRST_EXPECTED_S
        self._by_uri: dict[str, Flight] = {}
        self._ending: set[asyncio.Task[Outcome]] = set()

    def start(self, snapshot: Snapshot, work: Coroutine[Any, Any, Outcome]) -> Flight:
        """Begins a question in place of the one before it."""
        uri = snapshot.document.uri
        self.cancel(uri)
        flight = self._by_uri[uri] = Flight(snapshot, work)

        def ended(task: asyncio.Task[Outcome]) -> None:
            if self._by_uri.get(uri) is flight:
                del self._by_uri[uri]
            if not task.cancelled() and task.exception() is None and task.result().figures is not None:
                self._measure(_now_s() - flight.started_s)

        flight.task.add_done_callback(ended)
        return flight

    def joinable(self, snapshot: Snapshot) -> Flight | None:
        """The flight that is worth waiting for at `snapshot`, as what was typed may be how its answer begins."""
        flight = self._by_uri.get(snapshot.document.uri)
        if flight is None:
            return None
        typed = typed_since(flight.spot, spot_of(snapshot))
        if typed is None:
            return None
        elapsed_s = _now_s() - flight.started_s
        return flight if worth_joining(typed, elapsed_s, self.expected_s) else None

    def arrived(self, snapshot: Snapshot) -> None:
        """A new request: ends what it makes useless, and what nobody waits for in other documents."""
        for uri, flight in list(self._by_uri.items()):
            is_here = uri == snapshot.document.uri
            is_useless = typed_since(flight.spot, spot_of(snapshot)) is None if is_here else flight.num_waiting == 0
            if is_useless:
                self.cancel(uri)

    def changed(self, document: Document) -> None:
        """A document changed: ends its question, unless what was typed may be how the answer begins."""
        flight = self._by_uri.get(document.uri)
        if flight is not None and not could_become(flight.spot, document):
            self.cancel(document.uri)

    def left(self, uri: str) -> None:
        """A request ended: its flight ends too, unless another one waits for it in time."""
        flight = self._by_uri.get(uri)
        if flight is not None:
            asyncio.get_running_loop().call_later(UNCLAIMED_S, self._end_unclaimed, uri, flight)

    def cancel(self, uri: str) -> None:
        """Ends the document's flight now."""
        flight = self._by_uri.pop(uri, None)
        if flight is not None:
            flight.task.cancel()
            self._ending.add(flight.task)
            flight.task.add_done_callback(self._ending.discard)

    async def idle(self) -> None:
        """Waits until nothing is asked any more."""
        while self._by_uri:
            await asyncio.wait({flight.task for flight in self._by_uri.values()})

    async def close(self) -> None:
        """Ends all flights."""
        for uri in list(self._by_uri):
            self.cancel(uri)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _end_unclaimed(self, uri: str, flight: Flight) -> None:
        if self._by_uri.get(uri) is flight and flight.num_waiting == 0:
            self.cancel(uri)

    def _measure(self, seconds: float) -> None:
        self.expected_s = _EXPECTED_MEMORY * self.expected_s + (1 - _EXPECTED_MEMORY) * seconds


def worth_joining(typed: str, elapsed_s: float, expected_s: float) -> bool:
    """Whether waiting for a running answer is likely sooner than asking anew.

    Waiting takes the rest of it; if then the answer does not begin with `typed` (nothing is known about that but
    FIT_CHANCE), the new question is asked after all. So it pays while rest <= FIT_CHANCE * whole.
    """
    if not typed:
        return True
    if "\n" in typed or len(typed) > MAX_JOIN_CHARS:
        return False
    return max(0.0, expected_s - elapsed_s) <= FIT_CHANCE * expected_s


def _now_s() -> float:
    return asyncio.get_running_loop().time()  # the clock of the pauses, too
