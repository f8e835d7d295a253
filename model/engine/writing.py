"""How a prepared request is written: a hole may be speculated, everything else is denoised.

Source: model/diffusion/{sampler,speculate}.py; which of the two writes better holes is the checkpoint's to say
(presets.py). Left out: what comes of the frames (generation.py).
"""

from collections.abc import Iterator

from model.checkpoints.load import Checkpoint
from model.diffusion.frames import Frame
from model.diffusion.policy import Policy
from model.diffusion.sampler import BlockSteps
from model.diffusion.speculate import SpeculateSteps
from model.diffusion.steps import Expired, Steps, run_alone
from model.engine import api
from model.engine.guess import guess_ids, guess_of
from model.engine.prompting import LineEncoder, Prepared
from model.engine.stopping import StopCheck
from model.network.kv_cache import KVCache


def frames_of(
    checkpoint: Checkpoint,
    cache: KVCache,
    request: api.DenoiseRequest,
    prepared: Prepared,
    policy: Policy,
    encoder: LineEncoder,
    stop: StopCheck,
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
    stop: StopCheck,
) -> Steps:
    """The canvas of a request before its first pass. A hole with a guess is always speculated, unless blocks are asked
    for: they know no guess.
    """
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
    return BlockSteps(
        cache,
        prepared.prompt_ids,
        prepared.canvas,
        policy,
        first_token_prefix=prepared.taken_back,
        finished=stop,
    )
