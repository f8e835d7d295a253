"""Training end to end on the toy corpus: the loss falls, a killed run goes on as if nothing had happened."""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from model.checkpoints.load import load_checkpoint
from model.network.config import tiny_test
from model.network.transformer import Transformer
from model.tokenizer import byte_chars, tokenizer_json
from model.training import command, run_state
from model.training.optimizers import make_optimizers
from model.training.progress import read_records
from model.training.run_state import TrainError
from model.training.schedule import Schedule
from model.training.trainer import TrainOptions, train

NUM_STEPS = 30


def options_for(shards: Path, out: Path, **changes) -> TrainOptions:
    options = TrainOptions(
        shards=shards,
        out=out,
        network=tiny_test(320),
        max_steps=NUM_STEPS,
        rows=2,
        micro_rows=1,
        clean_tokens=256,
        noisy_tokens=128,
        extra_head_rows=64,
        compile=False,
        bf16=False,
        save_every_s=0.0,
        eval_every_s=1e9,
        eval_batches=1,
        schedule=Schedule(num_rise_steps=3, muon_rate=1e-2, adamw_rate=1e-2),
        name="toy",
    )
    return msgspec.structs.replace(options, **changes)


def steps_of(folder: Path) -> list[dict]:
    return [record for record in read_records(folder) if "stage" in record]


@pytest.fixture(scope="module")
def finished(toy_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return out, train(options_for(toy_folder, out))


def test_thirty_steps_lower_the_losses(finished):
    out, scores = finished
    steps = steps_of(out)
    assert [record["step"] for record in steps] == list(range(1, NUM_STEPS + 1))
    clean = [record["clean"] for record in steps]
    noisy = [record["noisy"] for record in steps if record["noisy"] is not None]
    assert sum(clean[-3:]) < 0.75 * sum(clean[:3])
    assert sum(noisy[-3:]) < sum(noisy[:3])
    assert 0 < scores.twin_bits_per_byte < 8
    assert (out / "losses.png").stat().st_size > 1_000


def test_stages_stand_at_their_shares(finished):
    stages = [record["stage"] for record in steps_of(finished[0])]
    assert stages == ["warm-up"] * 15 + ["mask"] * 12 + ["edit"] * 3


def test_the_checkpoint_says_what_it_is(finished):
    out, scores = finished
    checkpoint = load_checkpoint(out)
    assert checkpoint.preset.name == "toy"
    assert checkpoint.preset.sampling.edits == "insert-delete"
    assert checkpoint.preset.context_tokens == 256
    assert checkpoint.preset.trained["steps"] == NUM_STEPS
    assert checkpoint.preset.trained["heldout_masked_nats"] == pytest.approx(scores.masked_nats, abs=1e-3)
    assert float(checkpoint.network.state_table.abs().sum()) > 0
    # The averaged weights are kept, not the last ones.
    run = load_file(out / run_state.RESUME_FILE)
    weight = checkpoint.network.layers[0].qkv.weight.float()
    assert torch.allclose(weight, run["ema.layers.0.qkv.weight"].bfloat16().float())
    assert not torch.equal(run["ema.layers.0.qkv.weight"], run["net.layers.0.qkv.weight"])


CHILD = """
import sys
from pathlib import Path
import msgspec, torch
torch.set_num_threads(1)
from model.training.trainer import TrainOptions, train
train(msgspec.json.decode(sys.stdin.read(), type=TrainOptions, dec_hook=lambda kind, value: kind(value)))
"""


def test_kill_9_and_resume_gives_the_same_run(toy_folder, tmp_path, finished):
    options = options_for(toy_folder, tmp_path / "run")
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdin is not None
    child.stdin.write(msgspec.json.encode(options, enc_hook=str))
    child.stdin.close()
    try:
        # Any step will do, in any stage; waiting is polling for it.
        deadline = time.monotonic() + 240
        while len(steps_of(options.out)) < 8 or not (options.out / run_state.RESUME_FILE).exists():
            assert child.poll() is None, "the child ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    torch.set_num_threads(1)
    train(msgspec.structs.replace(options, resume=True))
    one_go, killed = steps_of(finished[0]), steps_of(options.out)
    assert [r["step"] for r in killed] == list(range(1, NUM_STEPS + 1))
    assert [r["data"] for r in killed] == [r["data"] for r in one_go]
    for a, b in zip(killed, one_go, strict=True):
        assert a["clean"] == pytest.approx(b["clean"], abs=1e-3)
    assert killed[-1]["num_tokens"] == one_go[-1]["num_tokens"]


def test_time_spent_before_counts(toy_folder, tmp_path):
    out = tmp_path / "run"
    train(options_for(toy_folder, out, max_steps=2))
    first = steps_of(out)[-1]["spent_s"]
    options = options_for(toy_folder, out, max_steps=4, resume=True)
    train(options)
    assert steps_of(out)[2]["spent_s"] > first


def test_a_run_is_not_overwritten(finished, toy_folder):
    with pytest.raises(TrainError, match="--resume"):
        train(options_for(toy_folder, finished[0]))


def test_resume_wants_a_run(toy_folder, tmp_path):
    with pytest.raises(TrainError, match="nothing to resume"):
        train(options_for(toy_folder, tmp_path, resume=True))


OTHER_SHAPE = msgspec.structs.replace(tiny_test(320), num_layers=1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"network": OTHER_SHAPE}, "network"), ({"seed": 5}, "seed"), ({"clean_tokens": 320}, "clean tokens")],
)
def test_resume_wants_the_same_run(finished, toy_folder, changes, said):
    with pytest.raises(TrainError, match=said):
        train(options_for(toy_folder, finished[0], resume=True, **changes))


def test_resume_wants_a_whole_file(toy_folder, tmp_path):
    (tmp_path / run_state.RESUME_FILE).write_bytes(b"\x00" * 100)
    with pytest.raises(TrainError, match="not a readable"):
        train(options_for(toy_folder, tmp_path, resume=True))


def test_a_full_disk_keeps_the_old_state(finished, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    path = finished[0] / run_state.RESUME_FILE
    before = path.read_bytes()
    with safe_open(path, "pt") as file:
        identity = msgspec.json.decode(file.metadata()["identity"], type=run_state.Identity)
    network = Transformer(tiny_test(320))
    state = run_state.RunState(network, make_optimizers(network), identity)
    monkeypatch.setattr(run_state, "save_file", full)
    with pytest.raises(TrainError, match="No space left"):
        run_state.save_run(state, finished[0])
    assert path.read_bytes() == before
    assert not list(finished[0].glob("*.part"))


def test_a_loss_that_is_not_finite_skips_the_step(toy_folder, tmp_path):
    options = options_for(toy_folder, tmp_path / "run", schedule=Schedule(num_rise_steps=1, adamw_rate=1e30))
    with pytest.raises(TrainError, match="not finite"):
        train(msgspec.structs.replace(options, max_steps=200))


def run_command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


BAD_ARGUMENTS = (
    ("--minutes", "0"),
    ("--minutes", "nan"),
    ("--warm-up", "1.1"),
    ("--clean-tokens", "0"),
    ("--noisy-tokens", "-5"),
    ("--rows", "0"),
    ("--micro-rows", "0"),
    ("--rows", "3", "--micro-rows", "2"),
    ("--seed", str(10**30)),
    ("--rate", "-1"),
    ("--max-steps", "0"),
    ("--threads", "0"),
    ("--from", "nowhere"),
    ("--save-minutes", "0"),
    ("--device", "cuda"),
    ("--stage", "order"),
    ("--stage", "on-policy", "--from", "nowhere"),
    ("--stage", "on-policy", "--tau", "1"),
    ("--stage", "order", "--from", "nowhere", "--resume"),
)


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS, ids=" ".join)
def test_bad_arguments_are_one_sentence(toy_folder, tmp_path, capsys, arguments):
    if arguments[0] == "--device" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    code = run_command(
        "--shards", str(toy_folder), "--out", str(tmp_path / "o"), "--config", "tiny_test", "--no-compile", *arguments
    )
    said = capsys.readouterr().err
    assert code == 2
    assert said.startswith("seedling train: ")
    assert said.count("\n") == 1


def test_later_stages_are_not_for_several_processes(toy_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    arguments = ("--shards", str(toy_folder), "--out", str(tmp_path / "o"), "--stage", "order", "--from", "nowhere")
    assert run_command(*arguments) == 2
    assert "leave torchrun out" in capsys.readouterr().err


def test_a_checkpoint_is_not_overwritten(toy_folder, tmp_path, capsys):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert run_command("--shards", str(toy_folder), "--out", str(tmp_path), "--config", "tiny_test") == 2
    assert "holds a checkpoint" in capsys.readouterr().err
    assert (tmp_path / "model.safetensors").read_bytes() == b"weights"


def test_missing_shards_are_one_sentence(tmp_path, capsys):
    assert run_command("--shards", str(tmp_path / "no"), "--out", str(tmp_path / "o")) == 2
    assert "no shard folder" in capsys.readouterr().err


def test_a_run_begins_with_a_foreign_model(toy_folder, tmp_path, write_hf_checkpoint, capsys):
    vocab = {char: i for i, char in enumerate(byte_chars())}  # no merges: the toy corpus' own tokenizer
    weights = write_hf_checkpoint(tmp_path / "hf", "qwen3", vocab, [], tied=False)
    common = ("--shards", str(toy_folder), "--init", str(tmp_path / "hf"), "--no-compile", "--fp32")
    small = ("--max-steps", "1", "--rows", "2", "--micro-rows", "2", "--clean-tokens", "128", "--noisy-tokens", "64")
    assert run_command(*common, *small, "--rate", "0.001", "--out", str(tmp_path / "o")) == 0
    trained = load_checkpoint(tmp_path / "o", dtype=torch.float32).network
    assert (trained.config.qk_norm, trained.config.tied_head, trained.config.num_layers) == (True, False, 2)
    began = weights["model.layers.1.mlp.down_proj.weight"]
    assert float((trained.layers[1].mlp_out.weight - began).abs().max()) < 0.02  # bf16, and one tiny step

    assert run_command(*common, *small, "--from", str(tmp_path / "o"), "--out", str(tmp_path / "p")) == 2
    assert "give one of them" in capsys.readouterr().err
    merged = tokenizer_json([("d", "e")])
    shutil.copytree(toy_folder, tmp_path / "shards")
    (tmp_path / "shards" / "tokenizer.json").write_text(merged, encoding="utf-8")
    meta = {"vocab_size": 321, "tokenizer_sha256": hashlib.sha256(merged.encode()).hexdigest()}
    (tmp_path / "shards" / "meta.json").write_text(json.dumps(meta))
    others = ("--shards", str(tmp_path / "shards"), *common[2:])
    assert run_command(*others, *small, "--out", str(tmp_path / "p")) == 2
    assert "were not made with the tokenizer" in capsys.readouterr().err
