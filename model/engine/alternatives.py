"""The alternatives of one request side by side: the first one's first pass reads the prompt for all of them.

Works are run together, each as far as its next pass; what a pass of all of them gave goes to each. So `n` answers take
little more time than the longest of them, and in fp32 each has the text that it would have alone. Source: this
project's own design. Left out: who else runs in the same pass (scheduler.py), what a work does (generation.py).
"""

from collections.abc import Callable, Generator, Sequence

from model.diffusion.frames import Frame
from model.diffusion.steps import Steps
from model.engine import api

EVENTS = (api.Progress, api.Committed, api.Done, api.Error)

Work = Generator[api.Event | Steps, Frame | None, None]
"""One after another it gives events, and steps wherever it needs a pass, whose frame is sent back."""
Together = Generator[api.Event | tuple[Steps, ...], Sequence[Frame] | None, None]
"""The same of several at a time, frames in the order of the steps."""


def side_by_side(first: Work, others: Callable[[], Sequence[Work]]) -> Together:
    """Runs all to their ends. others: called once `first` has had a pass (or ended without any)."""
    works = [first]
    try:
        steps = yield from _advanced(first, None)
        frames = () if steps is None else (yield (steps,))
        assert frames is not None, "a pass has a frame"
        works += others()  # before `first` goes on: it may make something else of its cache
        waiting: list[tuple[Work, Frame | None]] = [(first, frame) for frame in frames]
        waiting += [(work, None) for work in works[1:]]
        while waiting:
            running: list[tuple[Work, Steps]] = []
            for work, frame in waiting:
                steps = yield from _advanced(work, frame)
                if steps is not None:
                    running.append((work, steps))
            if not running:
                return
            frames = yield tuple(steps for _, steps in running)
            assert frames is not None, "a pass has a frame"
            waiting = [(work, frame) for (work, _), frame in zip(running, frames, strict=True)]
    finally:
        for work in works:
            work.close()


def _advanced(work: Work, frame: Frame | None) -> Generator[api.Event, object, Steps | None]:
    """Gives the events up to the next pass, and returns what that needs; None: there is none."""
    try:
        given = work.send(frame)
        while isinstance(given, EVENTS):
            yield given
            given = next(work)
    except StopIteration:
        return None
    return given
