"""Trains the tokenizer in two stages: first words, then merges across spaces and punctuation.

Source: superword BPE (SuperBPE, arXiv 2503.13423, §3): words are learned with a word-wise cut, then the cut is
lifted. A single stage over whole lines learns fragments such as `s, ` or `e(` that cut identifiers at arbitrary
letters; in two stages an identifier has one form wherever it stands, and `for i in range(` can still be one token.
The pieces that no merge may leave (newline, indentation, digits) are those of model/tokenizer.py in both stages.

The second stage runs in the same library: every token of the first stage becomes one private character, and BPE over
those characters gives the merges of the second. Left out: unigram models, dropout.
"""

import json
import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from model.tokenizer import NUM_BASE, NUM_RESERVED, PIECES, TokenizerError, tokenizer_json

MAX_TOKEN_BYTES = 24
WORD_SHARE = 0.7  # of the merges; see docs on the tokenizer for the measured curve

# Inside a piece: a word with its space | punctuation with its space. Indentation and the like are already cut off.
WORDS = r" ?[\p{L}\p{M}_]+| ?[^\s\p{L}\p{M}_0-9]+|\s+|."
_FIRST_CHAR = 0x10000  # private characters for first-stage tokens: beyond the surrogates, none is white space
_WORD_CHARS = frozenset(string.ascii_letters + "_")
_BATCH = 4096


def train_tokenizer(texts: Iterable[str], *, vocab_size: int = 8192, word_share: float = WORD_SHARE) -> str:
    """The text of a tokenizer.json. TokenizerError if the texts are too few for the vocabulary, or it is too small."""
    check_vocab_size(vocab_size)
    num_merges = vocab_size - NUM_BASE
    counts = _count_pieces(texts)
    merges = [("č", "Ċ")]  # \r\n is one newline; a corpus with \n alone would not teach that
    merges += _word_merges(counts, round((num_merges - 1) * word_share))
    merges += _superword_merges(counts, merges, num_merges - len(merges))
    if len(merges) < num_merges:
        found = NUM_BASE + len(merges)
        raise TokenizerError(f"the texts are too few for a vocabulary of {vocab_size}: they give {found} tokens")
    return tokenizer_json(merges)


def check_vocab_size(vocab_size: int) -> None:
    """TokenizerError for a size that no tokenizer of ours can have."""
    if not NUM_BASE < vocab_size <= 1 << 16:
        raise TokenizerError(f"a vocabulary of {vocab_size} is not possible: take {NUM_BASE + 1} to 65536")


def sample_texts(texts: Iterable[str], max_bytes: int) -> Iterator[str]:
    """The first texts up to `max_bytes`; shards are in random order, so the first are a sample."""
    left = max_bytes
    for text in texts:
        if left <= 0:
            return
        left -= len(text.encode("utf-8", "replace"))
        yield text


def _count_pieces(texts: Iterable[str]) -> Counter[str]:
    """How often each piece occurs; pieces of one character teach nothing."""
    find = re.compile(PIECES).findall  # written for the library's engine, but the same in this one
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(piece for piece in find(text) if len(piece) > 1 and piece != "\r\n")
    if not counts:
        raise TokenizerError("there is no text to train a tokenizer on")
    return counts


def _word_merges(counts: Counter[str], num_merges: int) -> list[tuple[str, str]]:
    tokenizer = Tokenizer(models.BPE())
    cut = pre_tokenizers.Split(Regex(WORDS), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, _byte_level()])  # type: ignore[assignment]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return _train(tokenizer, _repeated(counts), num_merges, alphabet, max_token_length=MAX_TOKEN_BYTES)


def _superword_merges(counts: Counter[str], merges: list[tuple[str, str]], num_merges: int) -> list[tuple[str, str]]:
    """Merges of whole first-stage tokens, at most MAX_TOKEN_BYTES long, each of them a new token."""
    if num_merges <= 0:
        return []
    backend = Tokenizer.from_str(tokenizer_json(merges))
    tokens = {id: token for token, id in backend.get_vocab().items() if id >= NUM_RESERVED}
    coded: Counter[str] = Counter()
    pieces = list(counts)
    for start in range(0, len(pieces), _BATCH):
        batch = pieces[start : start + _BATCH]
        for piece, encoding in zip(batch, backend.encode_batch_fast(batch, add_special_tokens=False), strict=True):
            for run in _whole_words(encoding.ids, tokens):
                coded["".join([chr(_FIRST_CHAR + id) for id in run])] += counts[piece]
    alphabet = [chr(_FIRST_CHAR + id) for id in tokens]
    # Some merges will be too long or spell a token that exists: ask for more and take the first that serve.
    found = _train(Tokenizer(models.BPE()), _repeated(coded), num_merges * 3 // 2 + 100, alphabet)
    spelt = {chr(_FIRST_CHAR + id): token for id, token in tokens.items()}
    known = set(tokens.values())
    kept: list[tuple[str, str]] = []
    for left, right in found:
        if left not in spelt or right not in spelt:
            continue
        token = spelt[left] + spelt[right]
        if len(token) > MAX_TOKEN_BYTES or token in known:
            continue
        known.add(token)
        spelt[left + right] = token
        kept.append((spelt[left], spelt[right]))
        if len(kept) == num_merges:
            break
    return kept


def _whole_words(ids: list[int], tokens: dict[int, str]) -> Iterator[list[int]]:
    """Runs of two or more tokens that hold no part of a word: `, p` + `arent` would hide where the word starts."""
    joins = [tokens[left][-1] in _WORD_CHARS and tokens[right][0] in _WORD_CHARS for left, right in pairwise(ids)]
    run: list[int] = []
    for id, joins_left, joins_right in zip(ids, [False, *joins], [*joins, False], strict=True):
        if not joins_left and not joins_right:
            run.append(id)
            continue
        if len(run) > 1:
            yield run
        run = []
    if len(run) > 1:
        yield run


def _train(
    tokenizer: Tokenizer,
    texts: Iterable[str],
    num_merges: int,
    alphabet: list[str],
    max_token_length: int | None = None,
) -> list[tuple[str, str]]:
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + num_merges,
        initial_alphabet=alphabet,
        max_token_length=max_token_length,
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(left, right) for left, right in merges][:num_merges]


def _repeated(counts: Counter[str]) -> Iterator[str]:
    """Each text as often as it occurs, in a fixed order; the library takes no counts."""
    for text in sorted(counts):
        for _ in range(counts[text]):
            yield text


def _byte_level() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
