"""Remembered pieces give the ids of the whole text, whatever the tokenizer merges."""

from pathlib import Path

import pytest
import tokenizers

from model.engine.encoder import LineEncoder
from tests.model.checkpoints.tiny_folders import FAMILIES, tiny_tokenizer

HERE = Path(__file__).read_text("utf-8")
TEXTS = [
    HERE,
    "def f():\n\treturn [\n\n\n\t]\n\n\nx = 1\r\ny = 2\n  \nz\n\n",
    "\n\n  a\n\nb\n \n c \n\td \n\n\n",
    "no newline",
    "",
]


class Foreign:
    """A tokenizer of the `tokenizers` library, with its own ids."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self.backend = backend
        self.num_calls = 0
        names = sorted(backend.get_vocab(), key=backend.get_vocab().__getitem__)
        self.token_bytes = tuple(name.replace("Ċ", "\n").replace("Ġ", " ").encode() for name in names)

    def encode(self, text: str) -> list[int]:
        self.num_calls += 1
        return self.backend.encode(text, add_special_tokens=False).ids


@pytest.fixture(scope="module")
def foreign() -> Foreign:
    return Foreign(tiny_tokenizer(FAMILIES["dreamon"]))


@pytest.mark.parametrize("text", TEXTS)
def test_a_foreign_tokenizers_ids_are_those_of_the_whole_text(foreign, text):
    assert LineEncoder(foreign)(text) == foreign.encode(text)


def test_lines_alone_would_not_be_exact(foreign):
    assert [i for line in HERE.splitlines(keepends=True) for i in foreign.encode(line)] != foreign.encode(HERE)


def test_only_the_piece_that_changed_is_encoded_again(foreign):
    encoder = LineEncoder(foreign)
    encoder(HERE)
    before = foreign.num_calls
    encoder(HERE + "value = 1\n")
    assert foreign.num_calls - before <= 2


def test_a_vocabulary_that_joins_lines_is_not_cut_anywhere():
    class Joining:
        token_bytes = (b"a", b"\n", b"a\na")

        def encode(self, text: str) -> list[int]:
            return [2 if text == "a\na" else 0]

    assert LineEncoder(Joining())("a\na") == [2]


@pytest.mark.parametrize("text", TEXTS)
def test_our_own_tokenizer_is_exact_line_by_line(tokenizer, text):
    assert LineEncoder(tokenizer)(text) == tokenizer.encode(text)
