"""How much of the prompts a stretch of typing runs again: the typing trace through window, prompt and prefix cache.

The bar: at most 5 % of all prompt tokens, the first request (a cold cache) left out; with it as a second figure. Window
and prompt are the language server's and the engine's own, and so is the cache; only the network is left out: a request
fills the rows that the cache lacks with zeros. Nothing here depends on time, so the figures are the same on every
machine. `python -m benchmarks.prefix_cache` prints a table, then one line of JSON.

Left out: acceptance of real suggestions (the trace inserts fixed text), prefilling while the user pauses.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec
import torch

from benchmarks.header import ROOT, print_header
from benchmarks.replay import replay, request_of
from model.checkpoints.load import TOKENIZER_FILE, default_checkpoint, load_preset
from model.engine.prefix_cache import PrefixCache
from model.engine.prompting import LineEncoder, prepare
from model.network.config import NetworkConfig
from model.tokenizer import Tokenizer

BAR = 0.05
TRACE = ROOT / "benchmarks/data/typing_trace.json"


class Prompt(msgspec.Struct, frozen=True):
    """One event that led to a request: tokens of its prompt, and how many of them had to run."""

    what: str
    num_tokens: int
    num_rerun: int


def prompts_of(trace: dict[str, Any], checkpoint: Path) -> list[Prompt]:
    """What each request of the trace costs; the first stands for the opened document, before any event."""
    preset = load_preset(checkpoint)
    tokenizer = Tokenizer.load(checkpoint / TOKENIZER_FILE)
    encoder = LineEncoder(tokenizer)
    capacity = preset.context_tokens + 128  # as the engine's (model/engine/generation.py)
    cache = PrefixCache(preset.network, capacity=capacity, device="cpu", dtype=torch.float32)
    prompts: list[Prompt] = []
    for stroke in replay(trace):
        request = request_of(stroke, preset)
        if request is not None:
            ids = prepare(request, preset, tokenizer, encoder).prompt_ids
            num_missing = _run(cache, ids, preset.network)
            # What is speculated begins at the prompt's last row, which runs even if it is cached.
            num_rerun = max(num_missing, 1) if preset.sampling.completion == "speculate" else num_missing
            prompts.append(Prompt(stroke.what, len(ids), num_rerun))
    return prompts


def _run(cache: PrefixCache, ids: list[int], config: NetworkConfig) -> int:
    """A request without a network; gives the number of rows that the cache lacked."""
    with cache.lend(ids) as rows:
        num_missing = len(ids) - int(rows.lengths_B[0])
        zeros_LGNK = torch.zeros(config.num_layers, config.num_kv_heads, num_missing, config.d_head)
        rows.write(0, zeros_LGNK, zeros_LGNK)
        return num_missing


def share(prompts: list[Prompt]) -> float:
    return sum(prompt.num_rerun for prompt in prompts) / sum(prompt.num_tokens for prompt in prompts)


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmarks.prefix_cache", description=__doc__).parse_args()
    print_header("prefix_cache")
    prompts = prompts_of(json.loads(TRACE.read_text("utf-8")), default_checkpoint())
    print(f"{'event':10}{'count':>7}{'prompt tokens':>15}{'run':>7}{'a request':>11}{'most':>6}")
    for what in dict.fromkeys(prompt.what for prompt in prompts):
        group = [prompt for prompt in prompts if prompt.what == what]
        reruns = [prompt.num_rerun for prompt in group]
        num_tokens = sum(prompt.num_tokens for prompt in group)
        print(f"{what:10}{len(group):7}{num_tokens:15}{sum(reruns):7}{sum(reruns) / len(group):11.1f}{max(reruns):6}")
    result = {
        "reprefilled_share": round(share(prompts[1:]), 4),
        "reprefilled_share_with_cold": round(share(prompts), 4),
        "requests": len(prompts),
        "prompt_tokens": sum(prompt.num_tokens for prompt in prompts),
        "bar": BAR,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
