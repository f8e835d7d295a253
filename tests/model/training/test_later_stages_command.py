"""`seedling train --stage order`, then certainty, then on-policy: checkpoints and what stands beside them."""

import argparse
import json
from pathlib import Path

import torch

from model.checkpoints.load import load_preset, save_checkpoint
from model.checkpoints.presets import Preset
from model.network.config import tiny_test
from model.network.transformer import Transformer
from model.training.command import add_arguments, run

SIZES = ("--clean-tokens", "192", "--noisy-tokens", "128", "--micro-rows", "2", "--no-compile", "--fp32")


def train(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args([str(argument) for argument in arguments]))


def test_one_stage_after_the_other(toy_folder: Path, tmp_path: Path, capsys) -> None:
    torch.manual_seed(1)
    network = Transformer(tiny_test(320))
    start, ordered, certain, edited, final = (tmp_path / name for name in "abcde")
    save_checkpoint(start, network, Preset(name="toy", network=network.config), toy_folder / "tokenizer.json")
    common = ("--shards", toy_folder, "--minutes", 0.01, *SIZES)
    assert train(*common, "--stage", "order", "--from", start, "--out", ordered) == 0
    assert "nats/token" in capsys.readouterr().out
    assert set(json.loads((ordered / "figures.json").read_bytes())) >= {"before 2", "after 8"}
    assert (ordered / "orders.msgpack").stat().st_size > 0
    assert train(*common, "--stage", "certainty", "--from", ordered, "--out", certain) == 0
    curve = [json.loads(line) for line in (certain / "curve.jsonl").read_text().splitlines()]
    assert curve[0]["step"] == 0 < curve[-1]["step"] == load_preset(certain).trained["certainty_steps"]
    assert "right rows in a row" in capsys.readouterr().out
    assert train(*common, "--stage", "edits", "--from", certain, "--out", edited) == 0
    assert load_preset(edited).trained["instructed_steps"] >= 1
    assert "steps; seedling eval edits --list" in capsys.readouterr().out
    assert train(*common, "--stage", "on-policy", "--from", edited, "--out", final, "--tau", 0.1) == 0
    curve = [json.loads(line) for line in (final / "curve.jsonl").read_text().splitlines()]
    assert [point["update"] for point in curve] == sorted(point["update"] for point in curve)
    assert load_preset(final).trained["on_policy_tau"] == 0.1
    assert load_preset(final).trained["constrained_order_steps"] >= 1  # what came before stays written down

    assert train(*common, "--stage", "order", "--from", start, "--out", ordered) == 2
    assert "holds a checkpoint" in capsys.readouterr().err
