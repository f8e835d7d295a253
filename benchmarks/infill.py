"""Line infilling: how often the first line is exactly right, and how many forwards a line costs, by threshold.

Data: rows with `prompt`, `suffix`, `canonical_solution` (SantaCoder-FIM's format), given with --data or found in the
folder SEEDLING_EVALS; they are scored on only. Metric: first line of the answer, one leading newline skipped, both
sides stripped, equal to the solution (Bavarian et al.'s single-line protocol as in SantaCoder's harness). Free length:
the model chooses where the line ends. Floor: an empty answer. Windows and prompts are those of the language server.
Left out: running code, edit similarity, other lengths of protocol.
"""

import argparse
import gzip
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import torch

from benchmarks.header import print_header
from lsp_server.context.window import prompt_window
from lsp_server.positions import Position
from lsp_server.snapshot import Snapshot, open_document
from model.checkpoints.load import Checkpoint, default_checkpoint, load_checkpoint
from model.diffusion.sampler import denoise_to_end
from model.engine import api
from model.engine.prompting import LineEncoder, prepare
from model.engine.stopping import StopCheck
from model.network.kv_cache import KVCache


class Row(msgspec.Struct):
    prompt: str
    suffix: str
    canonical_solution: str


class Score(msgspec.Struct, frozen=True):
    """Shares 0..1; `tpf` = text tokens delivered per forward, prefill included."""

    tau_mask: float
    exact_match: float
    empty: float
    forwards_per_line: float
    tpf: float
    bytes_per_forward: float
    median_ms: float


def rows_of(path: Path) -> Iterator[Row]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as lines:
        for line in lines:
            yield msgspec.json.decode(line, type=Row)


def request_of(row: Row, context_tokens: int) -> api.DenoiseRequest:
    """What the language server would ask at the beginning of the missing line."""
    before = row.prompt if row.prompt.endswith("\n") or not row.prompt else row.prompt + "\n"
    document = open_document("file:///solution.py", "python", 1, before + row.suffix)
    snapshot = Snapshot(document=document, cursor=Position(before.count("\n"), 0), path="solution.py")
    return api.DenoiseRequest(id="infill", prompt=prompt_window(snapshot, context_tokens), stop="line")


def score(checkpoint: Checkpoint, rows: list[Row], tau_mask: float) -> Score:
    network, preset, tokenizer = checkpoint.network, checkpoint.preset, checkpoint.tokenizer
    encoder = LineEncoder(tokenizer)
    num_right = num_empty = num_forwards = num_tokens = num_bytes = 0
    times_ms = []
    for row in rows:
        request = request_of(row, preset.context_tokens)
        prepared = prepare(request, preset, tokenizer, encoder)
        stop = StopCheck(
            tokenizer.token_bytes,
            prefix_text=prepared.prefix_text,
            suffix_text=prepared.suffix_text,
            rule="line",
            language="python",
        )
        begun = time.perf_counter()
        cache = KVCache(preset.network, dtype=network.head_weight.dtype, capacity=preset.context_tokens + 128)
        result = denoise_to_end(
            network,
            cache,
            prepared.prompt_ids,
            prepared.canvas,
            msgspec.structs.replace(prepared.policy, tau_mask=tau_mask),
            finished=stop,
        )
        times_ms.append((time.perf_counter() - begun) * 1000)
        text = tokenizer.decode(result.ids)
        line = text.removeprefix("\n").split("\n", 1)[0].strip()
        num_right += line == row.canonical_solution.strip()
        num_empty += not line
        num_forwards += result.forwards
        num_tokens += len(result.ids)
        num_bytes += len(text.encode())
    return Score(
        tau_mask=tau_mask,
        exact_match=num_right / len(rows),
        empty=num_empty / len(rows),
        forwards_per_line=num_forwards / len(rows),
        tpf=num_tokens / num_forwards,
        bytes_per_forward=num_bytes / num_forwards,
        median_ms=sorted(times_ms)[len(times_ms) // 2],
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.infill", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="JSONL file, perhaps gzipped")
    parser.add_argument("--limit", type=int, default=None, help="use only the first N rows")
    parser.add_argument("--tau", type=float, nargs="+", default=None, help="thresholds (default: the checkpoint's)")
    parser.add_argument("--model", type=Path, default=None, help="checkpoint folder (default: the embedded one)")
    args = parser.parse_args()
    data = args.data
    if data is None and os.environ.get("SEEDLING_EVALS"):
        data = Path(os.environ["SEEDLING_EVALS"]) / "santacoder-fim" / "santacoder-fim-python.jsonl.gz"
    if data is None or not data.is_file():
        print(
            "benchmarks.infill: give the rows with --data FILE, or set SEEDLING_EVALS to their folder", file=sys.stderr
        )
        return 2
    rows = list(rows_of(data))[: args.limit]
    checkpoint = load_checkpoint(args.model or default_checkpoint(), dtype=torch.bfloat16)
    print_header("infill")
    print(f"# {checkpoint.preset.name}, {len(rows)} rows of {data.name}, free length, greedy, one canvas at a time")
    floor = sum(not row.canonical_solution.strip() for row in rows) / len(rows)
    print(f"{'tau':>6} {'exact':>7} {'empty':>7} {'forwards':>9} {'tokens/f':>9} {'bytes/f':>8} {'median ms':>10}")
    scores = []
    for tau in args.tau or [checkpoint.preset.sampling.tau_mask]:
        s = score(checkpoint, rows, tau)
        scores.append(s)
        print(
            f"{s.tau_mask:>6.2f} {s.exact_match:>7.1%} {s.empty:>7.1%} {s.forwards_per_line:>9.2f} {s.tpf:>9.2f}"
            f" {s.bytes_per_forward:>8.2f} {s.median_ms:>10.1f}",
            flush=True,
        )
    result = {"rows": len(rows), "length": "free", "floor": floor, "scores": msgspec.to_builtins(scores)}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
