"""Two stages: words first, then merges of whole words; bounded lengths; the same file for the same texts."""

import re

import pytest

from model.tokenizer import NUM_BASE, Tokenizer, TokenizerError
from model.training.tokenizer_train import MAX_TOKEN_BYTES, sample_texts, train_tokenizer

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "theta", "iota", "kappa", "lamda", "omicron", "sigma"]
LOOPS = [
    f"for {a} in range({b}, {c}):\n    {b}.append({a} + {c})\n" for a in WORDS for b in WORDS for c in WORDS if a != b
]


def _tokens(tokenizer: Tokenizer, text: str) -> list[str]:
    return [tokenizer.decode([id]) for id in tokenizer.encode(text)]


def test_frequent_phrases_become_one_token_across_spaces():
    tokenizer = Tokenizer.from_bytes(train_tokenizer(LOOPS, vocab_size=520).encode())
    assert tokenizer.vocab_size == 520
    tokens = _tokens(tokenizer, "for alpha in range(beta, gamma):\n    beta.append(alpha + gamma)\n")
    assert any(" in range(" in token for token in tokens)
    assert any(".append(" in token for token in tokens)
    assert max(map(len, tokenizer.token_bytes)) <= MAX_TOKEN_BYTES


def test_superwords_hold_no_part_of_a_word():
    # Every joined name is new, so it stays in parts; what surrounds it may not take a letter of it.
    names = [f"{a}_{b}_{c}" for a in WORDS for b in WORDS for c in WORDS]
    texts = [f"x.{name}(y, {other})\n" for name, other in zip(names, reversed(names), strict=True)]
    tokenizer = Tokenizer.from_bytes(train_tokenizer(texts + LOOPS, vocab_size=NUM_BASE + 120).encode())
    crossing = [token.decode() for token in tokenizer.token_bytes[NUM_BASE:] if set(token) & set(b"(),")]
    assert "(y, " in crossing or "(y," in crossing
    words = {word for token in crossing for word in re.findall(r"\w+", token)}
    assert words <= {*WORDS, "x", "y", "for", "in", "range", "append"}


def test_training_is_deterministic():
    assert train_tokenizer(LOOPS, vocab_size=500) == train_tokenizer(iter(LOOPS), vocab_size=500)


def test_windows_newlines_are_one_token_even_if_never_seen():
    tokenizer = Tokenizer.from_bytes(train_tokenizer(LOOPS, vocab_size=400).encode())
    assert _tokens(tokenizer, "\r\n\r\n") == ["\r\n", "\r\n"]


@pytest.mark.parametrize("vocab_size", [0, NUM_BASE, 1 << 17])
def test_impossible_vocabularies_are_named(vocab_size: int):
    with pytest.raises(TokenizerError, match=f"a vocabulary of {vocab_size} is not possible"):
        train_tokenizer(LOOPS, vocab_size=vocab_size)


def test_too_little_text_is_named():
    with pytest.raises(TokenizerError, match="too few for a vocabulary of 8192"):
        train_tokenizer(["x = y\n"], vocab_size=8192)
    with pytest.raises(TokenizerError, match="there is no text"):
        train_tokenizer(["", "\n"], vocab_size=400)


def test_a_sample_ends_at_its_size():
    assert list(sample_texts(["ab", "éé", "x", "y"], 6)) == ["ab", "éé"]
