"""Denoising one canvas: the loop of passes over network and cache.

Every step is one forward pass (model/network/one_pass.py): the first prefills what the cache lacks of the prompt and
runs the first step, a commit runs together with the next block's first step, and may be verified in it (verify.py).
Source: this project's own design. Left out: the rules (run.py and below), several canvases at once (batch.py), CUDA
graphs.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch

from model.diffusion.canvas import Canvas
from model.diffusion.frames import Frame, Interruption, Result
from model.diffusion.healing import TakenBack
from model.diffusion.policy import Policy
from model.diffusion.reading import Reading, Request, read_logits
from model.diffusion.run import Finished, Run
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.network.transformer import Transformer

Expired = Callable[[], Interruption | None]


def denoise(
    network: Transformer,
    cache: KVCache,
    prompt_ids: Sequence[int],
    canvas: Canvas,
    policy: Policy,
    *,
    first_token_prefix: TakenBack | None = None,
    finished: Finished | None = None,
    expired: Expired | None = None,
) -> Iterator[Frame]:
    """One frame per step; the last one (and only it) has a result. Closing the iterator abandons the run.

    cache: batch 1; its counted rows must be those of a prefix of prompt_ids. At return it holds the rows of the whole
    prompt (if there was any pass) and behind them those of `result.committed_tokens` canvas tokens, which is every
    block but the last; `cache.truncate(len(prompt_ids))` leaves the prompt. With a healed token put back, that token
    is the first of the canvas. An abandoned run leaves some prefix of the same.
    first_token_prefix: what `heal` took from the end of the prompt (prompt_ids then lacks it). The canvas text begins
    with its bytes, in frames, in `finished` and in the result.
    finished: the stop rule. Given the final left run of canvas tokens, how many of them are the text, or None; asked
    after each step that changes the run (with extra edit steps: when a block is final).
    expired: asked before each pass; a reason ends the run by the anytime rule (run.py).
    Raises ValueError with one sentence if the cache is longer than the prompt or the canvas cannot be healed.
    """
    if policy.verify is not None and int(cache.lengths_B[0]) == len(prompt_ids):
        cache.truncate(max(0, len(prompt_ids) - 1))  # that row says the canvas's first token
    run = Run(
        prompt_ids,
        canvas,
        policy,
        cached_tokens=int(cache.lengths_B[0]),
        first_token_prefix=first_token_prefix,
        finished=finished,
    )
    if run.result is not None:
        yield run.frame()
        return
    while run.result is None:
        reason = "max_steps" if run.out_of_steps else expired() if expired is not None else None
        if reason is not None:
            yield run.interrupt(reason)
            return
        request = run.request()
        reading = run_pass(network, cache, request)
        yield run.absorb(request, reading)


def denoise_to_end(
    network: Transformer,
    cache: KVCache,
    prompt_ids: Sequence[int],
    canvas: Canvas,
    policy: Policy,
    *,
    first_token_prefix: TakenBack | None = None,
    finished: Finished | None = None,
    expired: Expired | None = None,
) -> Result:
    """The result of `denoise`, for callers that do not watch."""
    frames = denoise(
        network,
        cache,
        prompt_ids,
        canvas,
        policy,
        first_token_prefix=first_token_prefix,
        finished=finished,
        expired=expired,
    )
    return last_result(frames)


def last_result(frames: Iterable[Frame]) -> Result:
    """What a run ends with, for callers that do not watch."""
    result = None
    for frame in frames:
        result = frame.result
    assert result is not None
    return result


def run_pass(network: Transformer, cache: KVCache, request: Request) -> Reading:
    """The pass a run asked for: counts its clean rows in the cache and reads the rows it needs."""
    with torch.inference_mode():
        device = cache.k_LBGSK.device
        clean = None
        if request.clean_ids:
            clean = Rows(torch.tensor([request.clean_ids], device=device))
        noisy = Rows(torch.tensor([request.tokens], device=device), torch.tensor([request.states], device=device))
        verifier, num_clean = request.verifier, len(request.clean_ids)
        want_clean = 0 if verifier is None else verifier.num_wanted(num_clean)
        hidden_1CD, hidden_1ND = one_pass(network, cache, clean, noisy, want_clean=want_clean)
        assert hidden_1ND is not None
        if verifier is not None and hidden_1CD is not None:
            doubted = verifier.judge(network, hidden_1CD[0])
            if doubted is not None:
                cache.advance(num_clean - len(verifier.rows) + doubted)
                return Reading([], [], [], [], [], doubted=doubted)
        if num_clean:
            cache.advance(num_clean)
        hidden_MD = hidden_1ND[0]
        if len(request.asks) < len(request.tokens):
            hidden_MD = hidden_MD[torch.tensor([ask.index for ask in request.asks], device=device)]
        return read_logits(network.logits(hidden_MD), [request])[0]
