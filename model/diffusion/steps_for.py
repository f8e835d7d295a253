"""Which steps write a canvas with a network: by what its rows see and by what is known of the canvas's length.

Source: this project. Left out: speculation and edits that are judged, which only our own networks know
(model/engine/writing.py), making a policy of a preset (model/engine/prompting.py).
"""

from collections.abc import Sequence

from model.diffusion.canvas import Canvas
from model.diffusion.canvas_length import ProbedSteps
from model.diffusion.healing import TakenBack
from model.diffusion.policy import Policy
from model.diffusion.sampler import BlockSteps
from model.diffusion.steps import Steps
from model.diffusion.stop_rule import Finished
from model.diffusion.whole import WholeSteps
from model.network.kv_cache import KVCache
from model.tokenizer import EOM


def steps_for(
    cache: KVCache,
    prompt_ids: Sequence[int],
    canvas: Canvas,
    policy: Policy,
    *,
    after_ids: Sequence[int] = (),
    first_token_prefix: TakenBack | None = None,
    finished: Finished | None = None,
) -> Steps:
    """cache: of the network, batch 1; its rows are those of a prefix of prompt_ids. after_ids: what stands behind the
    canvas, for a network that sees it. The rest as in `denoise` (sampler.py).

    Raises ValueError for text behind the canvas of a network that does not see it.
    """
    if cache.config.attention != "full":
        if after_ids:
            raise ValueError("this network sees nothing behind its canvas: what stands there belongs into the prompt")
        return BlockSteps(cache, prompt_ids, canvas, policy, first_token_prefix=first_token_prefix, finished=finished)
    is_hole = any(token != EOM for token in after_ids)
    if canvas.grows and is_hole and policy.length == "probed":
        return ProbedSteps(
            cache, prompt_ids, canvas, after_ids, policy, first_token_prefix=first_token_prefix, finished=finished
        )
    return WholeSteps(
        cache,
        prompt_ids,
        canvas,
        after_ids,
        policy,
        num_masks=policy.first_block if policy.edits == "expand-delete" else canvas.max_tokens,
        first_token_prefix=first_token_prefix,
        finished=finished,
    )
