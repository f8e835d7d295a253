"""How many masks a step writes where a block is written in a number of steps, not by a threshold.

Sources: equal quotas, the first ones larger by one where it does not come out even, as in LLaDA (arXiv 2502.09992),
SDAR (arXiv 2510.06303) and Stable-DiffCoder (arXiv 2601.15892); by time steps, as in Dream (arXiv 2508.15487): the
share 1 − s/t of the masks that are left, rounded down, with t from 1 to TIME_END. Left out: random quotas, other
curves.
"""

import math

from model.diffusion.policy import Schedule

TIME_END = 1e-3
"""Dream's `eps` (its generation_config.json)."""


def quota(num_masks: int, step: int, num_steps: int, schedule: Schedule) -> tuple[int, int]:
    """How many of `num_masks` the next step writes, and the steps that are over then; `step` are over now.

    By time steps the first quotas may be nothing at all: such a step would see the same rows again, so it is passed
    over without a pass of the network.
    """
    if step >= num_steps - 1:
        return num_masks, num_steps
    if schedule == "even":
        return math.ceil(num_masks / (num_steps - step)), step + 1
    while step < num_steps - 1:
        t, s = _time(step, num_steps), _time(step + 1, num_steps)
        step += 1
        if num := int(num_masks * (1 - s / t)):
            return num, step
    return num_masks, num_steps


def _time(step: int, num_steps: int) -> float:
    return 1 - step * (1 - TIME_END) / num_steps
