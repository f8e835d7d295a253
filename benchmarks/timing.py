"""Several ways of writing the same lines, timed against each other.

Every way writes a line right after the others, in an order that turns by one from line to line, so that whatever slows
the machine slows all and none is always first. Left out: what is compared (twin.py, llamacpp.py).
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from benchmarks.lines import Line, Task
from model.evaluation.options import watched

Write = Callable[[Task], Line]


class Timed(msgspec.Struct, frozen=True):
    """What one way wrote and the time each line took, in the order of the tasks."""

    lines: list[Line]
    times_ms: list[float]

    @property
    def ms(self) -> float:
        return statistics.median(self.times_ms)

    @property
    def forwards(self) -> float:
        return statistics.fmean(line.forwards for line in self.lines)

    def of(self, indices: Sequence[int]) -> "Timed":
        return Timed([self.lines[i] for i in indices], [self.times_ms[i] for i in indices])


def write_all(ways: Mapping[str, Write], tasks: Sequence[Task], warm: Callable[[Task], None]) -> dict[str, Timed]:
    """Every way at every task; `warm` runs before each line and is not timed."""
    done = {name: Timed([], []) for name in ways}
    names = list(ways)
    for name in names:
        warm(tasks[0])
        ways[name](tasks[0])  # the first call of anything is slower
    for index, task in enumerate(watched(tasks, "lines")):
        for name in turned(names, index):
            warm(task)
            line, time_ms = timed(ways[name], task)
            done[name].lines.append(line)
            done[name].times_ms.append(time_ms)
    return done


def timed(write: Write, task: Task) -> tuple[Line, float]:
    """A line and its milliseconds."""
    begun_s = time.perf_counter()
    line = write(task)
    return line, (time.perf_counter() - begun_s) * 1000


def turned(names: Sequence[str], index: int) -> list[str]:
    """The names in an order that begins with another one each time."""
    first = index % len(names)
    return [*names[first:], *names[:first]]


def speedup(slow: Timed, fast: Timed) -> float:
    """Ratio of the median times."""
    return slow.ms / fast.ms


def total_speedup(slow: Timed, fast: Timed) -> float:
    """Ratio of the times of all lines together: long lines count by their length."""
    return sum(slow.times_ms) / sum(fast.times_ms)
