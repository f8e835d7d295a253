"""Two processes on loopback train what one does: the same losses of the same data; each goes on where the other was."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from model.network.config import tiny_test
from model.training.processes import Processes
from model.training.progress import Progress, StepRecord, read_records
from model.training.run_state import RESUME_FILE, TrainError
from model.training.schedule import Schedule
from model.training.start import begin
from model.training.stream import Stream
from model.training.train_options import TrainOptions
from model.training.trainer import train

NUM_STEPS = 20
CHILD = """
import os, sys
from pathlib import Path
import msgspec, torch
torch.set_num_threads(1)
from model.training.train_options import TrainOptions
from model.training.trainer import train
train(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=TrainOptions, dec_hook=lambda kind, value: kind(value)))
"""


def options_for(shards: Path, out: Path, **changes) -> TrainOptions:
    options = TrainOptions(
        shards=shards,
        out=out,
        network=msgspec.structs.replace(tiny_test(320), tied_head=False),
        max_steps=NUM_STEPS,
        rows=4,
        micro_rows=2,
        clean_tokens=128,
        noisy_tokens=64,
        extra_head_rows=64,
        compile=False,
        bf16=False,
        eval_every_s=1e9,
        eval_batches=1,
        schedule=Schedule(num_rise_steps=3, warm_up_share=0.3),
        name="toy",
    )
    return msgspec.structs.replace(options, **changes)


def train_with_two(options: TrainOptions, folder: Path) -> None:
    """The same run, as torchrun starts it."""
    (folder / "child.py").write_text(CHILD)
    (folder / "options.json").write_bytes(msgspec.json.encode(options, enc_hook=str))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]  # a free port
    command += [str(folder / "child.py"), str(folder / "options.json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": os.getcwd()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def losses_of(folder: Path) -> list[tuple[float, float | None]]:
    return [(record["clean"], record["noisy"]) for record in read_records(folder) if "stage" in record]


def facts_of(folder: Path) -> list[tuple[int, str, int, int]]:
    records = [record for record in read_records(folder) if "stage" in record]
    return [(record["step"], record["stage"], record["num_tokens"], record["data"]) for record in records]


@pytest.fixture(scope="module")
def alone(toy_folder, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("alone")
    train(options_for(toy_folder, out))
    return out


@pytest.fixture(scope="module")
def by_two(toy_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    train_with_two(options_for(toy_folder, folder / "run"), folder)
    return folder / "run"


def assert_close(found: list[tuple[float, float | None]], wanted: list[tuple[float, float | None]]) -> None:
    assert len(found) == len(wanted) == NUM_STEPS
    for a, b in zip(found, wanted, strict=True):
        assert a == pytest.approx(b, abs=1e-4)


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(alone, by_two):
    assert facts_of(by_two) == facts_of(alone)  # of the same data, in the same stages
    assert {stage for _, stage, _, _ in facts_of(alone)} == {"warm-up", "mask", "edit"}
    assert_close(losses_of(by_two), losses_of(alone))


@pytest.mark.slow
def test_what_they_save_is_what_one_saves(alone, by_two):
    """Whole weights, optimiser state and average, so that any number of processes can go on from there."""
    found, wanted = load_file(by_two / RESUME_FILE), load_file(alone / RESUME_FILE)
    assert set(found) == set(wanted)
    assert any(name.startswith("ema.") for name in found)
    for name, tensor in wanted.items():
        assert torch.allclose(found[name], tensor, atol=1e-4), name
    found, wanted = load_file(by_two / "model.safetensors"), load_file(alone / "model.safetensors")
    assert {name: tensor.shape for name, tensor in found.items()} == {name: t.shape for name, t in wanted.items()}


@pytest.mark.slow
def test_two_go_on_where_one_was_stopped(alone, toy_folder, tmp_path, monkeypatch):
    """Layers are run again in the backward pass here, which changes nothing but the memory."""
    options = options_for(toy_folder, tmp_path / "run", checkpointing=True)
    shown = Progress.step

    def stop_at_seven(progress: Progress, record: StepRecord) -> None:
        shown(progress, record)
        if record.step == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "step", stop_at_seven)
    with pytest.raises(KeyboardInterrupt):
        train(options)
    train_with_two(msgspec.structs.replace(options, resume=True), tmp_path)
    assert facts_of(options.out) == facts_of(alone)
    assert_close(losses_of(options.out), losses_of(alone))


@pytest.mark.slow
def test_one_goes_on_where_two_ended(by_two, toy_folder):
    train(options_for(toy_folder, by_two, resume=True, max_steps=NUM_STEPS + 2))
    assert [step for step, *_ in facts_of(by_two)] == list(range(1, NUM_STEPS + 3))
    assert all(0 < clean < 6 for clean, _ in losses_of(by_two)[-2:])


def test_rows_that_cannot_be_shared_are_refused(toy_folder, tmp_path):
    options = options_for(toy_folder, tmp_path / "run", rows=2)
    stream = Stream(toy_folder, seed=0, batch_tokens=128)
    with pytest.raises(TrainError, match=r"rows \(2\) must be a multiple of micro rows times processes \(2 times 2\)"):
        begin(options, stream, Processes("cpu", size=2))
