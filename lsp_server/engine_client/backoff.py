"""When to try again to reach an engine on another machine: soon, then ever more rarely, never all editors at once.

Source: exponential back-off with full jitter (Brooker, "Exponential Backoff And Jitter", 2015). Pure numbers.
"""

from collections.abc import Callable, Iterator

FIRST_S = 1.0
LONGEST_S = 60.0


def delays_s(random: Callable[[], float]) -> Iterator[float]:
    """Endless. `random` gives numbers between 0 and 1; each delay is at least half of its step's."""
    step_s = FIRST_S
    while True:
        yield step_s * (0.5 + random() / 2)
        step_s = min(LONGEST_S, step_s * 2)
