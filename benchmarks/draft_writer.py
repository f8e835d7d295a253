"""Requests written with a draft: speculated against the clean stream, or as the first canvas of blocks.

Prompt, prefix cache, stop rule and shaping are those of engine and server. A block's draft is a canvas that begins with
it and goes on growing; a healed token goes back into the prompt, since a draft cannot begin inside a token. Left out:
which drafts (draft_trace.py), what is compared (drafts.py).
"""

from pathlib import Path

import msgspec

from benchmarks.draft_trace import Asked
from benchmarks.drafts import BLOCKS, Way, Written
from benchmarks.writers import as_in_engine
from lsp_server.features.gate import certainty
from lsp_server.settings import Settings
from model.checkpoints.load import Checkpoint
from model.diffusion.canvas import Canvas
from model.diffusion.frames import Result
from model.diffusion.policy import Policy
from model.diffusion.sampler import denoise_to_end, last_result
from model.diffusion.speculate import speculate
from model.diffusion.states import DRAFT
from model.engine import api
from model.engine.guess import guess_ids
from model.engine.prefix_cache import PrefixCache
from model.engine.prompting import EDIT_STEPS, LineEncoder, Prepared, prepare
from model.engine.stopping import answer_text, stop_for
from model.evaluation.metrics import edit_similarity


class DraftWriter:
    """One checkpoint as the engine keeps it, with its prefix cache. Not thread-safe."""

    def __init__(self, checkpoint: Checkpoint, folder: Path) -> None:
        as_in_engine(checkpoint, folder, compiled=False)
        self._checkpoint = checkpoint
        self._encoder = LineEncoder(checkpoint.tokenizer)
        weight, preset = checkpoint.network.head_weight, checkpoint.preset
        capacity = preset.context_tokens + 128  # as the engine's (model/engine/generation.py)
        self._caches = PrefixCache(preset.network, capacity=capacity, device=weight.device, dtype=weight.dtype)

    def offer(self, request: api.DenoiseRequest) -> tuple[str, bool]:
        """The model's own answer to a request, and whether the gate shows it."""
        prepared = self._prepare(request)
        result, text = self._speculate(request, prepared, prepared.policy, "")
        is_shown = certainty(result.confidence, len(result.ids)) >= Settings().confidence
        return text.rstrip("\n"), is_shown and bool(text.strip())

    def write(self, asked: Asked, way: Way, draft: str) -> Written:
        """The answer to a request with a draft, or with none."""
        prepared = self._prepare(asked.request)
        policy = prepared.policy
        if way.doubt != "preset":
            policy = msgspec.structs.replace(policy, doubt=way.doubt)
        if way.num_drafts is not None:
            policy = msgspec.structs.replace(policy, num_drafts=way.num_drafts)
        written = self._blocks if way.family == BLOCKS else self._speculate
        result, text = written(asked.request, prepared, policy, draft)
        line, gold = text.partition("\n")[0].strip(), asked.place.gold.strip()
        return Written(line == gold, edit_similarity(line, gold), result.forwards)

    def _prepare(self, request: api.DenoiseRequest) -> Prepared:
        return prepare(request, self._checkpoint.preset, self._checkpoint.tokenizer, self._encoder)

    def _speculate(
        self, request: api.DenoiseRequest, prepared: Prepared, policy: Policy, draft: str
    ) -> tuple[Result, str]:
        token_bytes = self._checkpoint.tokenizer.token_bytes
        stop = stop_for(prepared, request, token_bytes)
        with self._caches.lend(prepared.prompt_ids) as cache:
            frames = speculate(
                self._checkpoint.network,
                cache,
                prepared.prompt_ids,
                policy,
                max_tokens=prepared.canvas.max_tokens,
                guess_ids=guess_ids(request.prompt.line, draft, prepared.taken_back, self._encoder),
                first_token_prefix=prepared.taken_back,
                finished=stop,
            )
            result = last_result(frames)
        num_typed = len(prepared.taken_back.typed) if prepared.taken_back else 0
        return result, answer_text(token_bytes, result.ids, result.reason, stop=stop, num_typed=num_typed)

    def _blocks(
        self, request: api.DenoiseRequest, prepared: Prepared, policy: Policy, draft: str
    ) -> tuple[Result, str]:
        token_bytes = self._checkpoint.tokenizer.token_bytes
        ids = self._encoder(draft)[: prepared.canvas.max_tokens] if draft else []
        if ids:
            typed = [prepared.taken_back.token] if prepared.taken_back else []
            limit = prepared.canvas.max_tokens
            canvas = Canvas(ids=tuple(ids), states=(DRAFT,) * len(ids), max_tokens=limit, grows=True)
            prompt_ids = [*prepared.prompt_ids, *typed]
            prepared = msgspec.structs.replace(prepared, prompt_ids=prompt_ids, taken_back=None, canvas=canvas)
            policy = msgspec.structs.replace(policy, extra_edit_steps=EDIT_STEPS)
        stop = stop_for(prepared, request, token_bytes)
        with self._caches.lend(prepared.prompt_ids) as cache:
            result = denoise_to_end(
                self._checkpoint.network,
                cache,
                prepared.prompt_ids,
                prepared.canvas,
                policy,
                first_token_prefix=prepared.taken_back,
                finished=stop,
            )
        num_typed = len(prepared.taken_back.typed) if prepared.taken_back else 0
        return result, answer_text(token_bytes, result.ids, result.reason, stop=stop, num_typed=num_typed)
