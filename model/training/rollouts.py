"""Runs of the current policy: blocks written step by step by chance around the threshold, remembered, and judged.

The action of a step is the set of rows that are written; their tokens are the network's best ones, as when deployed.
Row i is taken with probability b_i = sigmoid((logit c_i - logit tau) / 0.5), c_i its best probability; the leftmost
mask always is. Rows behind the frontier (the first mask whose best label is the end) never are, as in the sampler. A
run is judged by a verifier V against the true text and by its cost C = mean over steps of 1 / max(1, d_Lev of two
consecutive states), the surrogate of Seed Diffusion (arXiv 2508.02193, §3.2, Eq. 11). Left out: learning
(on_policy.py), edits of visible rows.

Shapes: B rows of a batch, N noisy places.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from model.diffusion.states import MASKED
from model.network.transformer import Transformer
from model.tokenizer import DEL, EOM
from model.training.block_runs import BlockRuns, Reading, Run
from model.training.packing import Batch

SOFTNESS = 0.5
MAX_STEPS = 32

ParsesWorse = Callable[[BlockRuns, Run, Sequence[int]], bool]
"""Whether these tokens in place of a run's true ones leave worse syntax."""


@dataclass(frozen=True)
class Choice:
    """One step of one run: its masked rows that could be written, and which of them were (bool, same length)."""

    rows: np.ndarray
    taken: np.ndarray


@dataclass(frozen=True)
class Step:
    """All runs before one step: the batch as the network saw it, its best labels, and the choices by number of run."""

    view: Batch
    best: np.ndarray
    choices: dict[int, Choice]


@dataclass(frozen=True)
class Verdict:
    """What became of a run: its tokens without `<eom>`, whether they are the true ones, V, C and the steps."""

    tokens: tuple[int, ...]
    is_exact: bool
    value: float
    cost: float
    num_steps: int


def roll_out(
    network: Transformer,
    runs: BlockRuns,
    allowed_KV: Tensor,
    *,
    tau: float,
    rng: np.random.Generator | None,
    bf16: bool,
) -> list[Step]:
    """Writes all runs to their end. `rng` None = the deployed rule (above tau, and always the leftmost)."""
    steps: list[Step] = []
    going = set(range(len(runs.runs)))
    runs.start_reading(network, bf16=bf16)
    while going and len(steps) < MAX_STEPS:
        reading = runs.read(network, allowed_KV, bf16=bf16, only=going)
        step = Step(runs.view(), reading.best, {})
        for number in sorted(going):
            run = runs.runs[number]
            choice = _choose(runs, run, reading, tau, rng)
            if choice is None:
                going.discard(number)
                continue
            step.choices[number] = choice
            rows = choice.rows[choice.taken]
            runs.write(run, rows.tolist(), reading.best[run.place][rows].tolist())
        if step.choices:
            steps.append(step)
    return steps


def _choose(runs: BlockRuns, run: Run, reading: Reading, tau: float, rng: np.random.Generator | None) -> Choice | None:
    """None where nothing is left to write: no mask, or the first one is the end."""
    rows = runs.masked(run)
    if not len(rows):
        return None
    best = reading.best[run.place][rows]
    live = runs.live(run)
    visible = live[runs.states[run.place][live] != MASKED]
    last_visible = int(visible[-1]) if len(visible) else -1
    is_end = (best == EOM) | ((best == DEL) & (rows > last_visible))
    # An <eom> that stands leftmost is written, since that ends the run; behind it nothing is.
    num_open = int(np.argmax(is_end)) if is_end.any() else len(rows)
    if num_open == 0:
        return None
    rows = rows[:num_open]
    chance = take_probability(np.exp(reading.best_log_p[run.place][rows].astype(np.float64)), tau)
    taken = chance > 0.5 if rng is None else rng.random(len(rows)) < chance
    taken[0] = True
    return Choice(rows, taken)


def take_probability(confidence: np.ndarray, tau: float) -> np.ndarray:
    """b of each row, from the probability of its best label."""
    c = np.clip(confidence, 1e-6, 1 - 1e-6)
    distance = (np.log(c / (1 - c)) - np.log(tau / (1 - tau))) / SOFTNESS
    return 1 / (1 + np.exp(-distance))


def judge(runs: BlockRuns, steps: Sequence[Step], parses_worse: ParsesWorse) -> list[Verdict]:
    """The verdict on each run: V = exact / 2 + (1 - edit distance / length) / 2 - (parses worse) / 2."""
    verdicts: list[Verdict] = []
    for number, run in enumerate(runs.runs):
        tokens = written(runs, run)
        true = [token for token in run.clean if token != EOM]
        is_exact = tokens == true
        distance = Levenshtein.distance(tokens, true)
        value = 0.5 * is_exact + 0.5 * (1 - distance / max(1, len(tokens), len(true)))
        if not is_exact and parses_worse(runs, run, tokens):
            value -= 0.5
        changed = [int(step.choices[number].taken.sum()) for step in steps if number in step.choices]
        # In a step without insertions the distance of two states is the number of rows that changed.
        cost = sum(1 / max(1, n) for n in changed) / len(changed) if changed else 1.0
        verdicts.append(Verdict(tuple(tokens), is_exact, value, cost, len(changed)))
    return verdicts


def written(runs: BlockRuns, run: Run) -> list[int]:
    """The visible tokens of a run up to its first mask or `<eom>`."""
    tokens: list[int] = []
    for row in runs.live(run):
        at = run.row, run.offset + int(row)
        if runs.states[at] == MASKED or runs.tokens[at] == EOM:
            break
        tokens.append(int(runs.tokens[at]))
    return tokens
