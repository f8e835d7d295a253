"""The certainty stage on a toy corpus: the noisy stream comes to know what the clean stream would write."""

import numpy as np
import pytest
import torch

from model.checkpoints.load import load_checkpoint, save_checkpoint
from model.checkpoints.presets import Preset
from model.network.config import tiny_test
from model.network.transformer import Transformer
from model.training.certainty import force_certainty, twin_batches
from model.training.fine_tune import FineTuneOptions, frozen_copy


@pytest.fixture
def options(tmp_path, toy_folder) -> FineTuneOptions:
    torch.manual_seed(6)
    network = Transformer(tiny_test(320))
    folder = tmp_path / "from"
    save_checkpoint(folder, network, Preset(name="toy", network=network.config), toy_folder / "tokenizer.json")
    return FineTuneOptions(
        shards=toy_folder,
        start_from=folder,
        out=tmp_path / "out",
        minutes=0.1,
        rate=1.0,
        num_rows=2,
        clean_tokens=192,
        noisy_tokens=128,
        bf16=False,
        compile=False,
    )


def test_batches_are_a_pure_function(options, toy_shards) -> None:
    teacher = frozen_copy(load_checkpoint(options.start_from).network)
    allowed_KV = torch.ones(4, 320, dtype=torch.bool)
    ways = [twin_batches(teacher, toy_shards, options, allowed_KV) for _ in range(2)]
    for _ in range(6):  # over the border of a packet
        one, other = (next(way) for way in ways)
        np.testing.assert_array_equal(one.noisy_labels, other.noisy_labels)
        np.testing.assert_array_equal(one.noisy_tokens, other.noisy_tokens)


def test_the_stage_brings_agreement(options: FineTuneOptions) -> None:
    said: list[str] = []
    curve = force_certainty(options, said.append)
    assert curve[0].step == 0 < curve[-1].step
    assert curve[-1].lead > curve[0].lead
    assert curve[-1].agreement[0] > curve[0].agreement[0]
    assert any("right rows in a row" in line for line in said)
    trained = load_checkpoint(options.out)
    assert trained.preset.trained["certainty_steps"] == curve[-1].step
    before = load_checkpoint(options.start_from).network.state_dict()
    assert any(not torch.equal(before[name], value) for name, value in trained.network.state_dict().items())
