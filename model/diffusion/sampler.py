"""Denoising one canvas: the loop of passes over network and cache.

Every step is one forward pass (model/network/one_pass.py): the first prefills what the cache lacks of the prompt and
runs the first step, a commit runs together with the next block's first step, and may be verified in it (verify.py).
Where hidden row i says token i + 1 (networks made from next-token ones, which keep that shift), a block's first row is
read at the last clean row before it. Source: this project's own design. Left out: the rules (run.py and below), the
passes (steps.py), networks that see the whole canvas (whole.py), CUDA graphs.

Shapes: C clean rows that are wanted, N noisy rows, M rows for the head, D width, V vocabulary.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from model.diffusion.canvas import Canvas
from model.diffusion.frames import Frame, Interruption, Result
from model.diffusion.healing import TakenBack
from model.diffusion.policy import Policy
from model.diffusion.reading import Reading, Request, read_logits
from model.diffusion.run import Run
from model.diffusion.steps import Expired, PassRows, run_alone
from model.diffusion.stop_rule import Finished
from model.network.kv_cache import KVCache
from model.network.transformer import Transformer


class BlockSteps:
    """A Run over its cache, as Steps (steps.py)."""

    def __init__(
        self,
        cache: KVCache,
        prompt_ids: Sequence[int],
        canvas: Canvas,
        policy: Policy,
        *,
        first_token_prefix: TakenBack | None = None,
        finished: Finished | None = None,
    ) -> None:
        """As `denoise`."""
        config = cache.config
        assert config.attention != "full", "whole.py writes the canvases of networks that see all of them"
        num_whole = len(prompt_ids) // config.cache_unit * config.cache_unit
        if config.cache_unit > 1:
            cache.truncate(min(num_whole, int(cache.lengths_B[0])))
        if (config.shift or policy.verify is not None) and int(cache.lengths_B[0]) == num_whole:
            cache.truncate(max(0, num_whole - config.cache_unit))  # the last row says the canvas's first token
        self.cache = cache
        self._unit, self._shift = config.cache_unit, config.shift
        self._before_1D: Tensor | None = None  # with shift: hidden clean row of the last token before the block
        self.run = Run(
            prompt_ids,
            canvas,
            policy,
            cached_tokens=int(cache.lengths_B[0]),
            first_token_prefix=first_token_prefix,
            finished=finished,
            unit=config.cache_unit,
        )
        self._request: Request | None = None
        self.doubted: int | None = None

    @property
    def out_of_steps(self) -> bool:
        return self.run.out_of_steps

    def frame(self) -> Frame:
        return self.run.frame()

    def pass_rows(self) -> PassRows:
        request = self._request = self._request or self.run.request()
        verifier, num_clean = request.verifier, len(request.clean_ids)
        num_wanted = min(int(self._shift), num_clean) if verifier is None else verifier.num_wanted(num_clean)
        return PassRows(request.clean_ids, num_wanted, request.tokens, request.states, unit=self._unit)

    def count_ahead(self, num_rows: int) -> None:
        self.run.count_ahead(num_rows)
        self._request = None

    def read(self, network: Transformer, hidden_CD: Tensor | None, hidden_ND: Tensor | None) -> Tensor | None:
        request = self._request
        assert request is not None
        assert hidden_ND is not None
        verifier, num_clean = request.verifier, len(request.clean_ids)
        self.doubted = None
        if verifier is not None and hidden_CD is not None:
            self.doubted = verifier.judge(network, hidden_CD)
            if self.doubted is not None:
                self.cache.advance(num_clean - len(verifier.rows) + self.doubted)
                return None
        if num_clean:
            self.cache.advance(num_clean)
        if self._shift:
            if hidden_CD is not None:
                self._before_1D = hidden_CD[-1:]
            # Nothing stands before the text's first token: like Dream's own code, it is read at itself.
            before_1D = hidden_ND[:1] if self._before_1D is None else self._before_1D
            hidden_ND = torch.cat((before_1D, hidden_ND[:-1]))
        if len(request.asks) == len(request.tokens):
            return hidden_ND
        return hidden_ND[torch.tensor([ask.index for ask in request.asks], device=hidden_ND.device)]

    def absorb(self, logits_MV: Tensor | None) -> Frame:
        request, self._request = self._request, None
        assert request is not None
        if logits_MV is None:
            return self.run.absorb(request, Reading([], [], [], [], [], doubted=self.doubted))
        return self.run.absorb(request, read_logits(logits_MV, [request])[0])

    def interrupt(self, reason: Interruption) -> Frame:
        return self.run.interrupt(reason)


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
    block but the last; `cache.truncate(len(prompt_ids))` leaves the prompt (of a block-causal network its whole units,
    and all rows are those of whole units). With a healed token put back, that token
    is the first of the canvas. An abandoned run leaves some prefix of the same.
    first_token_prefix: what `heal` took from the end of the prompt (prompt_ids then lacks it). The canvas text begins
    with its bytes, in frames, in `finished` and in the result.
    finished: the stop rule. Given the final left run of canvas tokens, how many of them are the text, or None; asked
    after each step that changes the run (with extra edit steps: when a block is final).
    expired: asked before each pass; a reason ends the run by the anytime rule (run.py).
    Raises ValueError with one sentence if the cache is longer than the prompt or the canvas cannot be healed.
    """
    steps = BlockSteps(cache, prompt_ids, canvas, policy, first_token_prefix=first_token_prefix, finished=finished)
    return run_alone(network, steps, expired)


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
