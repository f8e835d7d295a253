"""On-policy updates: advantages, drawn states and their labels, the gradient's direction, and a whole small stage."""

from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest
import torch

from model.checkpoints.load import load_checkpoint, save_checkpoint
from model.checkpoints.presets import Preset
from model.diffusion.corruption import IGNORE
from model.diffusion.objective import allowed_labels
from model.diffusion.states import MASKED
from model.network.config import tiny_test
from model.network.transformer import Transformer
from model.training.block_runs import draw_runs
from model.training.fine_tune import FineTuneOptions
from model.training.on_policy import (
    CE_WEIGHT,
    OnPolicyOptions,
    advantages,
    drawn_states,
    policy_term,
    train_on_policy,
)
from model.training.rollouts import judge, roll_out
from model.training.run_state import TrainError
from model.training.two_stream import hidden_rows, rows_of
from model.training.verifier import num_errors, python_verifier

SIZES = {"num_rows": 2, "clean_tokens": 192, "noisy_tokens": 128}


@pytest.fixture
def network() -> Transformer:
    torch.manual_seed(6)
    return Transformer(tiny_test(320))


@pytest.fixture
def checkpoint(tmp_path, toy_folder, network) -> Path:
    folder = tmp_path / "from"
    save_checkpoint(folder, network, Preset(name="toy", network=network.config), toy_folder / "tokenizer.json")
    return folder


def test_advantages(toy_shards) -> None:
    runs = draw_runs(toy_shards, seed=1, number=0, copies=4, max_block=16, **SIZES)
    rewards = np.zeros(len(runs.runs))
    rewards[:4] = [1.0, 0.0, 0.0, 0.2]
    found = advantages(runs, rewards)
    assert found[:4] == pytest.approx([1.0 - 0.2 / 3, -0.4, -0.4, 0.2 - 1 / 3])
    assert not found[4:].any()
    rewards[0] = 50.0
    assert advantages(runs, rewards)[0] == 1.0


def test_drawn_states_are_labelled_by_what_became_of_them(toy_shards, network) -> None:
    runs = draw_runs(toy_shards, seed=1, number=0, copies=2, max_block=16, **SIZES)
    rng = np.random.default_rng(0)
    steps = roll_out(network, runs, allowed_labels(320), tau=0.05, rng=rng, bf16=False)
    verdicts = judge(runs, steps, lambda runs, run, tokens: False)
    batch, chosen = drawn_states(runs, steps, verdicts, Random(0))
    assert chosen
    assert not any(verdict.is_exact for verdict in verdicts)  # an untrained network
    for number, run in enumerate(runs.runs):
        if not any(number in step.choices for step in steps):
            continue
        row, place = run.place
        live = batch.noisy_block[row, place] >= 0
        assert (batch.noisy_labels[row, place][live] != IGNORE).all()
        assert (batch.noisy_weights[row, place][live] == np.float32(CE_WEIGHT)).all()
    assert all(batch.noisy_states[c.row, c.at] == MASKED for c in chosen)
    exact = [msgspec.structs.replace(c, taken=True) for c in chosen]
    assert len(exact) == len(chosen)


def test_a_rewarded_choice_becomes_likelier(toy_shards, network) -> None:
    runs = draw_runs(toy_shards, seed=1, number=0, copies=2, max_block=16, **SIZES)
    allowed = allowed_labels(320)
    steps = roll_out(network, runs, allowed, tau=0.05, rng=np.random.default_rng(0), bf16=False)
    verdicts = judge(runs, steps, lambda runs, run, tokens: False)
    batch, chosen = drawn_states(runs, steps, verdicts, Random(0))
    reference = Transformer(network.config)
    reference.load_state_dict(network.state_dict())
    place = torch.tensor([[c.row, batch.clean_tokens.shape[1] + c.at] for c in chosen])

    def confidence() -> torch.Tensor:
        hidden = hidden_rows(network, rows_of(batch), bf16=False)[place[:, 0], place[:, 1]]
        return network.logits(hidden).masked_fill(~allowed[MASKED], -1e30).softmax(-1).max(-1).values.detach()

    before = confidence()
    taken = [msgspec.structs.replace(c, taken=True) for c in chosen]
    gain = np.ones(len(runs.runs))
    term = policy_term(network, reference, batch, taken, gain, allowed, tau=0.5, bf16=False)
    loss = term(hidden_rows(network, rows_of(batch), bf16=False))
    loss.backward()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter -= 0.05 * parameter.grad
    assert float((confidence() - before).mean()) > 0


def test_the_verifier_counts_what_the_parser_cannot_read(toy_shards) -> None:
    assert num_errors("x = 1\n") == 0
    assert num_errors("x = (1\n") > 0
    worse = python_verifier(toy_shards.tokenizer)
    runs = draw_runs(toy_shards, seed=1, number=0, copies=1, **SIZES)
    assert not any(worse(runs, run, run.clean) for run in runs.runs)
    # Not everywhere: text that a window cuts in the middle is broken already.
    assert sum(worse(runs, run, toy_shards.tokenizer.encode(")]}" * 3)) for run in runs.runs) >= 3


def test_a_small_stage(toy_folder, toy_shards, checkpoint, tmp_path) -> None:
    tune = FineTuneOptions(
        shards=toy_folder, start_from=checkpoint, out=tmp_path / "out", minutes=0.03, compile=False, bf16=False, **SIZES
    )
    said: list[str] = []
    curve = train_on_policy(OnPolicyOptions(tune=tune, tau=0.05), python_verifier(toy_shards.tokenizer), said.append)
    assert curve[0].update == 0
    assert curve[-1].update >= 1
    assert 0 <= curve[-1].exact <= 1
    assert said
    trained = load_checkpoint(tmp_path / "out")
    assert trained.preset.trained["stage"] == "on-policy"
    before = load_checkpoint(checkpoint).network.state_dict()
    assert any(not torch.equal(weight, before[name]) for name, weight in trained.network.state_dict().items())


def test_a_missing_checkpoint_is_one_sentence(toy_folder, tmp_path) -> None:
    tune = FineTuneOptions(shards=toy_folder, start_from=tmp_path / "none", out=tmp_path / "out", minutes=1)
    with pytest.raises(TrainError, match="There is no checkpoint folder"):
        train_on_policy(OnPolicyOptions(tune=tune), lambda runs, run, tokens: False, print)
