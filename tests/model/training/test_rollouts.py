"""Rollouts follow the sampler's rule where nothing is left to chance, and verdicts say what became of them."""

import numpy as np
import pytest

from model.diffusion.states import MASKED
from model.tokenizer import DEL, EOM
from model.training.block_runs import BlockRuns, Reading, Run, draw_runs
from model.training.rollouts import MAX_STEPS, judge, roll_out, take_probability, written

SIZES = {"num_rows": 2, "clean_tokens": 256, "noisy_tokens": 160, "copies": 1, "max_block": 24}


class Scripted(BlockRuns):
    """Runs whose network is a script: label and probability of each row of each run, before each step."""

    def __init__(self, runs: BlockRuns, says) -> None:
        super().__init__(runs.batch, runs.runs)
        self._says = says

    def start_reading(self, network, *, bf16) -> None:
        pass

    def read(self, network, allowed_KV, *, bf16, only=None) -> Reading:
        best, log_p = np.zeros_like(self.tokens), np.zeros(self.tokens.shape, np.float32)
        for number in only:
            run = self.runs[number]
            for row in self.masked(run):
                label, p = self._says(run, int(row))
                best[run.row, run.offset + row], log_p[run.row, run.offset + row] = label, np.log(p)
        return Reading(best, log_p, log_p, log_p)


@pytest.fixture
def fresh(toy_shards) -> BlockRuns:
    return draw_runs(toy_shards, seed=9, number=0, **SIZES)


def right_label(run: Run, row: int) -> int:
    return run.clean[row] if row < len(run.clean) else DEL


def never_worse(runs: BlockRuns, run: Run, tokens) -> bool:
    return False


def test_certain_and_right_runs_take_one_step(fresh: BlockRuns) -> None:
    runs = Scripted(fresh, lambda run, row: (right_label(run, row), 0.99))
    steps = roll_out(None, runs, None, tau=0.7, rng=None, bf16=False)
    for verdict, run in zip(judge(runs, steps, never_worse), runs.runs, strict=True):
        assert verdict.is_exact
        assert verdict.tokens == tuple(token for token in run.clean if token != EOM)
        assert verdict.value == 1.0
        assert verdict.num_steps == 1
        assert verdict.cost == pytest.approx(1 / len(verdict.tokens))


def test_unsure_runs_write_the_leftmost_alone(fresh: BlockRuns) -> None:
    runs = Scripted(fresh, lambda run, row: (right_label(run, row), 0.3))
    steps = roll_out(None, runs, None, tau=0.7, rng=None, bf16=False)
    verdicts = judge(runs, steps, never_worse)
    for number, (verdict, run) in enumerate(zip(verdicts, runs.runs, strict=True)):
        assert verdict.num_steps == min(MAX_STEPS, len(verdict.tokens))
        assert verdict.cost == 1.0
        assert [int(step.choices[number].rows[0]) for step in steps[: len(verdict.tokens)]] == list(
            range(len(verdict.tokens))
        )
        assert verdict.is_exact == (len(verdict.tokens) == len([t for t in run.clean if t != EOM]))


def test_nothing_is_written_behind_the_end(fresh: BlockRuns) -> None:
    runs = Scripted(fresh, lambda run, row: (EOM, 0.99) if row == 3 else (right_label(run, row), 0.99))
    steps = roll_out(None, runs, None, tau=0.7, rng=None, bf16=False)
    for run in runs.runs:
        if len(run.clean) > 4:
            assert written(runs, run) == list(run.clean[:3])
            assert (runs.states[run.place][3:] == MASKED).all()
    assert min(verdict.value for verdict in judge(runs, steps, never_worse)) < 0.5


def test_worse_syntax_costs(fresh: BlockRuns) -> None:
    runs = Scripted(fresh, lambda run, row: (70, 0.99))
    steps = roll_out(None, runs, None, tau=0.7, rng=None, bf16=False)
    fine, worse = judge(runs, steps, never_worse), judge(runs, steps, lambda runs, run, tokens: True)
    for a, b in zip(fine, worse, strict=True):
        assert a.value - b.value == (0.0 if a.is_exact else 0.5)
    assert not all(a.is_exact for a in fine)


def test_chance_takes_rows_near_the_threshold(fresh: BlockRuns) -> None:
    runs = Scripted(fresh, lambda run, row: (right_label(run, row), 0.7))
    steps = roll_out(None, runs, None, tau=0.7, rng=np.random.default_rng(0), bf16=False)
    taken = np.concatenate([choice.taken[1:] for choice in steps[0].choices.values()])
    assert 0.3 < taken.mean() < 0.7
    assert all(choice.taken[0] for step in steps for choice in step.choices.values())


def test_take_probability() -> None:
    assert take_probability(np.array([0.7]), 0.7)[0] == pytest.approx(0.5)
    assert take_probability(np.array([0.99]), 0.7)[0] > 0.99
    assert take_probability(np.array([0.3]), 0.7)[0] < 0.05
