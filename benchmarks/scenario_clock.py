"""An event loop whose clock jumps to the next thing that is due: minutes of typing take milliseconds.

Own code because the kept library for this (looptime) brings a pytest plug-in that changes the loops of every test of
the project, and counts the real time that threads take. Here a function that goes to a thread is run at once, so
nothing depends on the machine. Left out: sockets and processes; there are none in a replay.
"""

import asyncio
import contextlib
import selectors
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

START_S = 1_000.0
EPOCH_S = 1_800_000_000.0
LIMIT_S = 5.0


class JumpingLoop(asyncio.SelectorEventLoop):
    """`time()` stands still while anything runs, and jumps when all that is left is waiting."""

    def __init__(self) -> None:
        self._now_s = START_S
        super().__init__(_JumpingSelector(self._jump))

    def time(self) -> float:
        return self._now_s

    def _jump(self, seconds: float) -> None:
        self._now_s += seconds

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The result of `func`, computed here and now."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # Without a time-out only another thread could wake the loop up, and none is started here.
        ready = super().select(LIMIT_S if timeout is None else 0)
        if not ready and timeout is None:
            raise RuntimeError("the replay waits for something that never happens")
        if not ready and timeout is not None and timeout > 0:
            self._jump(timeout)
        return ready


@contextlib.contextmanager
def clock_of(loop: JumpingLoop) -> Iterator[None]:
    """Lets the functions of `time` tell the loop's time."""
    wall = mock.Mock(side_effect=lambda: EPOCH_S + loop.time())
    with mock.patch.multiple("time", perf_counter=loop.time, monotonic=loop.time, time=wall):
        yield
