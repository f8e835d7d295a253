"""The resume file: what comes back, who may read it, and one sentence for each file that is none."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from model.network.config import tiny_test
from model.training.optimizers import Average, make_optimizers
from model.training.run_state import RESUME_FILE, Counters, Identity, RunState, TrainError, load_run, save_run

IDENTITY = Identity(
    network=tiny_test(), tokenizer_sha256="0", seed=0, rows=1, micro_rows=1, clean_tokens=64, noisy_tokens=32
)


@pytest.fixture
def make_state(make_network) -> Callable[[int], RunState]:
    """A run over a seeded network that has done one step, with an average."""

    def make(seed: int) -> RunState:
        network = make_network(tiny_test(), seed)
        optimizers = make_optimizers(network)
        for p in network.parameters():
            p.grad = torch.full_like(p, 0.01)
        optimizers.muon.step()
        optimizers.adamw.step()
        return RunState(network, optimizers, IDENTITY, Counters(step=seed), Average(network, 0.9))

    return make


def write(folder: Path, tensors: dict[str, Tensor]) -> None:
    """A resume file with good metadata and any tensors."""
    metadata = {"identity": msgspec.json.encode(IDENTITY).decode(), "counters": "{}"}
    save_file(tensors, folder / RESUME_FILE, metadata=metadata)


def test_what_was_saved_comes_back(make_state, tmp_path: Path) -> None:
    saved, other = make_state(3), make_state(4)
    save_run(saved, tmp_path)
    load_run(other, tmp_path, 0.9)
    assert other.counters.step == 3
    assert saved.average is not None
    assert other.average is not None
    for (name, a), b in zip(saved.network.named_parameters(), other.network.parameters(), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(saved.average.weights[name], other.average.weights[name])
    a, b = (state.optimizers.adamw.state_dict()["state"][0]["exp_avg"] for state in (saved, other))
    assert torch.equal(a, b)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_whoever_may_read_other_files_may_read_it(make_state, tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        save_run(make_state(0), tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / RESUME_FILE).stat().st_mode & 0o777 == mode
    assert [path.name for path in tmp_path.iterdir()] == [RESUME_FILE]


@pytest.mark.parametrize(
    ("dropped", "added", "said"),
    [
        ("net.", {}, "is missing or misshapen"),
        ("net.layers.0.qkv", {}, "qkv.weight is missing"),
        ("ema.state_table", {}, "state_table is missing"),
        ("-", {"net.state_table": torch.zeros(1)}, "state_table is missing"),
        ("-", {"foreign": torch.zeros(1)}, "foreign"),
        ("-", {"opt.muon.x.y": torch.zeros(1)}, "optimiser"),
    ],
)
def test_other_tensors_are_one_sentence(
    make_state, tmp_path: Path, dropped: str, added: dict[str, Tensor], said: str
) -> None:
    save_run(make_state(3), tmp_path)
    kept = {name: tensor for name, tensor in load_file(tmp_path / RESUME_FILE).items() if not name.startswith(dropped)}
    write(tmp_path, kept | added)
    with pytest.raises(TrainError, match=said) as caught:
        load_run(make_state(4), tmp_path, 0.9)
    assert "\n" not in caught.value.sentence
