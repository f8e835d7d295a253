"""The constrained-order stage finds orders, keeps them, learns from them, and leaves a checkpoint with figures."""

import torch

from model.checkpoints.load import load_checkpoint, save_checkpoint
from model.checkpoints.presets import Preset
from model.network.config import tiny_test
from model.network.transformer import Transformer
from model.training.constrained_order import STEP_NUMBERS, constrain, read_orders
from model.training.fine_tune import FineTuneOptions


def test_a_small_stage(toy_folder, tmp_path) -> None:
    torch.manual_seed(6)
    network = Transformer(tiny_test(320))
    start, out = tmp_path / "from", tmp_path / "out"
    save_checkpoint(start, network, Preset(name="toy", network=network.config), toy_folder / "tokenizer.json")
    options = FineTuneOptions(
        shards=toy_folder,
        start_from=start,
        out=out,
        minutes=0.05,
        compile=False,
        bf16=False,
        num_rows=2,
        clean_tokens=192,
        noisy_tokens=128,
    )
    figures = constrain(options, lambda line: None)
    assert set(figures) == {f"{when} {k}" for when in ("before", "after") for k in STEP_NUMBERS}
    for figure in figures.values():
        assert figure.nats_per_token > 0
        assert abs(sum(figure.policies.values()) - 1) < 1e-6
    found = read_orders(out)
    assert [each.number for each in found] == list(range(len(found)))
    assert all(each.num_steps == STEP_NUMBERS[each.number % 3] for each in found)
    assert all(max(order.steps) < each.num_steps for each in found for order in each.orders)
    trained = load_checkpoint(out)
    assert trained.preset.trained["stage"] == "constrained-order"
    assert trained.preset.trained["constrained_order_steps"] >= 1
