"""The stage of instructed edits: mostly rewrites, so that following an instruction is more than a rare sight.

The edit stage with more than half of the draws rewrites (rewrite_edits.py has the kinds). Source: this project; the
edit stage itself shows a rewrite one time in ten, from which 9 million parameters learn none of 28 kinds (docs/log.md,
2026-11-21). Left out: which kinds work afterwards (`seedling eval edits --list`).
"""

from collections.abc import Callable

from model.training.fine_tune import FineTuneOptions, FineTuner
from model.training.two_stream import Forward, two_stream_hidden

REWRITE_SHARE = 0.7
SAVE_EVERY = 100


def learn_edits(options: FineTuneOptions, say: Callable[[str], None], forward: Forward = two_stream_hidden) -> int:
    """Runs the stage, writes the checkpoint to `options.out`, and gives the number of steps. Raises TrainError or
    ShardError with one sentence.
    """
    tuner = FineTuner(options, forward)
    while tuner.num_steps == 0 or tuner.share() < 1.0:
        noisy, clean = tuner.learn(tuner.replay(tuner.num_steps, REWRITE_SHARE))
        if tuner.num_steps % 20 == 1:
            say(f"step {tuner.num_steps}, {100 * tuner.share():.0f} %: edits {noisy:.3f}, clean {clean:.3f}")
        if tuner.num_steps % SAVE_EVERY == 0:
            _save(tuner)
    _save(tuner)
    return tuner.num_steps


def _save(tuner: FineTuner) -> None:
    tuner.save({"stage": "instructed", "instructed_steps": tuner.num_steps})
