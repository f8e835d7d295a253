"""Do the compiled layers of a network give what its eager layers give?

Random tokens behind random prompts, one pass of each kind and of odd widths. The bound is the rounding of the number
format, so a wrong kernel is found and another order of summation is not. Left out: quality of text, which follows.
"""

import copy

import torch
from torch import Tensor

from model.network.compiled import CompiledLayers
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.network.transformer import Transformer

PASSES = ((2, 0, 2), (61, 3, 14), (256, 0, 33), (40, 1, 0), (507, 5, 64))  # cached, clean, noisy rows


def tolerance(dtype: torch.dtype) -> float:
    """The largest difference that rounding explains; two eager ways to compute the same differ by 1e-6 and 0.015."""
    return 1e-3 if dtype == torch.float32 else 0.05


@torch.inference_mode()
def largest_difference(network: Transformer, compiled: CompiledLayers) -> float:
    """Largest ‖compiled − eager‖ / ‖eager‖ of hidden rows, new keys and new values; NaN if any number is."""
    eager = _with(network, None)
    differences = []
    for seed, (num_cached, num_clean, num_noisy) in enumerate(PASSES):
        generator = torch.Generator().manual_seed(seed)
        prompt, clean, noisy = (
            torch.randint(network.config.vocab_size, (1, num), generator=generator)
            for num in (num_cached, num_clean, num_noisy)
        )
        states = torch.randint(1, 4, (1, num_noisy), generator=generator)
        cache = KVCache(network.config, dtype=network.embed.weight.dtype)
        one_pass(eager, cache, Rows(prompt), None, want_clean=0)
        cache.advance(num_cached)
        wanted, got = (
            _rows(each, cache.fork(1), Rows(clean) if num_clean else None, Rows(noisy, states) if num_noisy else None)
            for each in (eager, _with(network, compiled))
        )
        differences += [float((b - a).norm() / a.norm()) for a, b in zip(wanted, got, strict=True)]
    return float(torch.tensor(differences).max())


def _with(network: Transformer, compiled: CompiledLayers | None) -> Transformer:
    """The same network (its weights are shared) with or without compiled layers."""
    other = copy.copy(network)
    other.compiled = compiled
    return other


def _rows(network: Transformer, cache: KVCache, clean: Rows | None, noisy: Rows | None) -> list[Tensor]:
    start, num_clean = int(cache.lengths_B[0]), 0 if clean is None else clean.tokens_BT.shape[1]
    hidden = [rows.float() for rows in one_pass(network, cache, clean, noisy) if rows is not None]
    cache.advance(num_clean)
    return hidden + ([rows.float() for rows in cache.read(0, start, start + num_clean)] if num_clean else [])
