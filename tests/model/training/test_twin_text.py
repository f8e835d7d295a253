"""The twin's texts at many places are what the clean stream alone writes at each, token by token."""

import pytest
import torch

from model.diffusion.objective import allowed_labels
from model.diffusion.states import CLEAN
from model.network.config import tiny_test
from model.network.transformer import Transformer
from model.tokenizer import EOM
from model.training.twin_text import Start, twin_texts
from model.training.twin_views import draw_starts, without_noise

SIZES = {"num_rows": 2, "clean_tokens": 192}


@pytest.fixture(scope="module")
def network() -> Transformer:
    torch.manual_seed(4)
    network = Transformer(tiny_test(320)).eval().requires_grad_(False)
    # A fresh network says the same token everywhere; spread its answers.
    torch.nn.init.normal_(network.head_weight, std=0.5)
    return network


def alone(network: Transformer, ids: list[int], num_tokens: int) -> list[int]:
    text: list[int] = []
    while len(text) < num_tokens and EOM not in text:
        tokens = torch.tensor([[*ids, *text]])
        length = tokens.shape[1]
        mask = torch.ones(1, length, length, dtype=torch.bool).tril()
        hidden = network(tokens, torch.arange(length)[None], None, mask)
        logits = network.logits(hidden[0, -1]).masked_fill(~allowed_labels(320)[CLEAN], float("-inf"))
        text.append(int(logits.argmax()))
    return text


def test_texts_are_those_of_the_clean_stream_alone(toy_shards, network) -> None:
    rows = draw_starts(toy_shards, seed=1, number=0, noisy_tokens=128, **SIZES)
    batch = without_noise(rows, clean_tokens=SIZES["clean_tokens"])
    starts = [start for _, starts in rows for start in starts]
    texts = twin_texts(network, batch, starts, allowed_labels(320), bf16=False)
    assert len(starts) > 10
    assert len({tuple(text) for text in texts}) > 5, "places differ"
    for start, text in zip(starts, texts, strict=True):
        ids = rows[start.row][0][start.sample].ids[: start.position]
        assert text == alone(network, ids, start.num_tokens)


def test_a_text_ends_with_the_end(toy_shards, network) -> None:
    rows = draw_starts(toy_shards, seed=1, number=0, noisy_tokens=64, **SIZES)
    batch = without_noise(rows, clean_tokens=SIZES["clean_tokens"])
    allowed_KV = torch.zeros_like(allowed_labels(320))
    allowed_KV[:, EOM] = True
    assert twin_texts(network, batch, [Start(0, 0, 5, 9), Start(1, 0, 3, 2)], allowed_KV, bf16=False) == [[EOM], [EOM]]
