"""What a checkpoint writes at a place in a document: denoised, by its clean stream token by token, or speculated.

Prompts, windows, stop rules and thresholds are the engine's own (model/engine/prompting.py, stopping.py), so scores are
those of what a user gets. Length protocols: *free* = the model ends the text, *oracle* = the number of tokens of the
true text is given (both streams). Left out: batching, sampling, alternatives, and scores (metrics.py).
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
import torch
from torch import Tensor

from model.checkpoints.load import Checkpoint
from model.diffusion.canvas import draft_canvas, known_length_canvas
from model.diffusion.frames import Result
from model.diffusion.objective import allowed_labels
from model.diffusion.policy import Policy
from model.diffusion.sampler import last_result
from model.diffusion.speculate import speculate
from model.diffusion.states import CLEAN
from model.diffusion.steps import run_alone
from model.diffusion.steps_for import steps_for
from model.engine import api
from model.engine.guess import guess_ids
from model.engine.prompting import LineEncoder, Prepared, prepare, prompt_around
from model.engine.stopping import Stop, StopCheck, answer_text, stop_for, stopped
from model.engine.writing import frames_of
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass

Length = Literal["free", "oracle"]
Decoding = Literal["blocks", "clean", "speculate"]

ONE_BY_ONE = 2.0
"""A threshold no probability exceeds: one token a step."""


class Place(msgspec.Struct, frozen=True):
    """A hole in a document, which reads before + gold + after."""

    path: str
    before: str
    after: str
    gold: str


class Answer(msgspec.Struct, frozen=True):
    """What was written at a place. ids: its tokens (with a healed token, the typed bytes too); text: without those.

    forwards: all passes of the network, prefill included; steps: denoising steps, or tokens written by the clean
    stream; confidence: geometric mean probability; reason: eom, stop or length.
    """

    text: str
    ids: tuple[int, ...]
    forwards: int
    steps: int
    confidence: float
    reason: str


class Decoder:
    """One checkpoint with its line encoder and one cache that every call begins anew. Not thread-safe."""

    def __init__(self, checkpoint: Checkpoint, *, tau_mask: float | None = None) -> None:
        """tau_mask: threshold of unmasking in place of the preset's."""
        self.checkpoint = checkpoint
        self.encoder = LineEncoder(checkpoint.tokenizer)
        self.tau_mask = checkpoint.preset.sampling.tau_mask if tau_mask is None else tau_mask
        weight = checkpoint.network.head_weight
        capacity = checkpoint.preset.context_tokens + 128
        self._cache = KVCache(checkpoint.preset.network, capacity=capacity, device=weight.device, dtype=weight.dtype)
        self._banned_V = ~allowed_labels(checkpoint.preset.network.vocab_size)[CLEAN].to(weight.device)

    def complete(
        self,
        place: Place,
        *,
        stop: api.StopRule,
        length: Length = "free",
        max_tokens: int | None = None,
        one_by_one: bool = False,
    ) -> Answer:
        """Denoises a canvas at the place. max_tokens None = the engine's; one_by_one: one token a step."""
        prepared, check = self._prepare(place, stop, length, max_tokens)
        tau_mask = ONE_BY_ONE if one_by_one else self.tau_mask
        policy = msgspec.structs.replace(prepared.policy, tau_mask=tau_mask)
        if length == "oracle":
            policy = msgspec.structs.replace(policy, edits="none")
        return self._denoise(prepared, policy, check)

    def complete_clean(
        self, place: Place, *, stop: api.StopRule, length: Length = "free", max_tokens: int | None = None
    ) -> Answer:
        """What the clean stream writes greedily, one token a forward, from the same prompt under the same stop rule."""
        return self.complete_speculate(place, stop=stop, length=length, max_tokens=max_tokens, num_drafts=0)

    def complete_speculate(
        self,
        place: Place,
        *,
        stop: api.StopRule,
        length: Length = "free",
        max_tokens: int | None = None,
        guess: str = "",
        num_drafts: int | None = None,
    ) -> Answer:
        """The clean stream's text in fewer forwards, as guesses allow; `guess` may stand first. num_drafts: tokens
        guessed ahead, None = the preset's.
        """
        prepared, check = self._prepare(place, stop, length, max_tokens)
        policy = prepared.policy
        if num_drafts is not None:
            policy = msgspec.structs.replace(policy, num_drafts=num_drafts)
        frames = speculate(
            self.checkpoint.network,
            self.fresh_cache(),
            prepared.prompt_ids,
            policy,
            max_tokens=prepared.canvas.max_tokens,
            guess_ids=guess_ids(place_prompt(place).line, guess, prepared.taken_back, self.encoder),
            first_token_prefix=prepared.taken_back,
            finished=check,
            may_end=length == "free",
        )
        return self._answer(last_result(frames), prepared, check)

    def repair(self, place: Place, draft: str, *, locked: Sequence[bool] | None = None) -> Answer:
        """The text that a draft at the place becomes. locked: one mark a token of the draft.

        Raises BadRequest with a sentence if the checkpoint was not trained to correct drafts.
        """
        prompt = place_prompt(place)
        request = api.DenoiseRequest(id="eval", prompt=prompt, canvas=(api.Draft(draft),), stop="eom")
        prepared = prepare(request, self.checkpoint.preset, self.checkpoint.tokenizer, self.encoder)
        if locked is not None:
            canvas = draft_canvas(self.encoder(draft), locked=locked)
            prepared = msgspec.structs.replace(prepared, canvas=canvas)
        policy = msgspec.structs.replace(prepared.policy, tau_mask=self.tau_mask)
        return self._denoise(prepared, policy, None)

    def rewrite(self, place: Place, old: str, instruction: str) -> Answer:
        """The text that `old` at the place becomes when an edit is asked for in words, by the engine's own path.

        Raises BadRequest with a sentence if the checkpoint was not trained to rewrite, or if it does not fit.
        """
        prompt = msgspec.structs.replace(place_prompt(place), instruction=instruction)
        request = api.DenoiseRequest(id="eval", prompt=prompt, canvas=(api.Draft(old),), stop="eom")
        tokenizer = self.checkpoint.tokenizer
        prepared = prepare(request, self.checkpoint.preset, tokenizer, self.encoder)
        policy = msgspec.structs.replace(prepared.policy, tau_mask=self.tau_mask)
        stop = stop_for(prepared, request, tokenizer.token_bytes)
        frames = frames_of(self.checkpoint, self.fresh_cache(), request, prepared, policy, self.encoder, stop)
        return self._answer(last_result(frames), prepared, None)

    def clean_logprobs(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> list[float]:
        """Natural log of the clean stream's probability of each of `ids` behind the prompt and those before it."""
        if not ids:
            return []
        assert prompt_ids, "the first id needs something before it"
        cache = self.fresh_cache()
        tokens = [*prompt_ids, *ids[:-1]]
        with torch.inference_mode():
            hidden_TD = self.clean_pass(cache, tokens)[len(prompt_ids) - 1 :]
            log_p_NV = self.clean_logits(hidden_TD).log_softmax(dim=-1)
            index_N1 = torch.tensor(ids, device=log_p_NV.device).unsqueeze(1)
            return log_p_NV.gather(1, index_N1).squeeze(1).tolist()

    def prompt_ids(self, place: Place) -> list[int]:
        """The engine's prompt at the place, nothing healed."""
        prepared, _ = self._prepare(place, "eom", "oracle", None)
        return prepared.prompt_ids

    def fresh_cache(self) -> KVCache:
        """The decoder's own cache, emptied."""
        self._cache.truncate(0)
        return self._cache

    def clean_pass(self, cache: KVCache, ids: Sequence[int]) -> Tensor:
        """Hidden rows (T, D) of new clean tokens, which then count in the cache."""
        rows = Rows(torch.tensor([list(ids)], device=cache.k_LBGSK.device))
        hidden_1TD, _ = one_pass(self.checkpoint.network, cache, rows, None)
        assert hidden_1TD is not None
        cache.advance(len(ids))
        return hidden_1TD[0]

    def clean_logits(self, hidden_TD: Tensor) -> Tensor:
        """fp32 logits (T, V), -inf at the labels that a clean row never has."""
        return self.checkpoint.network.logits(hidden_TD).float().masked_fill_(self._banned_V, -torch.inf)

    def _prepare(
        self, place: Place, stop: api.StopRule, length: Length, max_tokens: int | None
    ) -> tuple[Prepared, Stop | None]:
        """With the oracle length nothing is healed and no stop rule is asked: the canvas has as many tokens as gold."""
        num_gold = len(self.encoder(place.gold)) if length == "oracle" else None
        wanted = max_tokens if num_gold is None else max(1, num_gold)
        request = api.DenoiseRequest(
            id="eval", prompt=place_prompt(place), canvas=(api.Masked(max_tokens=wanted),), stop=stop
        )
        tokenizer = self.checkpoint.tokenizer
        prepared = prepare(request, self.checkpoint.preset, tokenizer, self.encoder)
        if num_gold is None:
            return prepared, None if stop == "eom" else stop_for(prepared, request, tokenizer.token_bytes)
        typed = [prepared.taken_back.token] if prepared.taken_back else []
        canvas = known_length_canvas(num_gold)
        ids = [*prepared.prompt_ids, *typed]
        return msgspec.structs.replace(prepared, prompt_ids=ids, taken_back=None, canvas=canvas), None

    def _denoise(self, prepared: Prepared, policy: Policy, check: Stop | None) -> Answer:
        steps = steps_for(
            self.fresh_cache(),
            prepared.prompt_ids,
            prepared.canvas,
            policy,
            after_ids=prepared.after_ids,
            first_token_prefix=prepared.taken_back,
            finished=check,
        )
        result = last_result(run_alone(self.checkpoint.network, steps))
        if isinstance(check, StopCheck) and self.checkpoint.preset.prompt is not None:
            result = stopped(result, check)
        return self._answer(result, prepared, check)

    def _answer(self, result: Result, prepared: Prepared, check: Stop | None) -> Answer:
        return Answer(
            text=self._text(result, prepared, check),
            ids=result.ids,
            forwards=result.forwards,
            steps=result.steps,
            confidence=result.confidence,
            reason=result.reason,
        )

    def _text(self, result: Result, prepared: Prepared, check: Stop | None) -> str:
        token_bytes = self.checkpoint.tokenizer.token_bytes
        if prepared.answer is not None:
            text = prepared.answer.canvas_text(token_bytes, result.ids, result.reason)
            return text if isinstance(text, str) else ""
        num_typed = len(prepared.taken_back.typed) if prepared.taken_back else 0
        return answer_text(token_bytes, result.ids, result.reason, stop=check, num_typed=num_typed)


def place_prompt(place: Place) -> api.Prompt:
    """The whole document around the place, as every client cuts it."""
    return prompt_around(place.path, place.before, place.after)
