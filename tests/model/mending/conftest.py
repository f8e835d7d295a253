"""A reader over a tiny seeded network with a byte tokenizer, and a document to repair."""

import pytest

from model.checkpoints.load import Checkpoint
from model.checkpoints.presets import Preset, Sampling
from model.engine.prompting import LineEncoder
from model.engine.repairs import prompts
from model.mending.reader import Reader
from model.mending.text_view import TextView
from model.network.config import tiny_test
from model.tokenizer import Tokenizer, tokenizer_json

TEXT = '''"""A module."""
import os


class Basket:
    """Holds things."""

    def __init__(self, things):
        self.things = things
        self.total = 0

    def count(self, kind):
        total = 0
        for thing in self.things:
            if thing.kind == kind:
                total += 1
        return total


def first(things, kind=None):
    basket = Basket(things)
    return os.path.join(things[0], basket.count(kind))
'''


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    path.write_text(tokenizer_json([("t", "h"), ("th", "i"), ("o", "t"), ("s", "e"), ("Ġ", "=")]), "utf-8")
    return Tokenizer.load(path)


@pytest.fixture(scope="session")
def checkpoint(make_network, tokenizer: Tokenizer) -> Checkpoint:
    """Seeded, fp32, trained for nothing."""
    preset = Preset(
        name="tiny",
        network=tiny_test(tokenizer.vocab_size),
        sampling=Sampling(edits="insert-delete"),
        context_tokens=256,
    )
    return Checkpoint(make_network(preset.network).requires_grad_(False), tokenizer, preset)


@pytest.fixture
def reader(checkpoint: Checkpoint) -> Reader:
    encoder = LineEncoder(checkpoint.tokenizer)
    return Reader(checkpoint, prompts(checkpoint, encoder), encoder)


@pytest.fixture
def view() -> TextView:
    return TextView("shop/basket.py", TEXT)


def row_of(text: str, part: str) -> int:
    """The first row that holds `part`."""
    return next(row for row, line in enumerate(text.split("\n")) if part in line)
