"""How a prepared request is written: a hole may be speculated, everything else is denoised, an edit that was asked for
in words perhaps several times.

Source: model/diffusion/{sampler,speculate,judged}.py; what writes better is the checkpoint's to say (presets.py).
Left out: what comes of the frames (generation.py).
"""

from collections.abc import Iterator, Sequence

from model.checkpoints.load import Checkpoint
from model.diffusion.frames import Frame
from model.diffusion.judged import IsSound, JudgedSteps
from model.diffusion.policy import Policy
from model.diffusion.speculate import SpeculateSteps
from model.diffusion.states import MASKED
from model.diffusion.steps import Expired, Steps, run_alone
from model.diffusion.steps_for import steps_for
from model.engine import api
from model.engine.guess import guess_ids, guess_of
from model.engine.prompting import LineEncoder, Prepared, for_rewrite
from model.engine.stopping import Stop
from model.network.kv_cache import KVCache
from model.syntax.errors import num_errors


def frames_of(
    checkpoint: Checkpoint,
    cache: KVCache,
    request: api.DenoiseRequest,
    prepared: Prepared,
    policy: Policy,
    encoder: LineEncoder,
    stop: Stop,
    *,
    expired: Expired | None = None,
) -> Iterator[Frame]:
    """The frames of a request that runs alone; cache and policy as in `denoise`."""
    steps = steps_of(checkpoint, cache, request, prepared, policy, encoder, stop)
    return run_alone(checkpoint.network, steps, expired)


def steps_of(
    checkpoint: Checkpoint,
    cache: KVCache,
    request: api.DenoiseRequest,
    prepared: Prepared,
    policy: Policy,
    encoder: LineEncoder,
    stop: Stop,
) -> Steps:
    """The canvas of a request before its first pass. A hole with a guess is always speculated, unless blocks are asked
    for: they know no guess.
    """
    if checkpoint.preset.prompt is not None:  # no clean stream that says the next token: nothing to speculate with
        return _blocks(cache, prepared, policy, stop)
    guess = "" if request.in_blocks else guess_of(request)
    is_hole = len(request.canvas) == 1 and isinstance(request.canvas[0], api.Masked)
    speculates = checkpoint.preset.sampling.completion == "speculate" and not request.in_blocks
    if guess or (is_hole and speculates):
        return SpeculateSteps(
            cache,
            prepared.prompt_ids,
            policy,
            max_tokens=prepared.canvas.max_tokens,
            guess_ids=guess_ids(request.prompt.line, guess, prepared.taken_back, encoder),
            first_token_prefix=prepared.taken_back,
            finished=stop,
        )
    thresholds = checkpoint.preset.sampling.tau_rewrite
    if request.prompt.instruction is not None and len(thresholds) > 1 and MASKED not in prepared.canvas.states:
        return JudgedSteps(
            cache,
            prepared.prompt_ids,
            prepared.canvas,
            [for_rewrite(policy, tau) for tau in thresholds],
            is_sound=_soundness(checkpoint, request, prepared),
        )
    return _blocks(cache, prepared, policy, stop)


def _blocks(cache: KVCache, prepared: Prepared, policy: Policy, stop: Stop) -> Steps:
    return steps_for(
        cache,
        prepared.prompt_ids,
        prepared.canvas,
        policy,
        after_ids=prepared.after_ids,
        first_token_prefix=prepared.taken_back,
        finished=stop,
    )


def _soundness(checkpoint: Checkpoint, request: api.DenoiseRequest, prepared: Prepared) -> IsSound:
    """Whether the parser stumbles over a text no more than over what stood there."""
    token_bytes, language = checkpoint.tokenizer.token_bytes, request.prompt.language

    def num(ids: Sequence[int]) -> int:
        text = b"".join(token_bytes[i] for i in ids).decode("utf-8", "replace")
        return num_errors(prepared.prefix_text + text + prepared.suffix_text, language)

    num_before = num(prepared.canvas.ids[:-1])
    return lambda ids: num(ids) <= num_before
