"""One alternative as it is written: events in, text in pieces out, cut at the first of the client's stop strings.

A piece is given away only when no stop string can begin in it any more. Where the engine's own stop rule ends the text
it may cut blanks off that it has committed, so blanks at the end wait for the text's end. Left out: any protocol.
"""

from collections.abc import Sequence
from typing import Literal

from model.engine import api

FinishReason = Literal["stop", "length"]


class Written:
    """text: what was given away so far. done: the engine's last event. stopped_by: the stop string, if one came.
    is_over: nothing comes any more.
    """

    def __init__(self, stop_strings: Sequence[str] = ()) -> None:
        self.text = ""
        self.done: api.Done | None = None
        self.stopped_by = ""
        self.is_over = False
        self._stop_strings = tuple(stop for stop in stop_strings if stop)
        self._seen = ""
        self._end: int | None = None

    @property
    def is_cut(self) -> bool:
        """Whether a stop string has come: what the engine still writes is not wanted."""
        return self._end is not None

    @property
    def finish_reason(self) -> FinishReason:
        """`length` also where time has run out, or nothing was to be written: the text would have gone on."""
        cut_short = self.done is None or self.done.reason in ("length", "deadline", "max_steps")
        return "length" if cut_short and not self.is_cut else "stop"

    @classmethod
    def unbegun(cls) -> "Written":
        """Of a request for no tokens."""
        written = cls()
        written.is_over = True
        return written

    def add(self, committed: str) -> str:
        """The next piece to give away (perhaps empty)."""
        if self.is_cut:
            return ""
        self._seen += committed
        self._look_for_stop()
        return self._give(self._safe_end() if self._end is None else self._end)

    def finish(self, done: api.Done) -> str:
        """The last piece: what the whole text has beyond what was given away."""
        self.done, self.is_over = done, True
        if not self.is_cut:
            # What was given away stays so; the whole text begins with it (but for blanks, which were held back).
            self._seen = done.text if done.text.startswith(self.text) else self.text
            self._look_for_stop()
        return self._give(len(self._seen) if self._end is None else self._end)

    def _look_for_stop(self) -> None:
        found = [(place, stop) for stop in self._stop_strings if (place := self._seen.find(stop)) >= 0]
        if found:
            self._end, self.stopped_by = min(found, key=lambda pair: pair[0])

    def _safe_end(self) -> int:
        end = len(self._seen.rstrip())
        for stop in self._stop_strings:
            for length in range(min(len(stop) - 1, len(self._seen)), 0, -1):
                if self._seen.endswith(stop[:length]):
                    end = min(end, len(self._seen) - length)
                    break
        return end

    def _give(self, end: int) -> str:
        piece = self._seen[len(self.text) : max(end, len(self.text))]
        self.text += piece
        return piece
