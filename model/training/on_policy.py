"""On-policy training: runs of the current model, made shorter as far as a verifier lets them.

Reward R = V - beta * C (rollouts.py) of four runs a block; advantage = R minus the mean of the other three, clipped to
±1. Loss = - advantage * mean log Bernoulli(taken; b) + 0.2 * CE + 0.05 * KL(p || p_ref) on masked rows, and every
other step replays the edit stage. CE: for runs that end in the true text, rows whose best label is the true token
already (certainty forcing); else the alignment labels to the true text. beta starts at 0.2, and every 50 updates is
times 0.8 if the development value fell by more than 0.01, else times 1.1; with beta 0 it is certainty forcing alone.
Source: Seed Diffusion (arXiv 2508.02193, §3.2); every number is this project's. Left out: likelihoods as rewards (the
current network never scores itself), unit tests.

Shapes: R masked rows, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.diffusion.corruption import IGNORE
from model.diffusion.labels import align_labels
from model.diffusion.states import MASKED
from model.network.transformer import Transformer
from model.training.block_runs import BlockRuns, draw_runs
from model.training.fine_tune import FineTuneOptions, FineTuner, frozen_copy
from model.training.packing import Batch
from model.training.rollouts import SOFTNESS, ParsesWorse, Step, Verdict, judge, roll_out
from model.training.shards import Shards, open_shards
from model.training.two_stream import Forward, hidden_rows, rows_of, two_stream_hidden

COPIES = 4
CE_WEIGHT = 0.2
KL_WEIGHT = 0.05
MAX_RUN_BLOCK = 32  # a run takes up to as many passes
FIRST_BETA = 0.2
BETA_EVERY = 50
WORSE_BY = 0.01
NUM_DEVELOPMENT_BATCHES = 4
_CHANGING = ("noisy_tokens", "noisy_states", "noisy_positions", "noisy_block")


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The development set under the deployed rule after `update` updates: V, share of exact runs, tokens a step."""

    update: int
    beta: float
    value: float
    exact: float
    tokens_per_step: float
    cost: float


class OnPolicyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tau` = threshold that is trained for; `first_beta` 0 = certainty forcing alone."""

    tune: FineTuneOptions
    tau: float = 0.7
    first_beta: float = FIRST_BETA


def train_on_policy(
    options: OnPolicyOptions,
    parses_worse: ParsesWorse,
    say: Callable[[str], None],
    forward: Forward = two_stream_hidden,
) -> list[Curve]:
    """Runs the stage, writes the checkpoint to `options.tune.out`, and gives the curve, from update 0 to the last.

    Raises TrainError or ShardError with one sentence.
    """
    tuner = FineTuner(options.tune, forward)
    reference = frozen_copy(tuner.network)
    development = open_shards(options.tune.shards, "heldout")
    beta, updates = options.first_beta, 0
    curve = [measure(tuner, development, options, parses_worse, 0, beta)]
    say(_line(curve[-1]))
    while updates == 0 or tuner.share() < 1.0:
        update(tuner, reference, options, parses_worse, updates, beta)
        updates += 1
        if updates % BETA_EVERY == 0:
            curve.append(measure(tuner, development, options, parses_worse, updates, beta))
            beta *= 0.8 if curve[-1].value < curve[-2].value - WORSE_BY else 1.1
            say(f"{100 * tuner.share():.0f} %: {_line(curve[-1])}")
    curve.append(measure(tuner, development, options, parses_worse, updates, beta))
    tuner.save({"stage": "on-policy", "on_policy_updates": updates, "on_policy_tau": options.tau})
    return curve


def update(
    tuner: FineTuner,
    reference: Transformer,
    options: OnPolicyOptions,
    parses_worse: ParsesWorse,
    number: int,
    beta: float,
) -> list[Verdict]:
    """One batch of runs, one step on one state of each, one step of replay; what became of the runs."""
    tune = options.tune
    runs = _runs(tuner.shards, tune, number)
    steps = roll_out(
        tuner.network, runs, tuner.allowed_KV, tau=options.tau, rng=np.random.default_rng(number), bf16=tune.bf16
    )
    verdicts = judge(runs, steps, parses_worse)
    rewards = np.array([verdict.value - beta * verdict.cost for verdict in verdicts])
    batch, chosen = drawn_states(runs, steps, verdicts, Random(number))
    term = policy_term(
        tuner.network,
        reference,
        batch,
        chosen,
        advantages(runs, rewards),
        tuner.allowed_KV,
        tau=options.tau,
        bf16=tune.bf16,
    )
    tuner.learn(batch, *([term] if chosen else []))
    tuner.learn(tuner.replay(number))
    return verdicts


def advantages(runs: BlockRuns, rewards: np.ndarray) -> np.ndarray:
    """Each run's reward less the mean of the others of its group, clipped to ±1; 0 for a run without others."""
    groups = np.array([run.group for run in runs.runs])
    found = np.zeros(len(rewards))
    for group in set(groups.tolist()):
        of_group = np.flatnonzero(groups == group)
        if len(of_group) > 1:
            total = rewards[of_group].sum()
            found[of_group] = rewards[of_group] - (total - rewards[of_group]) / (len(of_group) - 1)
    return np.clip(found, -1.0, 1.0)


class Chosen(msgspec.Struct, frozen=True):
    """A row of a drawn state that could have been written: its run, its place in the batch, whether it was."""

    run: int
    row: int
    at: int
    taken: bool


def drawn_states(
    runs: BlockRuns, steps: Sequence[Step], verdicts: Sequence[Verdict], rng: Random
) -> tuple[Batch, list[Chosen]]:
    """One random step of each run as a labelled batch, and the choices made in those steps."""
    first = steps[0].view
    arrays = {
        name: getattr(first, name).copy() for name in ("noisy_tokens", "noisy_states", "noisy_positions", "noisy_block")
    }
    labels = np.full_like(first.noisy_tokens, IGNORE)
    weights = np.zeros(first.noisy_tokens.shape, np.float32)
    chosen: list[Chosen] = []
    for number, run in enumerate(runs.runs):
        taking_part = [step for step in steps if number in step.choices]
        if not taking_part:
            continue
        step = rng.choice(taking_part)
        row, place = run.place
        for name, array in arrays.items():
            array[row, place] = getattr(step.view, name)[row, place]
        live = np.flatnonzero(arrays["noisy_block"][row, place] >= 0)
        wanted = align_labels(
            arrays["noisy_tokens"][row, place][live].tolist(),
            arrays["noisy_states"][row, place][live].tolist(),
            run.clean,
        )
        for i, label in zip(live.tolist(), wanted, strict=True):
            at = run.offset + i
            is_mask = arrays["noisy_states"][row, at] == MASKED
            if verdicts[number].is_exact and not (is_mask and step.best[row, at] == label):
                continue
            labels[row, at], weights[row, at] = label, CE_WEIGHT
        choice = step.choices[number]
        chosen += [
            Chosen(number, row, run.offset + int(i), bool(taken))
            for i, taken in zip(choice.rows[1:], choice.taken[1:], strict=True)  # the leftmost is no choice
        ]
    return replace(first, **arrays, noisy_labels=labels, noisy_weights=weights), chosen


def policy_term(
    network: Transformer,
    reference: Transformer,
    batch: Batch,
    chosen: Sequence[Chosen],
    advantage: np.ndarray,
    allowed_KV: Tensor,
    *,
    tau: float,
    bf16: bool,
) -> Callable[[Tensor], Tensor]:
    """The policy gradient and the anchor as a function of the hidden rows: means over runs and over rows."""
    device = allowed_KV.device
    num_clean = batch.clean_tokens.shape[1]
    rows_R = torch.tensor([c.row for c in chosen], device=device)
    places_R = torch.tensor([num_clean + c.at for c in chosen], device=device)
    taken_R = torch.tensor([float(c.taken) for c in chosen], device=device)
    counts = np.bincount([c.run for c in chosen], minlength=len(advantage))
    share_R = torch.tensor([advantage[c.run] / counts[c.run] / len(advantage) for c in chosen], device=device)
    share_R = share_R.to(torch.float32)
    allowed_V = allowed_KV[MASKED]
    with torch.no_grad():
        hidden_BTD = hidden_rows(reference, rows_of(batch, device), bf16=bf16)
        reference_RV = _log_p(reference, hidden_BTD[rows_R, places_R], allowed_V)

    def term(hidden_BTD: Tensor) -> Tensor:
        log_p_RV = _log_p(network, hidden_BTD[rows_R, places_R], allowed_V)
        c_R = log_p_RV.max(-1).values.exp().clamp(1e-6, 1 - 1e-6)
        threshold = float(np.log(tau / (1 - tau)))
        log_chance_R = F.logsigmoid((torch.logit(c_R) - threshold) / SOFTNESS * (2 * taken_R - 1))
        kl = (log_p_RV.exp() * (log_p_RV - reference_RV)).sum(-1).mean()
        return -(share_R * log_chance_R).sum() + KL_WEIGHT * kl

    return term


def _log_p(network: Transformer, hidden_RD: Tensor, allowed_V: Tensor) -> Tensor:
    logits_RV = F.linear(hidden_RD, network.head_weight.to(hidden_RD.dtype)).float()
    return logits_RV.masked_fill(~allowed_V, -1e30).log_softmax(-1)


def measure(
    tuner: FineTuner, shards: Shards, options: OnPolicyOptions, parses_worse: ParsesWorse, update: int, beta: float
) -> Curve:
    """The development set, written by the deployed rule."""
    verdicts: list[Verdict] = []
    for number in range(NUM_DEVELOPMENT_BATCHES):
        runs = _runs(shards, options.tune, number, copies=1)
        steps = roll_out(tuner.network, runs, tuner.allowed_KV, tau=options.tau, rng=None, bf16=options.tune.bf16)
        verdicts += judge(runs, steps, parses_worse)
    num_steps = sum(verdict.num_steps for verdict in verdicts)
    return Curve(
        update=update,
        beta=beta,
        value=sum(verdict.value for verdict in verdicts) / len(verdicts),
        exact=sum(verdict.is_exact for verdict in verdicts) / len(verdicts),
        tokens_per_step=sum(len(verdict.tokens) for verdict in verdicts) / max(1, num_steps),
        cost=sum(verdict.cost for verdict in verdicts) / len(verdicts),
    )


def _runs(shards: Shards, tune: FineTuneOptions, number: int, copies: int = COPIES) -> BlockRuns:
    return draw_runs(
        shards,
        seed=tune.seed + 7,
        number=number,
        num_rows=tune.num_rows,
        clean_tokens=tune.clean_tokens,
        noisy_tokens=tune.noisy_tokens,
        copies=copies,
        max_block=MAX_RUN_BLOCK,
    )


def _line(point: Curve) -> str:
    return (
        f"update {point.update}: value {point.value:.3f}, exact {100 * point.exact:.1f} %, "
        f"{point.tokens_per_step:.2f} tokens a step, beta {point.beta:.2f}"
    )
