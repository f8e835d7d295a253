"""A long day of one engine: 20,000 small requests, and whether its memory stays where it was.

An engine of its own with the shipped model, asked over its socket by four connections at once: completions at random
places of this project's source (so that the prefix cache fills and evicts), repairs, streams that are closed at once,
requests that make no sense. Memory is VmRSS of the engine with its children, read at regular distances; compared are
the medians of the samples behind the warm-up and of the last ones. The bar: within 5 %, and each request answered or
refused in one sentence. Linux only.
`python -m benchmarks.soak [--requests N] [--eager]` prints a table, then one line of JSON.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx
import msgspec

from benchmarks.header import ROOT, print_header
from benchmarks.memory import PROC, family, resident_mb, wait_for_layers
from benchmarks.options import run
from lsp_server.engine_client import control
from model.engine import api
from model.evaluation.options import EvalError

NUM_REQUESTS = 20_000
NUM_CONNECTIONS = 4
NUM_SAMPLES = 100
WARM_UP = 0.1  # of all requests: by then the prefix cache is full and the allocator has seen all sizes
BAR_PERCENT = 5.0
SOURCES = ("lsp_server", "model", "kernels")
REPAIR_EVERY, CLOSE_EVERY, NONSENSE_EVERY = 50, 20, 100


class Found(msgspec.Struct, frozen=True):
    """`answers` counts how requests ended: a reason of the border, an error's code, or closed by the client."""

    num_requests: int
    num_unanswered: int
    answers: dict[str, int]
    first_mb: float
    last_mb: float
    growth_percent: float
    most_mb: float
    rss_mb: list[float]
    p50_ms: float
    seconds: float


class Soak:
    """Asks, and remembers how requests ended."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        files = [path for name in SOURCES for path in sorted((ROOT / name).rglob("*.py"))]
        self._documents = [lines for path in files if len(lines := path.read_text().splitlines(keepends=True)) > 30]
        self.answers: Counter[str] = Counter()
        self.num_unanswered = 0
        self.times_ms: list[float] = []

    async def ask(self, http: httpx.AsyncClient, number: int) -> None:
        """One request, of the kind that its number stands for."""
        path, body = "/v1/denoise", self._completion(number)
        if number % REPAIR_EVERY == 0:
            path, body = "/v1/repair", self._repair(number)
        if number % NONSENSE_EVERY == 1:
            body = body[: len(body) // 2]
        began_s = time.perf_counter()
        try:
            async with http.stream("POST", path, content=body) as answer:
                if number % CLOSE_EVERY == 2:
                    self.answers["closed"] += 1
                    return
                lines = [line async for line in answer.aiter_lines()]
        except httpx.TransportError as error:
            self.answers[type(error).__name__] += 1
            self.num_unanswered += 1
            return
        last = json.loads(lines[-1]) if lines else {}
        end = last.get("reason") or last.get("code")
        self.num_unanswered += end is None
        self.answers[str(end)] += 1
        self.times_ms.append((time.perf_counter() - began_s) * 1000)

    def _completion(self, number: int) -> bytes:
        lines = self._rng.choice(self._documents)
        row = self._rng.randrange(12, len(lines) - 8)
        column = self._rng.randrange(len(lines[row]))
        prompt = api.Prompt(
            path="a.py",
            prefix="".join(lines[row - 12 : row]),
            line=lines[row][:column],
            tail=lines[row][column:],
            suffix="".join(lines[row + 1 : row + 8]),
        )
        canvas = (api.Masked(max_tokens=self._rng.randrange(1, 8)),)
        return msgspec.json.encode(api.DenoiseRequest(id=str(number), prompt=prompt, canvas=canvas))

    def _repair(self, number: int) -> bytes:
        lines = self._rng.choice(self._documents)
        row = self._rng.randrange(len(lines) - 12)
        text = "".join(lines[row : row + 12]).replace(":\n", "\n", 1)
        return msgspec.json.encode(api.RepairRequest(id=str(number), text=text, first_row=0, last_row=3))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=NUM_REQUESTS, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--eager", action="store_true", help="an engine that never compiles")
    options = parser.parse_args()
    if not (PROC / "self" / "status").exists():
        raise EvalError("memory is read from /proc, which this system does not have")
    if options.requests < NUM_SAMPLES:
        raise EvalError(f"--requests is at least {NUM_SAMPLES}")
    print_header("soak")
    with tempfile.TemporaryDirectory(prefix="seedling-") as folder:
        os.environ |= {"SEEDLING_RUNTIME_DIR": folder, "XDG_STATE_HOME": folder}
        os.environ.pop("SEEDLING_ENGINE", None)
        if options.eager:
            os.environ["SEEDLING_EAGER"] = "1"
        health = control.start().health
        try:
            if health is None:
                raise EvalError("the engine ended at once")
            if not os.environ.get("SEEDLING_EAGER"):
                wait_for_layers(health.pid)
            socket = control.status().socket
            found = asyncio.run(soak(Soak(options.seed), socket, health.pid, options.requests))
        finally:
            control.stop()
    print_table(found)
    print(json.dumps(msgspec.to_builtins(found)))


async def soak(soak: Soak, socket: Path, pid: int, num_requests: int) -> Found:
    began_s = time.monotonic()
    numbers = iter(range(num_requests))
    every = num_requests // NUM_SAMPLES
    rss_mb: list[float] = []

    async def ask_on(http: httpx.AsyncClient) -> None:
        for number in numbers:  # shared: each number is asked once
            if number % every == 0:
                rss_mb.append(round(resident_mb(family(pid)), 1))
                print(f"\r{number:7} requests {rss_mb[-1]:8.1f} MB", end="", file=sys.stderr, flush=True)
            await soak.ask(http, number)

    async with contextlib.AsyncExitStack() as stack:
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        http = httpx.AsyncClient(transport=transport, base_url="http://seedling", timeout=120)
        await stack.enter_async_context(http)
        await asyncio.gather(*(ask_on(http) for _ in range(NUM_CONNECTIONS)))
    rss_mb.append(round(resident_mb(family(pid)), 1))
    print(file=sys.stderr)
    num_warm, num_window = int(len(rss_mb) * WARM_UP), max(1, len(rss_mb) // 10)
    first_mb = statistics.median(rss_mb[num_warm : num_warm + num_window])
    last_mb = statistics.median(rss_mb[-num_window:])
    return Found(
        num_requests=num_requests,
        num_unanswered=soak.num_unanswered,
        answers=dict(soak.answers.most_common()),
        first_mb=first_mb,
        last_mb=last_mb,
        growth_percent=round((last_mb / first_mb - 1) * 100, 2),
        most_mb=max(rss_mb),
        rss_mb=rss_mb,
        p50_ms=round(statistics.median(soak.times_ms), 2),
        seconds=round(time.monotonic() - began_s, 1),
    )


def print_table(found: Found) -> None:
    every = found.num_requests // NUM_SAMPLES
    print("requests       MB")
    for number in range(0, len(found.rss_mb), max(1, len(found.rss_mb) // 20)):
        print(f"{number * every:8} {found.rss_mb[number]:8.1f}")
    print(
        f"memory after warm-up {found.first_mb:.1f} MB, at the end {found.last_mb:.1f} MB, most {found.most_mb:.1f} MB"
    )
    print(f"growth {found.growth_percent:+.2f} %   (bar ±{BAR_PERCENT:.0f} %)")
    print(f"{found.num_requests} requests in {found.seconds:.0f} s, p50 {found.p50_ms:.1f} ms")
    print(f"{found.num_unanswered} unanswered   (bar 0); " + ", ".join(f"{k} {n}" for k, n in found.answers.items()))


if __name__ == "__main__":
    sys.exit(run(main))
