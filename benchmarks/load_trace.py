"""Makes benchmarks/data/load_trace.json: when each of 64 users asks an engine, and where in a document.

One request in 4 s on average for each user, in bursts: somebody types a piece of a line, and the server asks after
every few characters; then they read, think or are away. Burst lengths and pauses are drawn with a fixed seed, so that
the file is the same whoever makes it (a test holds that); the sum of a user's pauses is scaled to the rate. Left out:
requests that are cancelled by the next keystroke, which only makes the load larger than an editor's.
`python -m benchmarks.load_trace` writes the file.
"""

import json
import random
from pathlib import Path

import msgspec

from benchmarks.header import ROOT

TRACE_FILE = ROOT / "benchmarks/data/load_trace.json"
NUM_USERS = 64
SECONDS = 60
SECONDS_A_REQUEST = 4.0
MAX_BURST = 6
GAP_MS = (180, 700)  # between two requests of a burst: what a debounced editor sends
NUM_PLACES = 2_000


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """One request: so long after the start, at this line of the document, of which so much has been typed."""

    at_ms: int
    line: int
    typed_percent: int


class Trace(msgspec.Struct, frozen=True):
    """`users`: what each of them asks, in order of time."""

    about: str
    seconds: int
    users: list[list[Ask]]


def make_trace(seed: int = 1) -> Trace:
    """The committed trace."""
    rng = random.Random(seed)
    about = (
        "Of each user: [milliseconds after the start, line of the document, percent of that line typed]. "
        "Made by benchmarks/load_trace.py."
    )
    return Trace(about, SECONDS, [_user(rng) for _ in range(NUM_USERS)])


def _user(rng: random.Random) -> list[Ask]:
    num = round(SECONDS / SECONDS_A_REQUEST)
    bursts: list[list[int]] = []  # times within the burst
    while sum(map(len, bursts)) < num:
        length = min(rng.randint(1, MAX_BURST), num - sum(map(len, bursts)))
        times = [0]
        for _ in range(length - 1):
            times.append(times[-1] + rng.randint(*GAP_MS))
        bursts.append(times)
    pauses = [rng.expovariate(1.0) for _ in range(len(bursts) + 1)]
    left_ms = SECONDS * 1000 - sum(times[-1] for times in bursts)
    unit_ms = left_ms / sum(pauses)
    asks: list[Ask] = []
    now_ms, line = 0.0, rng.randrange(NUM_PLACES)
    for times, pause in zip(bursts, pauses, strict=False):
        now_ms += pause * unit_ms
        # Mostly a line or two further down; now and then elsewhere.
        line = (line + rng.randint(1, 3)) % NUM_PLACES if rng.random() < 0.7 else rng.randrange(NUM_PLACES)
        typed = rng.randint(5, 40)
        for at_ms in times:
            asks.append(Ask(int(now_ms + at_ms), line, min(100, typed)))
            typed += rng.randint(8, 20)
        now_ms += times[-1]
    return asks


def load_trace(path: Path = TRACE_FILE) -> Trace:
    return msgspec.json.decode(path.read_bytes(), type=Trace)


def encoded(trace: Trace) -> str:
    """The file's text: a line for each user."""
    users = ",\n".join("  " + json.dumps(msgspec.to_builtins(user), separators=(",", ":")) for user in trace.users)
    about = json.dumps(trace.about)
    return f'{{\n "about": {about},\n "seconds": {trace.seconds},\n "users": [\n{users}\n ]\n}}\n'


if __name__ == "__main__":
    TRACE_FILE.write_text(encoded(make_trace()), "utf-8")
