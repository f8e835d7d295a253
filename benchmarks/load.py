"""Many users of one engine: how long their requests take, and how many requests a second it stands.

Users type by a committed trace (data/load_trace.json): one request in 4 s each, in bursts, 1, 4, 16 and 64 of them. The
load is open: a request is sent when the trace says so, however late the answers before it are, and its time counts from
then. Every user has a document and a connection of their own; the prompts are what the language server would send from
this project's own source. Deadlines are left out, so that a late answer is measured and not cut off. Then the trace of
all users is played ever faster (or slower) until the 95th percentile of the times passes 300 ms.
The bar: with 16 users p95 at most 3 times that of a lone user, and no error.
`python -m benchmarks.load [--quick]` starts an engine of its own (the model that SEEDLING_MODEL names, or the embedded
one), waits for its compiled layers, prints a table, then one line of JSON. Left out: TLS, users far away.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import httpx
import msgspec

from benchmarks.header import print_header
from benchmarks.keystroke import own_source
from benchmarks.load_trace import Ask, Trace, load_trace
from benchmarks.options import run
from benchmarks.replay import Stroke, request_of
from model.checkpoints.load import default_checkpoint, load_preset
from model.checkpoints.presets import Preset
from model.engine import api
from model.evaluation.options import EvalError

LEVELS = (1, 4, 16, 64)
NUM_LONE_USERS = 4
"""The lone user is so many users, one after another: the trace of one has too few requests for a percentile."""
BAR_RATIO = 3.0
LIMIT_MS = 300.0
FACTOR = 1.4
MAX_RATES = 12
READY_S = 180.0
COMPILED_S = 300.0
ANSWER_S = 120.0

Send = Callable[[int, api.DenoiseRequest], Awaitable[str | None]]
"""Sends a user's request and waits for its end; an error's code, or None."""


class Level(msgspec.Struct, frozen=True):
    """What the users of one level found. rate: requests a second that were sent."""

    p50_ms: float
    p95_ms: float
    errors: int
    requests: int
    rate: float


class Timed(msgspec.Struct, frozen=True):
    """A request of one user, and when it is due."""

    at_s: float
    user: int
    request: api.DenoiseRequest


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of the trace, and no search for the rate")
    options = parser.parse_args()
    checkpoint = Path(os.environ.get("SEEDLING_MODEL") or default_checkpoint())
    trace = load_trace()
    if options.quick:
        trace = shortened(trace, trace.seconds / 4)
    requests = users_requests(trace, load_preset(checkpoint))
    print_header("load")
    with tempfile.TemporaryDirectory(prefix="seedling-") as folder:
        engine = Engine(Path(folder), checkpoint)
        try:
            print(f"# {engine.wait()}")
            found, rates = asyncio.run(_measure(engine.socket, requests, with_rates=not options.quick))
        finally:
            engine.stop()
    report(found, rates)


def report(found: dict[int, Level], rates: list[Level]) -> None:
    """Prints the tables and the JSON line."""
    print(f"{'users':>8}{'requests':>10}{'a second':>10}{'p50 ms':>9}{'p95 ms':>9}{'errors':>8}")
    for users, level in found.items():
        _row(str(users), level)
    lone, many = found[LEVELS[0]], found[16]
    ratio = many.p95_ms / lone.p95_ms
    print(f"16 users: p95 {ratio:.2f} times the lone user's (bar {BAR_RATIO:.0f}), {many.errors} errors")
    result: dict[str, object] = {str(users): _figures(level) for users, level in found.items()}
    if rates:
        print("all users, the trace played faster or slower:")
        for level in rates:
            _row("", level)
        passing = rate_at(rates, LIMIT_MS)
        print(
            f"p95 passes {LIMIT_MS:.0f} ms at " + (f"{passing:.1f} requests a second" if passing else "none of these")
        )
        result["rate_at_300_ms"] = None if passing is None else round(passing, 1)
    result["ratio_16"] = round(ratio, 2)
    print(json.dumps(result))


def _row(name: str, level: Level) -> None:
    print(
        f"{name:>8}{level.requests:10}{level.rate:10.2f}{level.p50_ms:9.1f}{level.p95_ms:9.1f}{level.errors:8}",
        flush=True,
    )


def _figures(level: Level) -> dict[str, float]:
    return {
        "p50_ms": round(level.p50_ms, 1),
        "p95_ms": round(level.p95_ms, 1),
        "errors": level.errors,
        "requests": level.requests,
    }


class Engine:
    """An engine process of this run's own."""

    def __init__(self, folder: Path, checkpoint: Path) -> None:
        self.socket = folder / "engine.sock"
        self._log = folder / "engine.log"
        command = [sys.executable, "-E", "-P", "-m", "model.engine", "serve", "--socket", str(self.socket)]
        command += ["--model", str(checkpoint), "--log", str(self._log)]
        # Not from the folder of this run: with -P the package is the installed one, wherever one stands.
        self._process = subprocess.Popen(command)

    def wait(self) -> str:
        """Until the model is there and its layers are compiled, or will not be; how it runs."""
        self._poll(lambda: "ready after" in self._read(), READY_S, "did not become ready")
        ends = ("compiled layers in use", "no compiled layers", "stays in eager mode")
        if os.environ.get("SEEDLING_EAGER"):
            return "eager layers"
        self._poll(lambda: any(end in self._read() for end in ends), COMPILED_S, "never said how it runs")
        return "compiled layers" if ends[0] in self._read() else "eager layers"

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _read(self) -> str:
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def _poll(self, condition: Callable[[], bool], limit_s: float, otherwise: str) -> None:
        end_s = time.monotonic() + limit_s
        while not condition():
            if self._process.poll() is not None or time.monotonic() > end_s:
                raise EvalError(f"the engine {otherwise}")
            time.sleep(0.2)


async def _measure(
    socket: Path, requests: list[list[Timed]], *, with_rates: bool
) -> tuple[dict[int, Level], list[Level]]:
    found: dict[int, Level] = {}
    clients = [_client(socket) for _ in requests]

    async def send(user: int, request: api.DenoiseRequest) -> str | None:
        return await _ask(clients[user], request)

    try:
        for user, own in enumerate(requests):  # every user's file is open and has been completed in once
            await send(user, own[0].request)
        for users in LEVELS:
            found[users] = await play(schedule(requests, users), send)
        return found, await search(requests, send) if with_rates else []
    finally:
        for client in clients:
            await client.aclose()


async def search(requests: list[list[Timed]], send: Send) -> list[Level]:
    """All users at rates around the one at which p95 passes the limit, in order of the rate."""
    levels: list[Level] = []
    factor, step = 1.0, FACTOR
    while len(levels) < MAX_RATES:
        level = await play(schedule(requests, len(requests), factor), send)
        levels.append(level)
        is_slow = level.p95_ms > LIMIT_MS
        if len(levels) == 1:
            step = 1 / FACTOR if is_slow else FACTOR
        elif is_slow == (step > 1):
            break  # it has passed
        factor *= step
    return sorted(levels, key=lambda level: level.rate)


def rate_at(levels: Sequence[Level], limit_ms: float) -> float | None:
    """Requests a second at which p95 passes the limit, between the two rates around it; None where none does."""
    for below, above in pairwise(levels):
        if below.p95_ms <= limit_ms < above.p95_ms:
            share = (limit_ms - below.p95_ms) / (above.p95_ms - below.p95_ms)
            return below.rate + share * (above.rate - below.rate)
    return None


def schedule(requests: list[list[Timed]], num_users: int, factor: float = 1.0) -> list[Timed]:
    """What so many users ask, by time; the lone user is several, one after another. factor: so much faster."""
    if num_users == 1:
        chosen: list[Timed] = []
        for own in requests[:NUM_LONE_USERS]:
            start_s = chosen[-1].at_s + 1.0 if chosen else 0.0
            chosen += [msgspec.structs.replace(ask, at_s=start_s + ask.at_s) for ask in own]
        return chosen
    together = [ask for own in requests[:num_users] for ask in own]
    return sorted(
        (msgspec.structs.replace(ask, at_s=ask.at_s / factor) for ask in together), key=lambda ask: (ask.at_s, ask.user)
    )


async def play(asks: Sequence[Timed], send: Send) -> Level:
    """Sends each request when it is due and waits for all answers."""
    loop = asyncio.get_running_loop()
    times_ms: list[float] = []
    num_errors = 0

    async def one(ask: Timed, due_s: float) -> None:
        nonlocal num_errors
        num_errors += await send(ask.user, ask.request) is not None
        times_ms.append((loop.time() - due_s) * 1000)

    tasks: list[asyncio.Task[None]] = []
    begun_s = loop.time()
    for ask in asks:
        due_s = begun_s + ask.at_s
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        tasks.append(loop.create_task(one(ask, due_s)))
    await asyncio.gather(*tasks)
    lasted_s = asks[-1].at_s or 1.0
    return Level(quantile(times_ms, 50), quantile(times_ms, 95), num_errors, len(asks), len(asks) / lasted_s)


def quantile(values: Sequence[float], percent: int) -> float:
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _client(socket: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    return httpx.AsyncClient(transport=transport, base_url="http://seedling", timeout=ANSWER_S)


async def _ask(client: httpx.AsyncClient, request: api.DenoiseRequest) -> str | None:
    try:
        answer = await client.post("/v1/denoise", content=msgspec.json.encode(request))
        last = api.decode_event(answer.content.splitlines()[-1])
    except (httpx.HTTPError, msgspec.MsgspecError, IndexError) as error:
        return type(error).__name__
    if isinstance(last, api.Error):
        return last.code
    return None if isinstance(last, api.Done) else "incomplete"


def shortened(trace: Trace, seconds: float) -> Trace:
    """The first part of the trace, and each user's first request in any case."""
    users = [[ask for ask in user if ask.at_ms <= seconds * 1000] or user[:1] for user in trace.users]
    return msgspec.structs.replace(trace, users=users, seconds=int(seconds))


def users_requests(trace: Trace, preset: Preset) -> list[list[Timed]]:
    """What the language server would ask for each of the trace's places."""
    lines = own_source(1)
    requests: list[list[Timed]] = []
    for number, user in enumerate(trace.users):
        # Each user's file is another one: the same code behind a first line of their own.
        own = [f"# user {number}", *lines]
        requests.append([Timed(ask.at_ms / 1000, number, _request(own, ask, preset)) for ask in user])
    return requests


def _request(lines: list[str], ask: Ask, preset: Preset) -> api.DenoiseRequest:
    for stroke in _strokes(lines, ask):
        request = request_of(stroke, preset)
        if request is not None:
            return msgspec.structs.replace(request, deadline_ms=None)
    raise EvalError("the source holds no place where anything would be completed")


def _strokes(lines: list[str], ask: Ask) -> Iterator[Stroke]:
    """The document at the place of the request: the line typed so far. Where nothing is asked (in a comment), the next
    line will do.
    """
    for offset in range(len(lines)):
        row = (ask.line + offset) % len(lines)
        code = lines[row].strip()
        if code:
            indent = len(lines[row]) - len(lines[row].lstrip())
            column = indent + max(1, len(code) * ask.typed_percent // 100)
            typed = lines[row][:column]
            yield Stroke("type", typed[-1], (*lines[:row], typed, *lines[row + 1 :]), row, column)


if __name__ == "__main__":
    sys.exit(run(main))
