"""A tiny checkpoint with a byte tokenizer, seeded, fp32, trained for nothing."""

import pytest
import torch

from model.checkpoints.load import Checkpoint
from model.checkpoints.presets import Preset, Sampling
from model.evaluation.decode import Place
from model.network.config import tiny_test
from model.network.transformer import Transformer
from model.tokenizer import Tokenizer, tokenizer_json

BEFORE = "import os\n\n\ndef total(prices):\n"
AFTER = "\n    return result\n\n\nprint(total([]))\nprint(1)\nprint(2)\nprint(3)\n"


@pytest.fixture(scope="session")
def checkpoint() -> Checkpoint:
    merges = [("r", "e"), ("re", "t"), ("ret", "u"), ("Ġ", "="), ("o", "o")]
    tokenizer = Tokenizer.from_bytes(tokenizer_json(merges).encode())
    preset = Preset(
        name="tiny",
        network=tiny_test(tokenizer.vocab_size),
        sampling=Sampling(tau_mask=0.3, edits="insert-delete", first_block=8, block=16),
        context_tokens=256,
    )
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Transformer(preset.network).eval()
        for name, parameter in network.named_parameters():
            if name == "state_table":
                torch.nn.init.normal_(parameter, std=0.5)
            elif "norm" not in name:
                parameter.data.mul_(2.0)  # every row's prediction is its own
    return Checkpoint(network.requires_grad_(False), tokenizer, preset)


@pytest.fixture(scope="session")
def places() -> list[Place]:
    """A whole line, the rest of one, and the rest of one whose first word is begun."""
    return [
        Place(path="shop.py", before=BEFORE, after=AFTER, gold="    result = sum(prices)"),
        Place(path="shop.py", before=BEFORE + "    result = (", after=AFTER, gold="reduce(prices))"),
        Place(path="shop.py", before=BEFORE + "    result = re", after=AFTER, gold="duce(prices)"),
    ]
