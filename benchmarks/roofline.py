"""A denoising step of an 8 B network on one GPU against the least time that its bytes take, and what that is in tokens.

The bar: batch 1, 32 rows behind 2,048 cached ones, bf16: at most 1.25 times bytes / bandwidth. The weights are random,
in the shape of Stable-DiffCoder-8B (its config.json: 32 layers, 4096 wide, 32/8 heads, 14336, 155136 labels, untied),
which takes as long as trained ones; how many tokens a forward gives (TPF) random weights cannot say, so tokens/s stands
as a function of it, with the TPF that the 2,146 tokens/s of Seed Diffusion (arXiv 2508.02193, figure 1, H20s) need. A
step is everything: network, head, choice and application of the moves, one graph without the host. `eager` is network
and head pass by pass, as the engine runs them; `generate` is transformers' own loop on the same weights, one token a
forward. Lines for H20 are arithmetic from its data sheet and the ratio measured here, and say so. Left out: quality,
several GPUs.
`python -m benchmarks.roofline [--model DIR] [--picture FILE] [--rehearse]` prints tables, then one line of JSON.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.header import print_header
from benchmarks.options import rounded, run
from model.evaluation.options import EvalError

if TYPE_CHECKING:
    import torch

    from model.network.config import NetworkConfig
    from model.network.transformer import Transformer

PROMISE_PER_S = 2146
TPFS = (1, 2, 4, 6, 8, 10, 12, 16)
ROWS, CONTEXT = 32, 2048
BAR = 1.25
NUM_GENERATED = 64
ROOM_GB = 10
"""Beside the weights: keys and values of the largest case, the buffers that measure the memory."""


class Chip(msgspec.Struct, frozen=True):
    """Data sheet: bytes and bf16 operations a second."""

    name: str
    bytes_per_s: float
    operations_per_s: float


# NVIDIA's data sheets; H20 as in the product brief (4.0 TB/s, 148 TFLOP/s).
CHIPS = (
    Chip("H200", 4.8e12, 989e12),
    Chip("H20", 4.0e12, 148e12),
    Chip("H100", 3.35e12, 989e12),
    Chip("A100", 2.04e12, 312e12),
)


class Plan(msgspec.Struct, frozen=True):
    """What is measured: (rows, cached rows, batch)."""

    widths: tuple[int, ...]
    contexts: tuple[int, ...]
    batches: tuple[int, ...]
    rows: int
    context: int

    def cases(self) -> list[tuple[int, int, int]]:
        grown = [(rows, self.context, 1) for rows in self.widths]
        grown += [(self.rows, context, 1) for context in self.contexts]
        grown += [(self.rows, self.context, batch) for batch in self.batches]
        return list(dict.fromkeys(grown))


PLAN = Plan((1, 16, 32, 64), (512, 2048, 4096, 8192), (1, 2, 4, 8, 16), ROWS, CONTEXT)
REHEARSAL = Plan((1, 8), (16, 64), (1, 2), 8, 64)


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One case; limit_ms from the bandwidth and the products measured in the same run."""

    rows: int
    cached: int
    batch: int
    step_ms: float
    limit_ms: float

    @property
    def ratio(self) -> float:
        return self.step_ms / self.limit_ms


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.roofline", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--model", type=Path, metavar="DIR", help="weights of a checkpoint in place of random 8 B ones")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draws growth with batch and context (PNG)")
    parser.add_argument("--rehearse", action="store_true", help="a tiny network on the CPU; the times mean nothing")
    args = parser.parse_args()
    import torch

    from benchmarks.device_timing import bandwidth_per_s, peak_per_s

    if not (args.rehearse or torch.cuda.is_available()):
        raise EvalError("the roofline needs a CUDA GPU; --rehearse goes through all of it on the CPU")
    device = torch.device("cpu" if args.rehearse else "cuda")
    dtype = torch.float32 if args.rehearse else torch.bfloat16
    plan, small = (REHEARSAL, 1 << 20) if args.rehearse else (PLAN, 1 << 30)
    with torch.inference_mode():
        network = load(args, device, dtype)
        print_header("roofline")
        bandwidth = bandwidth_per_s(device, small)
        peak = peak_per_s(device, dtype, 256 if args.rehearse else 8192)
        rows = [measure(network, case, bandwidth, peak) for case in plan.cases()]
        eager_ms = measure_eager(network, plan.rows, plan.context)
        generated = generate_per_s(network, plan.context)
        kernels = profile_step(network, plan.rows, plan.context)
    bar = next(row for row in rows if (row.rows, row.cached, row.batch) == (plan.rows, plan.context, 1))
    name = "rehearsal on the CPU" if args.rehearse else torch.cuda.get_device_name(device)
    print_tables(network.config, name, dtype, rows, bar, (bandwidth, peak), eager_ms, generated)
    for kernel, time_ms, count in kernels:
        print(f"{time_ms:9.3f} ms {count:5} × {kernel[:96]}")
    if args.picture is not None:
        draw(rows, plan, args.picture)
    facts = {"device": name, "rehearsal": args.rehearse, "dtype": str(dtype).removeprefix("torch.")}
    facts |= {"bandwidth_gb_per_s": bandwidth / 1e9, "peak_tflops": peak / 1e12, "rows": plan.rows}
    facts |= {"cached": plan.context, "step_ms": bar.step_ms, "limit_ms": bar.limit_ms, "ratio": bar.ratio}
    facts |= {"eager_ms": eager_ms, "tpf_for_promise": PROMISE_PER_S * bar.step_ms / 1000, "generate_per_s": generated}
    facts |= {"cases": [msgspec.structs.asdict(row) for row in rows]}
    facts |= {"kernels": [{"name": kernel[:96], "ms": ms, "count": count} for kernel, ms, count in kernels]}
    print(json.dumps(rounded(facts)))


def stable_diffcoder_8b() -> "NetworkConfig":
    """The shape of ByteDance-Seed/Stable-DiffCoder-8B-Instruct, from its config.json."""
    from model.network.config import NetworkConfig

    return NetworkConfig(
        vocab_size=155_136,
        num_layers=32,
        d_model=4096,
        num_heads=32,
        num_kv_heads=8,
        d_head=128,
        d_ff=14_336,
        rope_theta=500_000.0,
        norm_eps=1e-6,
        tied_head=False,
        state_vectors=False,
    )


def load(args: argparse.Namespace, device: "torch.device", dtype: "torch.dtype") -> "Transformer":
    """The network to measure. EvalError if it does not fit or cannot be read."""
    import torch

    from model.checkpoints.load import CheckpointError, load_checkpoint
    from model.network.config import tiny_test

    if args.model is not None:
        try:
            return load_checkpoint(args.model, device=device, dtype=dtype).network
        except CheckpointError as error:
            raise EvalError(str(error)) from None
    config = msgspec.structs.replace(tiny_test(), qk_norm=False) if args.rehearse else stable_diffcoder_8b()
    if device.type == "cuda":
        embedding_bytes = config.vocab_size * config.d_model * dtype.itemsize
        wanted_gb = (num_bytes(config, 0, 1, 0, dtype) + embedding_bytes) / 1e9 + ROOM_GB
        has_gb = torch.cuda.get_device_properties(device).total_memory / 1e9
        if has_gb < wanted_gb:
            raise EvalError(f"the 8 B network wants {wanted_gb:.0f} GB of GPU memory, this GPU has {has_gb:.0f} GB")
    return random_network(config, device, dtype)


def random_network(config: "NetworkConfig", device: "torch.device", dtype: "torch.dtype") -> "Transformer":
    """Made where it stays, in its own type: 16 GB in fp32 first would be 32."""
    import torch

    from model.network.transformer import INIT_DEVIATION, Transformer

    with torch.device("meta"):
        network = Transformer(config).to(dtype)
    network.to_empty(device=device)
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=INIT_DEVIATION, generator=generator)
            else:
                parameter.fill_(1.0)
    return network.eval()


def num_bytes(config: "NetworkConfig", num_rows: int, batch: int, cached: int, dtype: "torch.dtype") -> int:
    """Weights once, keys and values of every sequence."""
    from benchmarks.arithmetic import num_bytes as of_one

    weights = of_one(config, 0, 0, dtype)
    return weights + batch * (of_one(config, num_rows, cached, dtype) - weights)


def limit_ms(
    config: "NetworkConfig", case: tuple[int, int, int], dtype: "torch.dtype", bytes_per_s: float, peak: float
) -> float:
    """The larger of bytes / bandwidth and operations / peak."""
    from benchmarks.arithmetic import num_operations

    num_rows, cached, batch = case
    reading_s = num_bytes(config, num_rows, batch, cached, dtype) / bytes_per_s
    return 1000 * max(reading_s, batch * num_operations(config, num_rows, cached) / peak)


def measure(network: "Transformer", case: tuple[int, int, int], bandwidth: float, peak: float) -> Measured:
    from benchmarks.device_timing import median_ms

    weight = network.embed.weight
    step_ms = median_ms(make_step(network, case), weight.device)
    num_rows, cached, batch = case
    limit = limit_ms(network.config, case, weight.dtype, bandwidth, peak)
    return Measured(rows=num_rows, cached=cached, batch=batch, step_ms=step_ms, limit_ms=limit)


def make_step(network: "Transformer", case: tuple[int, int, int]):
    """A whole step on the device for `batch` blocks of masks behind `cached` rows of nothing in particular."""
    from model.diffusion.device_blocks import BlockStart, DeviceBlocks
    from model.diffusion.policy import Policy
    from model.diffusion.states import MASKED
    from model.network.paged import PAGE_ROWS, PagedNetwork, PagePool
    from model.tokenizer import MASK

    num_rows, cached, batch = case
    weight = network.embed.weight
    num_pages = -(-(cached + num_rows) // PAGE_ROWS)
    pool = PagePool(network.config, batch * num_pages, device=weight.device, dtype=weight.dtype)
    paged = PagedNetwork(network, pool, max_rows=cached + num_rows)
    blocks = DeviceBlocks(paged, Policy(), num_blocks=batch, capacity=num_rows)
    starts = []
    for _ in range(batch):
        pages = pool.take(cached + num_rows)
        assert pages is not None
        starts.append(BlockStart([MASK] * num_rows, [MASKED] * num_rows, False, cached, pages))
    blocks.begin(starts)
    return blocks.step


def measure_eager(network: "Transformer", num_rows: int, cached: int) -> float:
    """The same block pass by pass as the engine runs it without graphs: network and head."""
    import torch

    from benchmarks.device_timing import median_ms
    from model.network.kv_cache import KVCache
    from model.network.one_pass import Rows, one_pass
    from model.tokenizer import MASK

    weight = network.embed.weight
    cache = KVCache(network.config, capacity=cached + num_rows, device=weight.device, dtype=weight.dtype)
    cache.lengths_B.fill_(cached)
    tokens = torch.full((1, num_rows), MASK, device=weight.device)
    noisy = Rows(tokens, torch.ones_like(tokens))

    def step() -> None:
        _, hidden_1ND = one_pass(network, cache, None, noisy)
        assert hidden_1ND is not None
        network.logits(hidden_1ND[0]).max(-1)

    return median_ms(step, weight.device)


def generate_per_s(network: "Transformer", cached: int) -> float | None:
    """Tokens a second of transformers' `generate` behind `cached` tokens; None where it cannot be had."""
    try:
        from benchmarks import hf_llama
    except ImportError:
        print("# transformers is not installed, so its generate is left out", file=sys.stderr)
        return None
    if network.config.qk_norm or network.config.qkv_bias:
        return None  # no Llama
    return hf_llama.generate_per_s(network, cached, NUM_GENERATED)


def profile_step(network: "Transformer", num_rows: int, cached: int) -> list[tuple[str, float, int]]:
    from benchmarks.device_timing import profile

    return profile(make_step(network, (num_rows, cached, 1)), network.embed.weight.device)


def print_tables(
    config: "NetworkConfig",
    name: str,
    dtype: "torch.dtype",
    rows: list[Measured],
    bar: Measured,
    speeds: tuple[float, float],
    eager_ms: float,
    generated: float | None,
) -> None:
    from benchmarks.arithmetic import num_weights

    bandwidth, peak = speeds
    print(f"# {name}, {num_weights(config) / 1e9:.3f} B weights a step, {dtype}; measured {bandwidth / 1e12:.2f} TB/s")
    print(f"# (copy) and {peak / 1e12:.0f} TFLOP/s (product); eager {eager_ms:.3f} ms; "
          + ("generate left out" if generated is None else f"generate {generated:.1f} tokens/s"))  # fmt: skip
    print(f"{'rows':>5}{'cached':>8}{'batch':>7}{'step ms':>10}{'limit ms':>10}{'step / limit':>14}")
    for row in rows:
        print(f"{row.rows:5}{row.cached:8}{row.batch:7}{row.step_ms:10.3f}{row.limit_ms:10.3f}{row.ratio:14.2f}")
    print(f"{'tokens/s at TPF':<34}" + "".join(f"{tpf:>9}" for tpf in TPFS) + f"{f'TPF for {PROMISE_PER_S:,}':>16}")
    lines = [(f"{name[:22]}, measured", bar.step_ms)]
    for chip in CHIPS[:2]:
        least = limit_ms(config, (bar.rows, bar.cached, 1), dtype, chip.bytes_per_s, chip.operations_per_s)
        lines.append((f"{chip.name}, arithmetic: the limit", least))
        lines.append((f"{chip.name}, arithmetic: × {bar.ratio:.2f}", least * bar.ratio))
    for title, step_ms in lines:
        speeds_at = "".join(f"{1000 * tpf / step_ms:9,.0f}" for tpf in TPFS)
        print(f"{title:<34}{speeds_at}{PROMISE_PER_S * step_ms / 1000:16.1f}")


def draw(rows: list[Measured], plan: Plan, path: Path) -> None:
    """Step time against batch and against cached rows, measured and least."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    axes = figure.subplots(1, 2)
    by_batch = [row for row in rows if row.rows == plan.rows and row.cached == plan.context]
    by_cached = sorted((row for row in rows if row.rows == plan.rows and row.batch == 1), key=lambda row: row.cached)
    for axis, found, what in ((axes[0], by_batch, "batch"), (axes[1], by_cached, "cached")):
        places = [getattr(row, what) for row in found]
        axis.plot(places, [row.step_ms for row in found], marker="o", label="step")
        axis.plot(places, [row.limit_ms for row in found], linestyle="--", label="limit")
        axis.set(xlabel={"batch": "blocks at once", "cached": "cached rows"}[what], ylabel="ms", ylim=(0, None))
        axis.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    sys.exit(run(main))
