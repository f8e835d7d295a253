"""Denoising a canvas with a network in which every row sees every row: text before it, canvas, text behind it.

Nothing of such a network can be kept exactly: what stands before the canvas changes with what stands in it. So by
default each pass runs all rows. Two approximations keep the rows of what is not being written, made anew whenever the
next stretch of the canvas begins: "prefix" those before the stretch, "dual" also those behind it. Source: Fast-dLLM
(arXiv 2505.22618, §3.2), where "dual" is DualCache. Kept rows stand first in the cache, wherever they stand in the
text; positions say that. benchmarks/whole_cache.py measures what the approximations change. Left out: the rules
(whole_run.py), keeping rows for the next request.

Shapes: C clean rows, N noisy rows (here: rows that are kept, and rows that are not), M rows for the head, D width,
V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.diffusion.canvas import Canvas
from model.diffusion.frames import Frame, Interruption
from model.diffusion.healing import TakenBack
from model.diffusion.policy import Policy
from model.diffusion.reading import Request, read_logits
from model.diffusion.states import LOCKED
from model.diffusion.steps import PassRows
from model.diffusion.stop_rule import Finished
from model.diffusion.whole_run import WholeRun
from model.network.kv_cache import KVCache
from model.network.transformer import Transformer


class WholeSteps:
    """A WholeRun over its cache, as Steps (steps.py). The cache is emptied, and holds nothing worth keeping after."""

    def __init__(
        self,
        cache: KVCache,
        before_ids: Sequence[int],
        canvas: Canvas,
        after_ids: Sequence[int],
        policy: Policy,
        *,
        num_masks: int,
        first_token_prefix: TakenBack | None = None,
        finished: Finished | None = None,
    ) -> None:
        """before_ids, after_ids: the text around the canvas. The rest as in WholeRun and `denoise` (sampler.py)."""
        assert cache.config.attention == "full", "sampler.py writes the canvases of networks that see no text behind"
        self.cache = cache
        self._before_ids, self._after_ids = list(before_ids), list(after_ids)
        self._shift = int(cache.config.shift)
        self.run = WholeRun(
            canvas,
            policy,
            num_masks=num_masks,
            num_prompt=len(before_ids) + len(after_ids),
            first_token_prefix=first_token_prefix,
            finished=finished,
        )
        self._request: Request | None = None
        self._kept: tuple[int, ...] | None = None  # what the kept rows were made for
        self._plan()

    @property
    def out_of_steps(self) -> bool:
        return self.run.out_of_steps

    def frame(self) -> Frame:
        return self.run.frame()

    def ids(self) -> list[int]:
        """The whole sequence as it stands."""
        return [*self._before_ids, *(row.token for row in self.run.rows), *self._after_ids]

    def pass_rows(self) -> PassRows:
        self._request = self._request or self.run.request()
        ids, positions = self.ids(), [*self._first, *self._rest]
        num_before = len(self._before_ids)
        states = [row.state for row in self.run.rows]
        states = [*([LOCKED] * num_before), *states, *([LOCKED] * len(self._after_ids))]
        return PassRows(
            [ids[position] for position in self._first],
            0,
            [ids[position] for position in self._rest],
            [states[position] for position in self._rest],
            positions=positions,
            unit=0,
        )

    def count_ahead(self, num_rows: int) -> None:
        raise AssertionError("no row runs before the others: each sees all of them")

    def read(self, network: Transformer, hidden_CD: Tensor | None, hidden_ND: Tensor | None) -> Tensor | None:
        request = self._request
        assert request is not None
        assert hidden_ND is not None
        if self._first:
            self.cache.advance(len(self._first))
        # Nothing stands before the text's first token: like Dream's own code, a shifted network reads it at itself.
        before = len(self._before_ids) - self._shift
        rows = [max(0, before + ask.index) - self._rest[0] for ask in request.asks]
        return hidden_ND[torch.tensor(rows, device=hidden_ND.device)]

    def absorb(self, logits_MV: Tensor | None) -> Frame:
        request, self._request = self._request, None
        assert request is not None
        assert logits_MV is not None
        frame = self.run.absorb(request, read_logits(logits_MV, [request])[0])
        self._plan()
        return frame

    def interrupt(self, reason: Interruption) -> Frame:
        return self.run.interrupt(reason)

    def _plan(self) -> None:
        """What the next pass runs: `_first`, rows to be kept, and `_rest`, a range of rows; all others are kept."""
        run, caching = self.run, self.run.policy.caching
        num_before, num_canvas = len(self._before_ids), len(run.rows)
        num_all = num_before + num_canvas + len(self._after_ids)
        start, stop = max(0, num_before + run.start - self._shift), num_all
        if caching in ("none", "exact"):
            start = 0
        if caching == "dual":
            stop = num_before + run.stop
        # Rows behind a canvas that gets longer or shorter move: where they are kept they must be made anew.
        kept = (start, stop, num_all) if caching == "dual" else (start,)
        is_new = kept != self._kept
        self._kept = kept
        if is_new:
            self.cache.truncate(0)
        self._first = [*range(start), *range(stop, num_all)] if is_new else []
        self._rest = range(start, stop)
