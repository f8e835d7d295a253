"""What the wall clock decides: the stage and the learning rate, as functions of the spent share of the budget.

Warm-up (clean stream alone) for the first half, then mask stage for 80 % of the rest, then edit stage, in which the
learning rate goes to zero. Source: Seed Diffusion (arXiv 2508.02193) for 80 / 20; warmup-stable-decay (arXiv
2405.18392) for the rate; the first half of the time and lambda_ar are this project's. Left out:
constrained order and on-policy (files of their own).
"""

import msgspec

from model.training.packing import Stage

CONTROL_DECAY_SHARE = 0.1
LAMBDA_AR = 1.0
"""Weight of the clean stream's next-token loss in every stage. With 0.5 and 0.2 in the later ones that stream lost
twice as much to them, and completions can be no better than it is (docs/log.md)."""

EDIT_EVERY = 8
"""Without them the edit stage begins with a shock from which the clean stream recovers only in part, and weights that
can edit forget it (docs/log.md)."""


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Shares are of the whole wall time; rates are per step. The rate rises over the first `num_rise_steps` steps."""

    warm_up_share: float = 0.5
    mask_share: float = 0.8  # of what follows the warm-up
    muon_rate: float = 4e-3
    adamw_rate: float = 4e-3
    num_rise_steps: int = 40
    edit_start_rate: float = 0.5  # the rate at the start of the edit stage, relative

    @property
    def edit_start(self) -> float:
        return self.warm_up_share + (1.0 - self.warm_up_share) * self.mask_share

    @property
    def decay_start(self) -> float:
        """The rate goes to zero and the weights are averaged from here on; a run of warm-up alone decays too."""
        return self.edit_start if self.warm_up_share < 1.0 else 1.0 - CONTROL_DECAY_SHARE


def stage_at(schedule: Schedule, spent: float) -> Stage:
    """The stage after the share `spent` (0..1) of the wall time."""
    if spent < schedule.warm_up_share:
        return "warm-up"
    return "mask" if spent < schedule.edit_start else "edit"


def data_stage(stage: Stage, number: int) -> Stage:
    """The stage whose samples micro batch `number` holds: one in EDIT_EVERY of the mask stage's shows edits already."""
    return "edit" if stage == "mask" and number % EDIT_EVERY == EDIT_EVERY - 1 else stage


def rate_at(schedule: Schedule, spent: float, step: int) -> float:
    """Relative learning rate: rise, plateau in the warm-up, a slow decline in the mask stage, to zero in the edit
    stage."""
    rise = min(1.0, (step + 1) / schedule.num_rise_steps)
    if spent < min(schedule.warm_up_share, schedule.decay_start):
        return rise
    if spent < schedule.decay_start:
        done = (spent - schedule.warm_up_share) / (schedule.edit_start - schedule.warm_up_share)
        return rise * (1.0 - done * (1.0 - schedule.edit_start_rate))
    left = max(0.0, 1.0 - spent) / max(1e-9, 1.0 - schedule.decay_start)
    return rise * schedule.edit_start_rate * left
