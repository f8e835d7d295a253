"""Several canvases in one batch of passes, padded to the widest; each ends by itself.

In fp32 each text equals that of a lone run: padding changes no row, and noise depends on (seed, position, step) only.
`step_batch` is one pass over runs of any age, so a scheduler can let canvases join and leave between passes.
Left out: the scheduler (model/engine), prefix sharing between canvases, the rules of a run (run.py), and networks that
see the whole canvas or whose rows are shifted (steps.py runs those side by side).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.diffusion.canvas import Canvas
from model.diffusion.frames import Frame, Result
from model.diffusion.healing import TakenBack
from model.diffusion.policy import Policy
from model.diffusion.reading import Request, read_logits
from model.diffusion.run import Run
from model.diffusion.sampler import Expired
from model.diffusion.stop_rule import Finished
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.network.transformer import Transformer
from model.tokenizer import PAD


def denoise_batch(
    network: Transformer,
    cache: KVCache,
    prompts: Sequence[Sequence[int]],
    canvases: Sequence[Canvas],
    policy: Policy | Sequence[Policy],
    *,
    first_token_prefixes: Sequence[TakenBack | None] | None = None,
    finished: Sequence[Finished | None] | None = None,
    expired: Expired | None = None,
) -> list[Result]:
    """One result per canvas. cache: batch size = number of canvases, each element as in `denoise`; one policy or one
    each.

    At return the cache holds at least every prompt (where a pass was needed) and maybe committed canvas tokens behind
    it.
    expired: asked before each pass, for all canvases at once. Raises ValueError when the numbers do not agree.
    """
    assert cache.config.attention != "full", "such a network runs by steps.py"
    assert not cache.config.shift, "such a network runs by steps.py"
    num = len(prompts)
    policies = [policy] * num if isinstance(policy, Policy) else list(policy)
    prefixes = [None] * num if first_token_prefixes is None else list(first_token_prefixes)
    rules = [None] * num if finished is None else list(finished)
    counts = {num, len(canvases), len(policies), len(prefixes), len(rules), cache.batch_size}
    if len(counts) > 1:
        raise ValueError(
            f"prompts, canvases, policies, prefixes, stop rules and cache must agree, got {sorted(counts)}"
        )
    cached = cache.lengths_B.tolist()
    if any(each.verify is not None for each in policies):
        # The last row of a prompt says the canvas's first token (sampler.py).
        cached = [min(n, max(0, len(prompt) - 1)) for n, prompt in zip(cached, prompts, strict=True)]
        cache.truncate(cached)
    runs = [
        Run(
            prompts[b],
            canvases[b],
            policies[b],
            cached_tokens=cached[b],
            first_token_prefix=prefixes[b],
            finished=rules[b],
            unit=cache.config.cache_unit,
        )
        for b in range(num)
    ]
    alive: list[Run | None] = list(runs)
    while True:
        reason = expired() if expired is not None else None
        for run in runs:
            if run.result is None and (reason is not None or run.out_of_steps):
                run.interrupt(reason or "max_steps")
        alive = [run if run is not None and run.result is None else None for run in alive]
        places = [b for b, run in enumerate(alive) if run is not None]
        if not places:
            break
        # Ended canvases are dead rows of every pass; at half of the batch a copy of the living ones is cheaper.
        if 2 * len(places) <= len(alive):
            cache = cache.pick(places)
            alive = [alive[b] for b in places]
        step_batch(network, cache, alive)
    results = [run.result for run in runs]
    return [result for result in results if result is not None]


def step_batch(network: Transformer, cache: KVCache, runs: Sequence[Run | None]) -> list[Frame | None]:
    """One pass and one step for every run that is there and has no result; cache element b belongs to runs[b]."""
    requests = [run.request() if run is not None and run.result is None else None for run in runs]
    device = cache.k_LBGSK.device
    clean_ids = [[] if r is None else r.clean_ids for r in requests]
    tokens = [[] if r is None else r.tokens for r in requests]
    states = [[] if r is None else r.states for r in requests]
    asked = [r for r in requests if r is not None]
    if not asked:
        return [None] * len(runs)
    with torch.inference_mode():
        clean = None
        if any(clean_ids):
            clean = Rows(_padded(clean_ids, PAD, device), None, _lengths(clean_ids))
        noisy = Rows(_padded(tokens, PAD, device), _padded(states, 0, device), _lengths(tokens))
        is_verified = any(r.verifier is not None for r in asked)
        hidden_BCD, hidden_BND = one_pass(network, cache, clean, noisy, want_clean=None if is_verified else 0)
        assert hidden_BND is not None
        doubted = [None if r is None else _doubted(network, r, hidden_BCD, b) for b, r in enumerate(requests)]
        cache.advance([_num_counted(ids, r, place) for ids, r, place in zip(clean_ids, requests, doubted, strict=True)])
        width = hidden_BND.shape[1]
        rows = [b * width + ask.index for b, r in enumerate(requests) if r is not None for ask in r.asks]
        hidden_MD = hidden_BND.flatten(0, 1)[torch.tensor(rows, device=device)]
        readings = iter(read_logits(network.logits(hidden_MD), asked))
    frames: list[Frame | None] = []
    for run, request, place in zip(runs, requests, doubted, strict=True):
        if run is None or request is None:
            frames.append(None)
            continue
        reading = next(readings)
        reading.doubted = place
        frames.append(run.absorb(request, reading))
    return frames


def _doubted(network: Transformer, request: Request, hidden_BCD: Tensor | None, element: int) -> int | None:
    """Which of the rows to commit is doubtful (verify.py); hidden_BCD: all clean rows of the pass."""
    verifier, num_clean = request.verifier, len(request.clean_ids)
    if verifier is None or hidden_BCD is None or not num_clean:
        return None
    return verifier.judge(network, hidden_BCD[element, num_clean - verifier.num_wanted(num_clean) : num_clean])


def _num_counted(clean_ids: list[int], request: Request | None, doubted: int | None) -> int:
    if request is None or request.verifier is None or doubted is None:
        return len(clean_ids)
    return len(clean_ids) - len(request.verifier.rows) + doubted


def _padded(rows: list[list[int]], padding: int, device: torch.device) -> Tensor:
    width = max(len(row) for row in rows)
    return torch.tensor([row + [padding] * (width - len(row)) for row in rows], device=device)


def _lengths(rows: list[list[int]]) -> Tensor:
    return torch.tensor([len(row) for row in rows])
