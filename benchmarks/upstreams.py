"""The language server's client of other people's servers against a real one: llama.cpp's, with our own weights.

The clean stream is exported as GGUF with our vocabulary (gguf_vocabulary.py) and served by the `llama-server` that is
named; the client (lsp_server/engine_client/upstream.py) asks it by OpenAI's protocol and by llama.cpp's `/infill`, as
the user's settings would have it, with a key. Prompts are the language server's own windows; our own engine answers the
same questions through its own client, in the same run, as it is shipped. Counted: from the question to the last event,
transport and tokenizing included; each place is a new one. `exact`: the line as it was written by hand. What is *not*
comparable: llama.cpp completes no token that the cursor has broken, OpenAI's protocol gives it no suffix, and `/infill`
puts our layout tokens in an order of its own, so its texts are worse than the weights are. What is shown is that
protocol, key, stream, stop rule and deadline work with the real server. `same tokens`: lines that its tokenizer cuts as
ours does.
`python -m benchmarks.upstreams [--llama-server PROGRAM] [--shards DIR | --data FILE] [--limit N]` prints a table, then
one line of JSON. Left out: other servers, a typing trace (llamacpp.py has one, without servers).
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from benchmarks.header import print_header
from benchmarks.options import line_arguments, rounded, run
from lsp_server.context.window import prompt_window
from lsp_server.positions import Position
from lsp_server.snapshot import Snapshot, open_document
from model.engine import api
from model.evaluation.options import EvalError

if TYPE_CHECKING:
    from model.checkpoints.load import Checkpoint
    from model.evaluation.infill_data import Infill

KINDS = ("openai", "llama.cpp")
OURS = "our engine"
READY_S = 120.0
DEADLINE_MS = 10_000.0


class Told(msgspec.Struct, frozen=True):
    """One answer, or an error's code."""

    time_ms: float
    text: str = ""
    reason: str = ""
    error: str = ""


def main() -> None:
    parser = line_arguments("upstreams", __doc__ or "")
    parser.add_argument("--llama-server", default="llama-server", metavar="PROGRAM", help="llama.cpp's server")
    args = parser.parse_args()
    program = shutil.which(args.llama_server)
    if program is None:
        raise EvalError(f"there is no program {args.llama_server}: llama.cpp builds it (-DLLAMA_BUILD_SERVER=ON)")
    from benchmarks.gguf_export import export_gguf
    from benchmarks.lines import line_set
    from model.checkpoints.load import default_checkpoint, load_checkpoint

    folder = args.model or default_checkpoint()
    checkpoint = load_checkpoint(folder)
    data = line_set(args)
    print_header("upstreams")
    print(f"# {_version(program)}")
    print(f"# {len(data.rows)} places: {data.what}")
    # A private place: neither a running engine of the user's nor their settings are touched.
    with tempfile.TemporaryDirectory(prefix="sl-") as place:
        private = {"SEEDLING_RUNTIME_DIR": place, "XDG_STATE_HOME": place, "XDG_CONFIG_HOME": place}
        os.environ.update(private, SEEDLING_MODEL=str(folder))
        gguf_file = Path(place) / "clean.gguf"
        preset = checkpoint.preset
        export_gguf(
            checkpoint.network.float(),
            gguf_file,
            name=preset.name,
            context_tokens=preset.context_tokens,
            matrices="Q8_0",
            tokenizer_file=folder / "tokenizer.json",
        )
        requests = [_request(row, number, preset.context_tokens) for number, row in enumerate(data.rows)]
        told: dict[str, list[Told]] = {}
        with serving(program, gguf_file, 2 * preset.context_tokens, args.threads or 1) as (url, key):
            same_tokens = _same_tokens(url, key, checkpoint, data.rows)
            for kind in KINDS:
                given = {"SEEDLING_ENGINE": url, "SEEDLING_ENGINE_UPSTREAM": kind, "SEEDLING_ENGINE_TOKEN": key}
                told[kind] = _asked(requests, given)
        told[OURS] = _asked(requests, {})
    for name, answers in told.items():
        for code in sorted({answer.error for answer in answers if answer.error}):
            print(f"# {name}: {sum(answer.error == code for answer in answers)} answered {code}")
    print(f"# same tokens as ours: {same_tokens:.1%} of the prompts' lines")
    print_table(told, data.rows)
    result = {name: row_of(answers, data.rows) for name, answers in told.items()}
    print(json.dumps(rounded({**result, "places": len(data.rows), "same_tokens": same_tokens})))


@contextlib.contextmanager
def serving(program: str, model: Path, context_tokens: int, num_threads: int) -> Iterator[tuple[str, str]]:
    """The server on a loopback port: its address and its key, which goes by the environment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    key, url = secrets.token_hex(16), f"http://127.0.0.1:{port}"
    words = [program, "-m", str(model), "--host", "127.0.0.1", "--port", str(port), "-c", str(context_tokens)]
    words += ["-t", str(num_threads), "-np", "1", "--spm-infill", "--no-webui", "--offline"]
    with open(model.with_suffix(".log"), "wb") as log:
        process = subprocess.Popen(words, env={**os.environ, "LLAMA_API_KEY": key}, stdout=log, stderr=log)
    try:
        end_s = time.monotonic() + READY_S
        while not _is_ready(url):
            if process.poll() is not None or time.monotonic() > end_s:
                lines = model.with_suffix(".log").read_text("utf-8", "replace").splitlines()
                raise EvalError(f"llama.cpp's server does not start: {' '.join(lines[-3:])[-300:]}")
            time.sleep(0.1)
        yield url, key
    finally:
        process.kill()
        process.wait()


def _is_ready(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/health", trust_env=False).status_code == 200
    return False


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return f"llama-server {(done.stdout + done.stderr).strip().splitlines()[0].removeprefix('version: ')}"


def _same_tokens(url: str, key: str, checkpoint: "Checkpoint", rows: "Sequence[Infill]") -> float:
    """Share of lines of the prompts that the server's tokenizer cuts as ours does."""
    lines = list(dict.fromkeys(line for row in rows for line in row.place.before.splitlines(keepends=True)[-20:]))
    num_same = 0
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False) as http:
        for line in lines:
            theirs = http.post("/tokenize", json={"content": line, "add_special": False}).json()["tokens"]
            num_same += theirs == checkpoint.tokenizer.encode(line)
    return num_same / len(lines)


def _asked(requests: Sequence[api.DenoiseRequest], environment: dict[str, str]) -> list[Told]:
    """What a client that the environment describes is told to each question, one after another."""
    from lsp_server.engine_client.connect import connect

    async def ask_all() -> list[Told]:
        client = await connect()
        try:
            await client.capabilities()
            await _told(client.denoise, requests[-1])  # the first one pays for whatever starts late
            return [await _told(client.denoise, request) for request in requests]
        finally:
            await client.close()

    before = dict(os.environ)
    os.environ.update(environment)
    try:
        return asyncio.run(ask_all())
    finally:
        os.environ.clear()
        os.environ.update(before)
        if not environment:
            from lsp_server.engine_client import control

            control.stop()


def _request(row: "Infill", number: int, context_tokens: int) -> api.DenoiseRequest:
    place = row.place
    document = open_document("file:///place.py", "python", 1, place.before + place.after)
    cursor = Position(place.before.count("\n"), len(place.before) - place.before.rfind("\n") - 1)
    prompt = prompt_window(Snapshot(document=document, cursor=cursor, path=place.path), context_tokens)
    return api.DenoiseRequest(
        id=str(number), prompt=prompt, canvas=(api.Masked(),), stop="line", deadline_ms=DEADLINE_MS
    )


async def _told(denoise: Callable[[api.DenoiseRequest], Any], request: api.DenoiseRequest) -> Told:
    begun_s = time.perf_counter()
    last: api.Event | None = None
    async for event in denoise(request):
        last = event
    time_ms = (time.perf_counter() - begun_s) * 1000
    if isinstance(last, api.Done):
        return Told(time_ms, last.text, last.reason)
    return Told(time_ms, error=last.code if isinstance(last, api.Error) else "no_end")


def row_of(answers: Sequence[Told], rows: "Sequence[Infill]") -> dict[str, float]:
    """Figures of one client."""
    times_ms = [told.time_ms for told in answers]
    truths = [row.place.gold for row in rows]
    return {
        "p50_ms": statistics.median(times_ms),
        "p95_ms": statistics.quantiles(times_ms, n=20)[-1] if len(times_ms) > 1 else times_ms[0],
        "errors": sum(bool(told.error) for told in answers),
        "stopped": statistics.fmean(told.reason in ("stop", "eom") for told in answers),
        "exact": statistics.fmean(
            told.text.strip() == truth.strip() for told, truth in zip(answers, truths, strict=True)
        ),
    }


def print_table(told: dict[str, list[Told]], rows: "Sequence[Infill]") -> None:
    print(f"{'':16}  p50 ms  p95 ms  errors  ended by itself   exact")
    for name, answers in told.items():
        row = row_of(answers, rows)
        print(
            f"{name:16}{row['p50_ms']:8.1f}{row['p95_ms']:8.1f}{row['errors']:8d}{row['stopped']:17.1%}{row['exact']:8.1%}"
        )


if __name__ == "__main__":
    sys.exit(run(main))
