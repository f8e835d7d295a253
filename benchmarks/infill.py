"""Line infilling: how often the first line is exactly right, and how many forwards a line costs, by threshold.

Data: rows with `prompt`, `suffix`, `canonical_solution` (SantaCoder-FIM's format), given with --data or found in the
folder SEEDLING_EVALS; they are scored on only. Metric: first line of the answer, one leading newline skipped, both
sides stripped, equal to the solution (Bavarian et al.'s single-line protocol as in SantaCoder's harness). Free length:
the model chooses where the line ends. Floor: an empty answer. Windows and prompts are those of the language server.
With --inside-line the prompt's last line is one that was begun, and the rest of it is asked for. The gate's table says
which share of the answers is shown at each confidence, and how many of those are right.
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
from model.diffusion.healing import text_after_typed
from model.diffusion.sampler import denoise_to_end
from model.engine import api
from model.engine.prompting import LineEncoder, prepare
from model.engine.stopping import StopCheck
from model.network.kv_cache import KVCache

CONFIDENCES = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Row(msgspec.Struct):
    prompt: str
    suffix: str
    canonical_solution: str


class Gate(msgspec.Struct, frozen=True):
    """Answers whose confidence is at least `confidence`: their share of all, and the share of them that is right."""

    confidence: float
    shown: float
    right: float


class Score(msgspec.Struct, frozen=True):
    """Shares 0..1; `tpf` = text tokens delivered per forward, prefill included."""

    tau_mask: float
    exact_match: float
    empty: float
    forwards_per_line: float
    tpf: float
    bytes_per_forward: float
    median_ms: float
    gate: tuple[Gate, ...]


def rows_of(path: Path) -> Iterator[Row]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as lines:
        for line in lines:
            yield msgspec.json.decode(line, type=Row)


def request_of(row: Row, context_tokens: int, inside_line: bool = False) -> api.DenoiseRequest:
    """What the language server would ask at the beginning of the missing line, or inside it."""
    before = row.prompt if inside_line or row.prompt.endswith("\n") or not row.prompt else row.prompt + "\n"
    document = open_document("file:///solution.py", "python", 1, before + row.suffix)
    cursor = Position(before.count("\n"), len(before) - before.rfind("\n") - 1)
    snapshot = Snapshot(document=document, cursor=cursor, path="solution.py")
    return api.DenoiseRequest(id="infill", prompt=prompt_window(snapshot, context_tokens), stop="line")


def score(checkpoint: Checkpoint, rows: list[Row], tau_mask: float, inside_line: bool) -> Score:
    network, preset, tokenizer = checkpoint.network, checkpoint.preset, checkpoint.tokenizer
    encoder = LineEncoder(tokenizer)
    num_empty = num_forwards = num_tokens = num_bytes = 0
    times_ms: list[float] = []
    answers: list[tuple[float, bool]] = []
    for row in rows:
        request = request_of(row, preset.context_tokens, inside_line)
        prepared = prepare(request, preset, tokenizer, encoder)
        stop = StopCheck(
            tokenizer.token_bytes,
            prefix_text=prepared.prefix_text,
            suffix_text=prepared.suffix_text,
            rule="line",
            language="python",
            typed=prepared.taken_back.typed if prepared.taken_back else b"",
        )
        begun = time.perf_counter()
        cache = KVCache(preset.network, dtype=network.head_weight.dtype, capacity=preset.context_tokens + 128)
        result = denoise_to_end(
            network,
            cache,
            prepared.prompt_ids,
            prepared.canvas,
            msgspec.structs.replace(prepared.policy, tau_mask=tau_mask),
            first_token_prefix=prepared.taken_back,
            finished=stop,
        )
        times_ms.append((time.perf_counter() - begun) * 1000)
        text = text_after_typed(tokenizer, result.ids, prepared.taken_back)
        line = (text if inside_line else text.removeprefix("\n")).split("\n", 1)[0].strip()
        answers.append((result.confidence, line == row.canonical_solution.strip()))
        num_empty += not line
        num_forwards += result.forwards
        num_tokens += len(result.ids)
        num_bytes += len(text.encode())
    return Score(
        tau_mask=tau_mask,
        exact_match=sum(right for _, right in answers) / len(rows),
        empty=num_empty / len(rows),
        forwards_per_line=num_forwards / len(rows),
        tpf=num_tokens / num_forwards,
        bytes_per_forward=num_bytes / num_forwards,
        median_ms=sorted(times_ms)[len(times_ms) // 2],
        gate=tuple(gate_at(answers, confidence) for confidence in CONFIDENCES),
    )


def gate_at(answers: list[tuple[float, bool]], confidence: float) -> Gate:
    shown = [right for c, right in answers if c >= confidence]
    return Gate(confidence, len(shown) / len(answers), sum(shown) / max(1, len(shown)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.infill", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="JSONL file, perhaps gzipped")
    parser.add_argument("--limit", type=int, default=None, help="use only the first N rows")
    parser.add_argument("--tau", type=float, nargs="+", default=None, help="thresholds (default: the checkpoint's)")
    parser.add_argument("--inside-line", action="store_true", help="the prompts end inside the line to complete")
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
        s = score(checkpoint, rows, tau, args.inside_line)
        scores.append(s)
        print(
            f"{s.tau_mask:>6.2f} {s.exact_match:>7.1%} {s.empty:>7.1%} {s.forwards_per_line:>9.2f} {s.tpf:>9.2f}"
            f" {s.bytes_per_forward:>8.2f} {s.median_ms:>10.1f}",
            flush=True,
        )
    print(
        f"# gate at tau {scores[-1].tau_mask}: "
        + ", ".join(f">= {g.confidence:.1f}: {g.shown:.0%} shown, {g.right:.0%} right" for g in scores[-1].gate)
    )
    result = {"rows": len(rows), "length": "free", "floor": floor, "scores": msgspec.to_builtins(scores)}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
