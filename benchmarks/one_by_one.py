"""Greedy decoding one token at a time, for whoever computes the logits: the same rules as the clean stream's own.

The rules are those of `Decoder.complete_clean` (model/evaluation/decode.py): reserved labels never, an empty text
never, a broken token healed, the engine's stop rule and limit. They run on numpy, a few microseconds a token, so that
neither our clean stream nor llama.cpp pays for more Python than it needs. Left out: the passes.
"""

import numpy as np

from benchmarks.lines import Line, Task
from model.diffusion.reading import HEALED_FLOOR
from model.engine.stopping import answer_text, stop_for
from model.tokenizer import EOM, NUM_RESERVED


class GreedyLine:
    """One line on its way: `run` holds the ids that the next pass must run; empty when the line is finished."""

    def __init__(self, task: Task, token_bytes: tuple[bytes, ...], num_cached: int) -> None:
        self.run: list[int] = task.prepared.prompt_ids[num_cached:]
        self._task, self._token_bytes = task, token_bytes
        self._check = None if task.request.stop == "eom" else stop_for(task.prepared, task.request, token_bytes)
        self._limit = task.prepared.canvas.max_tokens
        self._taken_back = task.prepared.taken_back
        self._ids: list[int] = []
        self._num_written = 0
        self._is_blank = True
        self._reason = "length"

    def take(self, logits_V: np.ndarray) -> None:
        """The logits of the last id of `run`: writes a token."""
        token = self._choose(logits_V)
        self.run = []
        if token == EOM:
            self._reason = "eom"
            return
        self._ids.append(token)
        if self._num_written:  # else the token that was taken back stands again, which is no new text
            num_kept = self._check(self._ids) if self._check is not None else None
            if num_kept is not None:
                self._reason = "stop"
                del self._ids[num_kept:]
                return
        if len(self._ids) < self._limit:
            self.run = [token]

    def finish(self, forwards: int) -> Line:
        ids = tuple(self._ids)
        num_typed = len(self._taken_back.typed) if self._taken_back else 0
        text = answer_text(self._token_bytes, ids, self._reason, stop=self._check, num_typed=num_typed)
        return Line(ids, text, forwards)

    def _choose(self, logits_V: np.ndarray) -> int:
        if self._taken_back is not None and not self._ids:
            allowed = self._taken_back.allowed_ids
            kept = logits_V[allowed]
            if np.exp(_log_sum(kept) - _log_sum(logits_V[NUM_RESERVED:])) < HEALED_FLOOR:
                self._limit += 1
                return self._taken_back.token
            self._num_written += 1
            self._is_blank = False
            return int(allowed[kept.argmax()])
        best = NUM_RESERVED + int(logits_V[NUM_RESERVED:].argmax())
        if not self._is_blank and logits_V[EOM] > logits_V[best]:
            return EOM
        self._num_written += 1
        self._is_blank = self._is_blank and best in self._task.prepared.policy.blank_ids
        return best


def _log_sum(logits: np.ndarray) -> float:
    highest = logits.max()
    return float(highest + np.log(np.exp(logits - highest).sum()))
