"""One request on the network, between its passes: what its next pass runs, and what has come of those before.

Left out: running a pass (generation.py), what runs together (scheduler.py), what is written (alternatives.py).
"""

import contextlib
from collections.abc import Sequence

from model.diffusion.frames import Frame, Interruption
from model.diffusion.steps import Steps
from model.engine import api
from model.engine.alternatives import EVENTS, Together


class Course:
    """One request between its passes. `steps` say what its next pass runs, those of each of the alternatives that are
    being written; without any the request has ended.
    """

    def __init__(self, work: Together) -> None:
        """Runs it up to its first pass."""
        self.error: Exception | None = None  # what ended it, where that was no answer
        self.steps: tuple[Steps, ...] = ()
        self._work = work
        self._events: list[api.Event] = []
        self._resume(None)

    @property
    def has_ended(self) -> bool:
        return not self.steps

    @property
    def next_rows(self) -> tuple[int, int]:
        """Rows of the next pass: those that may run before it, and the others."""
        passes = [steps.pass_rows() for steps in self.steps]
        num_ahead = sum(rows.num_ahead for rows in passes)
        return num_ahead, sum(rows.num_rows for rows in passes) - num_ahead

    def parts(self, num_ahead: int) -> list[tuple[Steps, int]]:
        """Its part of a pass, as `run_passes` takes it: all of its next one, or so many of the rows before that."""
        if not num_ahead:
            return [(steps, 0) for steps in self.steps]
        parts: list[tuple[Steps, int]] = []
        for steps in self.steps:
            num = min(num_ahead, steps.pass_rows().num_ahead)
            num_ahead -= num
            if num:
                parts.append((steps, num))
        assert not num_ahead, "so many rows may not run ahead"
        return parts

    def go_on(self, frames: Sequence[Frame]) -> None:
        """After a whole pass. What fails is this request's own affair."""
        try:
            self._resume(frames)
        except Exception as error:
            self.error = error

    def interrupt(self, reason: Interruption) -> None:
        """Instead of the next pass. An alternative that is still to come ends in the same way, by itself."""
        self._resume([steps.interrupt(reason) for steps in self.steps])

    def take(self) -> list[api.Event]:
        """The events since the last time."""
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Gives back what it holds, wherever it stands."""
        self.steps = ()
        self._work.close()

    def _resume(self, frames: Sequence[Frame] | None) -> None:
        self.steps = ()
        with contextlib.suppress(StopIteration):
            given = self._work.send(frames)
            while isinstance(given, EVENTS):
                self._events.append(given)
                given = next(self._work)
            self.steps = given
