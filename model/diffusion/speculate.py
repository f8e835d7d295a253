"""Lossless decoding: a few tokens are guessed, and the clean stream checks all of them in one pass.

Each pass runs the guessed tokens as clean rows, which say what the clean stream itself writes there. What was guessed
right counts at once, and the first wrong token is replaced by the right one: so the text is the clean stream's, token
by token, in fewer passes. Guesses come from the text itself (lookup.py), or from outside: the last ghost text, a line
from nearby, which one pass accepts up to its first doubtful token. Source: speculative decoding (Leviathan et al.,
arXiv 2211.17192). Left out: guesses of the noisy stream (they were right less often, and cost rows), edits and locked
text (run.py), the passes (steps.py).

Shapes: C rows that the clean stream is read at, D width, V vocabulary.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from model.diffusion.frames import Frame, Interruption, Reason, Result
from model.diffusion.healing import TakenBack
from model.diffusion.lookup import Lookup
from model.diffusion.policy import Policy
from model.diffusion.reading import HEALED_FLOOR, Sampling, draw
from model.diffusion.states import DRAFT
from model.diffusion.steps import Expired, PassRows, run_alone
from model.diffusion.stop_rule import Finished
from model.diffusion.verify import doubtful
from model.network.kv_cache import KVCache
from model.network.transformer import Transformer
from model.tokenizer import EOM, NUM_RESERVED

MAX_GUESS = 48
"""Tokens of a guess from outside that one pass checks."""


def speculate(
    network: Transformer,
    cache: KVCache,
    prompt_ids: Sequence[int],
    policy: Policy,
    *,
    max_tokens: int,
    guess_ids: Sequence[int] = (),
    first_token_prefix: TakenBack | None = None,
    finished: Finished | None = None,
    expired: Expired | None = None,
    may_end: bool = True,
) -> Iterator[Frame]:
    """One frame a pass; the last one (and only it) has a result. Closing the iterator abandons the run.

    Arguments and the cache at return are those of `denoise` (sampler.py); of the policy only num_drafts, doubt,
    max_steps and sampling count, and steps are passes. guess_ids: a text that the canvas may begin with.
    may_end=False forbids `<eom>`. Raises ValueError if the prompt is empty or the cache longer than it.
    """
    steps = SpeculateSteps(
        cache,
        prompt_ids,
        policy,
        max_tokens=max_tokens,
        guess_ids=guess_ids,
        first_token_prefix=first_token_prefix,
        finished=finished,
        may_end=may_end,
    )
    return run_alone(network, steps, expired)


class SpeculateSteps:
    """The text so far and what the next pass runs, as Steps (steps.py). `reason` is None until the text has ended."""

    def __init__(
        self,
        cache: KVCache,
        prompt_ids: Sequence[int],
        policy: Policy,
        *,
        max_tokens: int,
        guess_ids: Sequence[int] = (),
        first_token_prefix: TakenBack | None = None,
        finished: Finished | None = None,
        may_end: bool = True,
    ) -> None:
        """As `speculate`."""
        num_cached = int(cache.lengths_B[0])
        if not prompt_ids or num_cached > len(prompt_ids):
            raise ValueError(f"the cache holds {num_cached} rows, but the prompt has only {len(prompt_ids)} tokens")
        # The last row of the prompt says the first token, so it runs even if it is cached.
        cache.truncate(min(num_cached, len(prompt_ids) - 1))
        self.cache = cache
        self.reason: Reason | None = None if max_tokens else "length"
        self.complete = True
        self.num_passes = 0
        self._policy = policy
        self._max_tokens, self._taken_back = max_tokens, first_token_prefix
        self._finished, self._may_end = finished, may_end
        self._num_prompt, self._num_cached = len(prompt_ids), int(cache.lengths_B[0])
        self._pending = list(prompt_ids[self._num_cached :])  # final tokens without a row in the cache
        self._ids: list[int] = []
        self._num_put_back = 0
        self._log_ps: list[float | None] = []
        self._lookup = Lookup(prompt_ids)
        self.is_given = bool(guess_ids)  # whether the guess came from outside
        self.guess = list(guess_ids[:MAX_GUESS]) if guess_ids else self._lookup.following(policy.num_drafts)

    @property
    def out_of_steps(self) -> bool:
        return self._policy.max_steps is not None and self.num_passes >= self._policy.max_steps

    def pass_rows(self) -> PassRows:
        return PassRows([*self._pending, *self.guess], num_wanted=1 + len(self.guess))

    def count_ahead(self, num_rows: int) -> None:
        del self._pending[:num_rows]

    def read(self, network: Transformer, hidden_CD: Tensor | None, hidden_ND: Tensor | None) -> Tensor | None:
        return hidden_CD

    def absorb(self, logits_MV: Tensor | None) -> Frame:
        """Checks the guess, writes at least one token, guesses anew."""
        assert logits_MV is not None
        num_pending = len(self._pending)
        self.num_passes += 1
        self._ban(logits_MV)
        num_accepted = self._write(logits_MV) if self._ids or self._heals(logits_MV[0]) else 0
        # The rows of a text that has ended serve nobody: the last tokens may be cut off by the stop rule.
        self.cache.advance(num_pending + (num_accepted if self.reason is None else 0))
        if self.reason is None:
            self._pending = [self._ids[-1]]
            for token in self._ids[len(self._ids) - num_accepted - 1 :]:
                self._lookup.add(token)
            self.guess, self.is_given = self._lookup.following(self._policy.num_drafts), False
        return self.frame()

    def interrupt(self, reason: Interruption) -> Frame:
        self.reason, self.complete = reason, False
        return self.frame()

    def frame(self) -> Frame:
        guess = tuple(self.guess) if self.reason is None else ()
        return Frame(
            step=self.num_passes,
            committed=tuple(self._ids),
            block_ids=guess,
            block_states=(DRAFT,) * len(guess),
            confidences=(0.0,) * len(guess),  # nobody has read them yet
            moves=(),
            result=None if self.reason is None else self._result(self.reason),
        )

    def _ban(self, logits_CV: Tensor) -> None:
        """-inf at the labels that the clean stream never has."""
        eom_C = logits_CV[:, EOM].clone()
        logits_CV[:, :NUM_RESERVED] = -torch.inf
        if self._may_end:
            logits_CV[:, EOM] = eom_C
            # An empty text is no answer (Block.begins_canvas). The rows stand behind the text and each of the guesses.
            blank = self._policy.blank_ids
            if all(token in blank for token in self._ids[self._num_put_back :]):
                num_blank = next((n for n, token in enumerate(self.guess) if token not in blank), len(self.guess))
                logits_CV[: 1 + num_blank, EOM] = -torch.inf

    def _heals(self, logits_V: Tensor) -> bool:
        """Leaves the first token only those that go on with the typed bytes. False: these are too improbable, and the
        token that was taken back stands again (it counts as canvas text, as in run.py).
        """
        if self._taken_back is None:
            return True
        allowed = torch.from_numpy(self._taken_back.allowed_ids).to(logits_V.device)
        kept = logits_V[allowed]
        if float((kept.logsumexp(0) - logits_V.logsumexp(0)).exp()) < HEALED_FLOOR:
            self._ids.append(self._taken_back.token)
            self._log_ps.append(None)
            self._max_tokens += 1
            self._num_put_back = 1
            return False
        logits_V.fill_(-torch.inf)
        logits_V[allowed] = kept
        return True

    def _write(self, logits_CV: Tensor) -> int:
        """Writes the guess as far as it holds and the clean stream's token behind it; the number of guessed ones."""
        log_p_CV = logits_CV.log_softmax(dim=-1)
        best_C: list[int] = log_p_CV.argmax(dim=-1).tolist()
        for row, guessed in enumerate(self.guess):
            token = self._token(logits_CV, best_C, row)
            if token != guessed and not (self.is_given and self._passes(log_p_CV[row], guessed)):
                self._put(token, log_p_CV[row])
                return row
            self._put(guessed, log_p_CV[row])
            if self.reason is not None:
                return row
        row = len(self.guess)
        self._put(self._token(logits_CV, best_C, row), log_p_CV[row])
        return row

    def _token(self, logits_CV: Tensor, best_C: list[int], row: int) -> int:
        """What the clean stream writes; whether the text ends is never drawn."""
        policy = self._policy
        if policy.temperature == 0 or best_C[row] == EOM:
            return best_C[row]
        logits_1V = logits_CV[row : row + 1]
        # The noise depends on the position alone, so a token does not depend on how many were guessed before it.
        sampling = Sampling(policy.temperature, policy.top_p, policy.seed, step=0)
        return draw(logits_1V, logits_1V.logsumexp(dim=-1), [len(self._ids)], sampling)[0][0]

    def _passes(self, log_p_V: Tensor, token: int) -> bool:
        """Whether a token from outside may stand although the clean stream would write another."""
        doubt = self._policy.doubt
        return doubt is not None and not doubtful(log_p_V.unsqueeze(0), [token], doubt)[0]

    def _put(self, token: int, log_p_V: Tensor) -> None:
        """Appends a token and sees whether the text ends with it."""
        if token == EOM:
            self.reason = "eom"
            return
        self._ids.append(token)
        self._log_ps.append(float(log_p_V[token]))
        num_kept = self._finished(self._ids) if self._finished is not None else None
        if num_kept is not None:
            self.reason = "stop"
            del self._ids[num_kept:], self._log_ps[num_kept:]
        elif len(self._ids) >= self._max_tokens:
            self.reason = "length"

    def _result(self, reason: Reason) -> Result:
        known = [log_p for log_p in self._log_ps if log_p is not None]
        return Result(
            ids=tuple(self._ids),
            reason=reason,
            complete=self.complete,
            usable=True,
            confidence=math.exp(sum(known) / len(known)) if known else 1.0,
            steps=self.num_passes,
            forwards=self.num_passes,
            prompt_tokens=self._num_prompt,
            cached_tokens=self._num_cached,
            committed_tokens=max(0, int(self.cache.lengths_B[0]) - self._num_prompt),
        )
