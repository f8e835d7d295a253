"""Bits per byte against values worked out by other code, and the estimate of the bound against an exact sum."""

import gzip
import math
from itertools import combinations
from random import Random

import msgspec
import pytest
import torch

from model.diffusion.objective import allowed_labels
from model.diffusion.states import CLEAN, DRAFT, MASKED
from model.evaluation.bits import draw_block, measure, sample_documents, windows
from model.evaluation.decode import Decoder
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.prompts import document_ids, path_ids
from model.tokenizer import MASK


def with_block(checkpoint, size: int):
    preset = checkpoint.preset
    sampling = msgspec.structs.replace(preset.sampling, block=size)
    return type(checkpoint)(
        checkpoint.network, checkpoint.tokenizer, msgspec.structs.replace(preset, sampling=sampling)
    )


def test_the_clean_stream_counts_each_token_once_in_its_window(checkpoint, heldout_texts) -> None:
    tokenizer = checkpoint.tokenizer
    documents = [(path, tokenizer.encode(text)) for path, text in heldout_texts[:2]]
    bits = measure(checkpoint, documents, num_draws=1, seed=0)
    decoder = Decoder(checkpoint)
    nats, num_windows = 0.0, 0
    for path, ids in documents:
        head = document_ids(path_ids(tokenizer, path))
        for window in windows(ids, tokenizer, checkpoint.preset.context_tokens - len(head)):
            nats -= sum(decoder.clean_logprobs(head, window))
            num_windows += 1
    num_bytes = sum(len(text.encode()) for _, text in heldout_texts[:2])
    assert num_windows > 2
    assert bits.num_bytes == num_bytes
    assert bits.twin_bits_per_byte == pytest.approx(nats / math.log(2) / num_bytes, rel=1e-4)


def test_the_floor_is_gzip(checkpoint, heldout_texts) -> None:
    documents = [(path, checkpoint.tokenizer.encode(text)) for path, text in heldout_texts[:3]]
    data = "".join(text for _, text in heldout_texts[:3]).encode()
    bits = measure(checkpoint, documents, num_draws=1, seed=0)
    assert bits.floor_bits_per_byte == pytest.approx(8 * len(gzip.compress(data, 9)) / len(data), rel=0.02)
    assert (bits.num_documents, bits.num_bytes) == (3, len(data))


def exact_bound_nats(checkpoint, head: list[int], ids: list[int], size: int) -> float:
    """The mean over m of n/m times the mean over all sets of m masks, block by block, by the engine's pass."""
    network = checkpoint.network
    allowed = allowed_labels(checkpoint.preset.network.vocab_size)[MASKED]
    total = 0.0
    for start in range(0, len(ids), size):
        block = ids[start : start + size]
        n = len(block)
        for m in range(1, n + 1):
            places = list(combinations(range(n), m))
            for masked in places:
                tokens = [MASK if i in masked else token for i, token in enumerate(block)]
                states = [MASKED if i in masked else DRAFT for i in range(n)]
                cache = KVCache(checkpoint.preset.network, capacity=64)
                noisy = Rows(torch.tensor([tokens]), torch.tensor([states]))
                clean = Rows(torch.tensor([head + ids[:start]]))
                _, hidden = one_pass(network, cache, clean, noisy)
                logits = network.logits(hidden[0]).masked_fill(~allowed, -torch.inf).log_softmax(-1)
                nats = -sum(float(logits[i, block[i]]) for i in masked)
                total += n / m * nats / len(places) / n
    return total


def test_the_bound_is_the_expected_one(checkpoint) -> None:
    checkpoint = with_block(checkpoint, 3)
    tokenizer = checkpoint.tokenizer
    ids = tokenizer.encode("ab = 17")
    assert len(ids) == 6
    bits = measure(checkpoint, [("a.py", ids)], num_draws=600, seed=0)
    nats = exact_bound_nats(checkpoint, document_ids(path_ids(tokenizer, "a.py")), ids, 3)
    exact = nats / math.log(2) / 7
    assert bits.block == 3
    assert 0 < bits.diffusion_error < 0.1 * exact
    assert abs(bits.diffusion_bits_per_byte - exact) < 4 * bits.diffusion_error


def test_a_drawn_block_masks_one_to_all_with_weights_that_sum_to_its_length() -> None:
    clean = list(range(100, 116))
    counts = set()
    for k in range(64):
        block = draw_block(clean, start=5, level=k / 64, rng=Random(k))
        masked = [i for i, state in enumerate(block.states) if state == MASKED]
        counts.add(len(masked))
        assert block.start == 5
        assert sum(block.weights) == pytest.approx(len(clean))
        for i, token in enumerate(clean):
            expected = (MASK, token) if i in masked else (token, -100)
            assert (block.tokens[i], block.labels[i]) == expected
    assert counts == set(range(1, 17))
    assert CLEAN not in block.states


def test_windows_are_cut_behind_newlines_and_lose_nothing(checkpoint) -> None:
    tokenizer = checkpoint.tokenizer
    ids = tokenizer.encode("one\ntwo\n\n" + "y" * 30 + "\nthree")
    cut = windows(ids, tokenizer, 12)
    assert [i for window in cut for i in window] == ids
    assert [tokenizer.decode(window) for window in cut] == ["one\ntwo\n\n", "y" * 12, "y" * 12, "yyyyyy\nthree"[:12]]


def test_documents_are_drawn_by_the_seed_up_to_a_number_of_tokens(tokenizer, heldout_texts) -> None:
    sizes = {path: len(tokenizer.encode(text)) for path, text in heldout_texts}
    limit = sum(sizes.values()) // 2
    taken = sample_documents(heldout_texts, tokenizer, max_tokens=limit, num=None, seed=0)
    assert 0 < sum(len(ids) for _, ids in taken) <= limit
    assert all(len(ids) == sizes[path] for path, ids in taken)
    assert taken == sample_documents(list(reversed(heldout_texts)), tokenizer, max_tokens=limit, num=None, seed=0)
    assert taken != sample_documents(heldout_texts, tokenizer, max_tokens=limit, num=None, seed=1)
    assert len(sample_documents(heldout_texts, tokenizer, max_tokens=limit, num=1, seed=0)) == 1
    assert len(sample_documents(heldout_texts, tokenizer, max_tokens=1, num=None, seed=0)) == 1
