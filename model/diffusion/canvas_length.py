"""How many masks a canvas of fixed length gets: one look at each of several lengths, the most confident one goes on.

Source: CAL (Liu et al., "Diffusion LMs Can Approximate Optimal Infilling Lengths Implicitly", arXiv 2602.00476,
algorithm 1 and appendix A): the mean probability of the best labels of a canvas of masks, before anything is written,
peaks near the right length once it is divided by its usual value at that length. The search climbs in both directions
and gives a direction up after PATIENCE lengths that are no better. Left out: fitting the usual value to each network
(the authors use one fit for LLaDA, Dream-Coder and DiffuCoder), several holes, canvases with nothing behind them (there
the end of the text says the length).

Shapes: C clean rows, N noisy rows, M rows for the head, D width, V vocabulary.
"""

import math
from collections.abc import Generator, Sequence

import msgspec
from torch import Tensor

from model.diffusion.canvas import Canvas
from model.diffusion.frames import Frame, Interruption
from model.diffusion.healing import TakenBack
from model.diffusion.policy import MAX_CANVAS, Policy
from model.diffusion.reading import read_logits
from model.diffusion.states import MASKED
from model.diffusion.steps import PassRows
from model.diffusion.stop_rule import Finished
from model.diffusion.whole import WholeSteps
from model.network.kv_cache import KVCache
from model.network.transformer import Transformer

START, MOST_MASKS, PATIENCE = 8, 64, 4
"""The authors' own values."""

Search = Generator[int, float, int]


class ProbedSteps:
    """Looks, then WholeSteps, as Steps (steps.py). The search starts at START masks."""

    def __init__(
        self,
        cache: KVCache,
        before_ids: Sequence[int],
        canvas: Canvas,
        after_ids: Sequence[int],
        policy: Policy,
        *,
        first_token_prefix: TakenBack | None = None,
        finished: Finished | None = None,
    ) -> None:
        """As WholeSteps; the canvas grows."""
        assert canvas.grows, "a canvas that does not grow has a length"
        self.cache = cache
        self._texts = before_ids, canvas, after_ids
        self._policy, self._taken_back, self._finished = policy, first_token_prefix, finished
        self.num_looks = 0
        most = min(MOST_MASKS, canvas.max_tokens - len(canvas.ids))
        self._search: Search | None = climb(min(START, most), most) if most > 1 else None
        self._steps = self._with(most, policy) if self._search is None else self._look(next(self._search))

    @property
    def out_of_steps(self) -> bool:
        return self._steps.out_of_steps

    def frame(self) -> Frame:
        return self._counted(self._steps.frame())

    def pass_rows(self) -> PassRows:
        return self._steps.pass_rows()

    def count_ahead(self, num_rows: int) -> None:
        self._steps.count_ahead(num_rows)

    def read(self, network: Transformer, hidden_CD: Tensor | None, hidden_ND: Tensor | None) -> Tensor | None:
        return self._steps.read(network, hidden_CD, hidden_ND)

    def absorb(self, logits_MV: Tensor | None) -> Frame:
        if self._search is None:
            return self._counted(self._steps.absorb(logits_MV))
        assert logits_MV is not None
        self.num_looks += 1
        request = self._steps.run.request()
        reading = read_logits(logits_MV, [request])[0]
        masks = [m for m, ask in enumerate(request.asks) if request.states[ask.index] == MASKED]
        score = sum(reading.p[m] for m in masks) / len(masks) / usual_confidence(len(masks))
        try:
            self._steps = self._look(self._search.send(score))
        except StopIteration as end:
            self._search = None
            self._steps = self._with(end.value, self._policy)
        return self.frame()

    def interrupt(self, reason: Interruption) -> Frame:
        return self._counted(self._steps.interrupt(reason))

    def _look(self, num_masks: int) -> WholeSteps:
        # All masks are looked at; nothing is drawn, nothing ends.
        return self._with(num_masks, msgspec.structs.replace(self._policy, block=MAX_CANVAS, temperature=0.0))

    def _with(self, num_masks: int, policy: Policy) -> WholeSteps:
        before_ids, canvas, after_ids = self._texts
        return WholeSteps(
            self.cache,
            before_ids,
            canvas,
            after_ids,
            policy,
            num_masks=num_masks,
            first_token_prefix=self._taken_back,
            finished=self._finished,
        )

    def _counted(self, frame: Frame) -> Frame:
        """The frame, whose result says that the looks were passes too."""
        result = frame.result
        if result is None:
            return frame
        return msgspec.structs.replace(
            frame, result=msgspec.structs.replace(result, forwards=result.forwards + self.num_looks)
        )


def climb(start: int, most: int) -> Search:
    """Gives lengths, takes their scores, ends with the best length."""
    best, best_score = start, (yield start)
    for step in (1, -1):
        length, num_worse = start + step, 0
        while 1 <= length <= most and num_worse < PATIENCE:
            score = yield length
            num_worse += 1
            if score > best_score:
                best, best_score, num_worse = length, score, 0
            length += step
    return best


def usual_confidence(num_masks: int) -> float:
    """What the mean probability usually is at a length that is not the right one (appendix A; the authors' fit)."""
    return 1.00 * math.exp(-1.77 * num_masks) + 0.56 * math.exp(-0.06 * num_masks) + 0.24
