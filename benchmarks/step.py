"""One denoising step of the shipped model behind 512 cached rows: eager, compiled, and the limit of the arithmetic.

The bar: the compiled step of 32 masks takes at most twice its limit (arithmetic.py). `plain` is the network as it is
trained and saved, `eager` has its weights packed as in the engine, `compiled` runs the library that the engine makes in
the background; if there is none yet, it is made first, which takes half a minute or more. All three run in turns in one
process, a few steps each, of which the first do not count: three copies of the weights drive each other out of the last
cache, and an engine has one. The head of all rows is included. CPU only.
`python -m benchmarks.step [--threads N] [--fp32]` prints a table, then one line of JSON (best times, and medians).
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.header import print_header
from benchmarks.options import rounded, run
from model.evaluation.options import EvalError

if TYPE_CHECKING:
    import torch

    from model.network.transformer import Transformer

BLOCKS = (1, 8, 16, 32, 64)
BAR_BLOCK = 32
NUM_CACHED = 512
NUM_WARMING, NUM_TIMED = 4, 10  # steps of a way in a row
WAYS = ("plain", "eager", "compiled")


class Times(msgspec.Struct, frozen=True):
    """Milliseconds of one way at one width."""

    best: float
    median: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, metavar="DIR", help="checkpoint folder (default: the embedded one)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: the engine's)")
    parser.add_argument("--fp32", action="store_true", help="32-bit numbers (default: the engine's choice)")
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="turns of ten timed steps a way")
    args = parser.parse_args()
    if args.rounds < 1 or (args.threads is not None and args.threads < 1):
        raise EvalError("--threads and --rounds are at least 1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the engine, and only before torch is imported
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    import torch

    from benchmarks.arithmetic import bandwidth_per_s, num_bytes, num_operations, peak_per_s
    from model.checkpoints.load import default_checkpoint
    from model.engine.generation import default_dtype, default_num_threads

    torch.set_num_threads(args.threads or default_num_threads())
    dtype = torch.float32 if args.fp32 else default_dtype(torch.device("cpu"))
    print_header("step")
    with torch.inference_mode():
        networks = load(args.model or default_checkpoint(), dtype)
        config = networks["plain"].config
        peak = peak_per_s(dtype)
        table = {block: measure(networks, block, args.rounds) for block in BLOCKS}
        rows = []
        for block, times in table.items():
            size_bytes = num_bytes(config, block, NUM_CACHED, dtype)
            work_ms = num_operations(config, block, NUM_CACHED) / peak * 1000
            read_ms = size_bytes / bandwidth_per_s(size_bytes) * 1000
            rows.append(row_of(block, times, max(work_ms, read_ms)))
        peak = max(peak, peak_per_s(dtype))
    num_params = sum(parameter.numel() for parameter in networks["plain"].parameters())
    print_table(rows, f"{num_params / 1e6:.2f} M parameters, {dtype}, {torch.get_num_threads()} threads", peak)
    bar = next(row for row in rows if row["block"] == BAR_BLOCK)
    facts = {"params": num_params, "dtype": str(dtype).removeprefix("torch."), "threads": torch.get_num_threads()}
    print(json.dumps(rounded({**facts, "cached": NUM_CACHED, "peak_gflops": peak / 1e9, **bar, "rows": rows})))


def load(folder: Path, dtype: "torch.dtype") -> "dict[str, Transformer]":
    """The ways that there are on this machine."""
    from model.checkpoints.load import CheckpointError, load_checkpoint
    from model.engine.compiling import BackgroundCompile
    from model.network.packed import can_pack, pack_weights

    try:
        networks = {way: load_checkpoint(folder, dtype=dtype).network for way in WAYS}
    except CheckpointError as error:
        raise EvalError(str(error)) from None
    for way in WAYS[1:]:
        if can_pack(networks[way]):
            pack_weights(networks[way])
    begun_s = time.perf_counter()
    compiling = BackgroundCompile(delay_s=0)
    compiling.start(networks["compiled"], folder)
    compiling.wait()
    print(f"# the library was there, or made, after {time.perf_counter() - begun_s:.1f} s")
    if networks["compiled"].compiled is None:
        print("# there are no compiled layers on this machine", file=sys.stderr)
        del networks["compiled"]
    return networks


def measure(networks: "dict[str, Transformer]", block: int, num_rounds: int) -> dict[str, Times]:
    """A step of `block` masks by each way in turns."""
    steps = {way: make_step(network, block) for way, network in networks.items()}
    times_ms: dict[str, list[float]] = {way: [] for way in steps}
    for _ in range(num_rounds):
        for way, step in steps.items():
            for index in range(NUM_WARMING + NUM_TIMED):
                begun_s = time.perf_counter()
                step()
                if index >= NUM_WARMING:
                    times_ms[way].append((time.perf_counter() - begun_s) * 1000)
    return {way: Times(min(values), statistics.median(values)) for way, values in times_ms.items()}


def make_step(network: "Transformer", block: int) -> "Callable[[], object]":
    """A step with the logits of all its rows, behind a cache of its own."""
    import torch

    from model.network.kv_cache import KVCache
    from model.network.one_pass import Rows, one_pass
    from model.tokenizer import MASK, NUM_RESERVED

    generator = torch.Generator().manual_seed(0)
    prompt = torch.randint(NUM_RESERVED, network.config.vocab_size, (1, NUM_CACHED), generator=generator)
    cache = KVCache(network.config, capacity=2 * NUM_CACHED, dtype=network.embed.weight.dtype)
    one_pass(network, cache, Rows(prompt), None, want_clean=0)
    cache.advance(NUM_CACHED)
    noisy = Rows(torch.full((1, block), MASK), torch.ones(1, block, dtype=torch.int64))

    def step() -> object:
        _, hidden_1ND = one_pass(network, cache, None, noisy)
        assert hidden_1ND is not None
        return network.logits(hidden_1ND[0])

    return step


def row_of(block: int, times: dict[str, Times], limit_ms: float) -> dict[str, float | None]:
    """One line of the table, as in the JSON; None where a way is missing."""
    row: dict[str, float | None] = {"block": block, "limit_ms": limit_ms}
    for way in WAYS:
        found = times.get(way)
        row[f"{way}_ms"] = found and found.best
        row[f"{way}_median_ms"] = found and found.median
    return row


def print_table(rows: list[dict[str, float | None]], about: str, peak: float) -> None:
    print(f"# {about}, best product {peak / 1e9:.0f} GFLOP/s; best (median) ms")
    print(f"{'rows':>4}" + "".join(f"{way:>16}" for way in WAYS) + f"{'limit':>8}{'compiled / limit':>18}")
    for row in rows:
        cells = [
            "-" if row[f"{way}_ms"] is None else f"{row[f'{way}_ms']:.2f} ({row[f'{way}_median_ms']:.2f})"
            for way in WAYS
        ]
        compiled, limit = row["compiled_ms"], row["limit_ms"]
        ratio = "-" if compiled is None or limit is None else f"{compiled / limit:.2f}"
        print(f"{row['block']:4}" + "".join(f"{cell:>16}" for cell in cells) + f"{limit:8.2f}{ratio:>18}")


if __name__ == "__main__":
    sys.exit(run(main))
