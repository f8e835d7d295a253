"""An edit at several thresholds, one after the other; the clean stream then says which text it finds likeliest.

A threshold that is low enough for a difficult edit spoils an easy one, and the noisy stream, row by row, does not see
what a text as a whole is worth. So the canvas is written once with each policy, texts that are not sound are dropped,
and what is left is read by the clean stream behind the prompt, the old text among them: if that is the likeliest,
nothing changes. With a seed the answer is another of the texts that were found. Source: this project; proposals that
the model itself judges as in mending (model/mending). Left out: what is sound (the caller knows the language).

Shapes: C clean rows that are wanted, N noisy rows, M rows for the head, D width, V vocabulary.
"""

from collections.abc import Callable, Sequence

import msgspec
import torch
from torch import Tensor

from model.diffusion.canvas import Canvas
from model.diffusion.frames import Frame, Interruption, Reason, Result
from model.diffusion.policy import Policy
from model.diffusion.sampler import BlockSteps
from model.diffusion.steps import PassRows
from model.network.kv_cache import KVCache
from model.network.transformer import Transformer
from model.tokenizer import EOM, NUM_RESERVED

IsSound = Callable[[Sequence[int]], bool]


class JudgedSteps:
    """As Steps (steps.py): first a run for each policy, then a pass for each text that was found, and the old one."""

    def __init__(
        self,
        cache: KVCache,
        prompt_ids: Sequence[int],
        canvas: Canvas,
        policies: Sequence[Policy],
        *,
        is_sound: IsSound,
    ) -> None:
        """canvas: closed, without masks. is_sound: of the text tokens of a whole canvas."""
        assert policies, "an edit needs a threshold"
        self.cache = cache
        self._prompt_ids, self._canvas, self._is_sound = list(prompt_ids), canvas, is_sound
        self._old = canvas.ids[:-1]
        self._seed = policies[0].seed
        self._policies = list(policies)
        self._found: dict[tuple[int, ...], Result] = {}
        self._likelihoods: dict[tuple[int, ...], float] = {}  # log p, the end included
        self._num_steps = self._num_forwards = 0
        self._cached_tokens = int(cache.lengths_B[0])
        self._writer: BlockSteps | None = self._next_writer()
        self._shown = self._writer.frame()

    @property
    def out_of_steps(self) -> bool:
        return self._writer is not None and self._writer.out_of_steps

    def frame(self) -> Frame:
        return self._shown

    def pass_rows(self) -> PassRows:
        if self._writer is not None:
            return self._writer.pass_rows()
        ids = self._to_judge()
        return PassRows([self._prompt_ids[-1], *ids], num_wanted=1 + len(ids))

    def count_ahead(self, num_rows: int) -> None:
        assert self._writer is not None, "a text is judged in one pass"
        self._writer.count_ahead(num_rows)

    def read(self, network: Transformer, hidden_CD: Tensor | None, hidden_ND: Tensor | None) -> Tensor | None:
        return hidden_CD if self._writer is None else self._writer.read(network, hidden_CD, hidden_ND)

    def absorb(self, logits_MV: Tensor | None) -> Frame:
        self._num_forwards += 1
        if self._writer is not None:
            self._follow(self._writer, self._writer.absorb(logits_MV))
        else:
            assert logits_MV is not None
            self._judge(logits_MV)
        return self._shown

    def interrupt(self, reason: Interruption) -> Frame:
        """The last text that was found stands, unjudged; without one it ends as its run does."""
        if self._found:
            self._end(next(reversed(self._found)), reason)
        elif self._writer is not None:
            self._show(self._writer.interrupt(reason))
        return self._shown

    def _next_writer(self) -> BlockSteps:
        self.cache.truncate(min(len(self._prompt_ids), int(self.cache.lengths_B[0])))
        return BlockSteps(self.cache, self._prompt_ids, self._canvas, self._policies.pop(0))

    def _follow(self, writer: BlockSteps, frame: Frame) -> None:
        """After a step of a run: on with it, with the next one, or with the judging."""
        result = frame.result
        if result is None:
            self._show(frame)
            return
        self._num_steps += result.steps
        if result.usable and result.ids != self._old and result.ids not in self._found and self._is_sound(result.ids):
            self._found[result.ids] = result
        self._show(msgspec.structs.replace(frame, step=0, result=None))
        if self._policies:
            self._writer = self._next_writer()
            return
        self._writer = None
        if not self._found:
            self._end(self._old, "eom")
            return
        self.cache.truncate(len(self._prompt_ids) - 1)  # whose last row says a text's first token

    def _to_judge(self) -> tuple[int, ...]:
        return next(ids for ids in (*self._found, self._old) if ids not in self._likelihoods)

    def _judge(self, logits_CV: Tensor) -> None:
        ids = self._to_judge()
        eom_C = logits_CV[:, EOM].clone()
        logits_CV[:, :NUM_RESERVED] = -torch.inf
        logits_CV[:, EOM] = eom_C
        index_C1 = torch.tensor([*ids, EOM], device=logits_CV.device).unsqueeze(1)
        self._likelihoods[ids] = float(logits_CV.log_softmax(-1).gather(1, index_C1).sum())
        if len(self._likelihoods) > len(self._found):
            self.cache.advance(1)
            self._end(self._choice(), "eom")

    def _choice(self) -> tuple[int, ...]:
        """The likeliest text; with a seed the one so many places behind the likeliest new one, round and round."""
        if self._seed == 0:
            return max(self._likelihoods, key=self._likelihoods.__getitem__)
        ranked = sorted(self._found, key=self._likelihoods.__getitem__, reverse=True)
        return ranked[self._seed % len(ranked)]

    def _show(self, frame: Frame) -> None:
        """Steps count through all runs."""
        result = frame.result
        if result is not None:
            result = msgspec.structs.replace(
                result,
                steps=self._num_steps + result.steps,
                forwards=self._num_forwards,
                cached_tokens=self._cached_tokens,
            )
        self._shown = msgspec.structs.replace(frame, step=self._num_steps + frame.step, result=result)

    def _end(self, ids: tuple[int, ...], reason: Reason) -> None:
        found = self._found.get(ids)
        result = Result(
            ids=ids,
            reason=reason,
            complete=reason == "eom",
            usable=True,
            confidence=1.0 if found is None else found.confidence,
            steps=self._num_steps,
            forwards=self._num_forwards,
            prompt_tokens=len(self._prompt_ids),
            cached_tokens=self._cached_tokens,
            committed_tokens=0,
        )
        self._shown = Frame(
            step=self._num_steps, committed=ids, block_ids=(), block_states=(), confidences=(), moves=(), result=result
        )
