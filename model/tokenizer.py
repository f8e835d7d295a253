"""Text to token ids and back: byte-level BPE whose merges cross single spaces, never a newline.

Source: the layout of ids and the splitting rules are the design's (§3, §7); merging across spaces is the idea of
JetBrains' Full Line Code Completion (arXiv 2405.08704, §3); the BPE itself is the `tokenizers` library's.

Ids: 0..63 reserved (layout and diffusion tokens), 64 + b for the byte b, then one id per merge. A text is cut into
pieces first and no merge leaves its piece: each newline (`\\n`, `\\r`, `\\r\\n`), the indentation of a line, any run
of two or more spaces or tabs, each digit, and what lies between those. So equal lines have equal ids wherever they
stand.

The names of the reserved ids in the file use brackets outside the byte alphabet, so no text and no merge can produce
them. Left out: training (model/training/tokenizer_train.py), and any Unicode normalisation: the round trip is exact.
"""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers import pre_tokenizers

NUM_RESERVED = 64
NUM_BASE = NUM_RESERVED + 256
PAD, BOS, EOM, MASK, DEL, INS, FILE, SUF, PRE, TAIL, CUR, OLD, ASK = range(13)
LAYOUT_IDS = (BOS, FILE, SUF, PRE, TAIL, CUR, OLD, ASK)
RESERVED_NAMES = tuple(
    f"⟨{name}⟩"
    for name in ["pad", "bos", "eom", "mask", "del", "ins", "file", "suf", "pre", "tail", "cur", "old", "ask"]
    + [f"reserved{number}" for number in range(13, NUM_RESERVED)]
)

# Newline | indentation | two or more blanks, a tab | digit | text in which only single spaces occur.
PIECES = r"\r\n|\r|\n|(?<![^\r\n])[ \t]+|[ \t]{2,}|\t|[0-9]|(?:[^\r\n\t 0-9]| (?![ \t]))+"


class TokenizerError(ValueError):
    """A tokenizer file or a text that cannot be used; the message is one sentence for the user."""

    @property
    def sentence(self) -> str:
        return str(self)


class Tokenizer:
    """Made by `Tokenizer.load`. `vocab_size` counts the reserved ids too; `token_bytes[id]` is b"" for those.

    `blank_ids`: the tokens of nothing but white space.
    """

    vocab_size: int
    token_bytes: tuple[bytes, ...]
    blank_ids: frozenset[int]

    def __init__(self, backend: tokenizers.Tokenizer, token_bytes: tuple[bytes, ...], sha256: str) -> None:
        self._backend = backend
        self.token_bytes = token_bytes
        self.vocab_size = len(token_bytes)
        self.sha256 = sha256
        order = sorted(range(NUM_RESERVED, self.vocab_size), key=token_bytes.__getitem__)
        self._sorted_ids = np.array(order, dtype=np.int64)
        self._sorted_bytes = [token_bytes[id] for id in order]
        self.blank_ids = frozenset(id for id in order if not token_bytes[id].strip())

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Reads a tokenizer.json of `seedling tokenizer train`. TokenizerError if missing, broken or foreign."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise TokenizerError(f"cannot read the tokenizer {path}: {error.strerror or error}") from None
        return cls.from_bytes(data, name=str(path))

    @classmethod
    def from_bytes(cls, data: bytes, *, name: str = "tokenizer.json") -> "Tokenizer":
        """Like `load`, from the bytes of the file; `name` stands in the error."""
        try:
            spec = json.loads(data)
            token_bytes = _token_bytes(spec)
            backend = tokenizers.Tokenizer.from_buffer(data)
        except (_Foreign, KeyError, TypeError, AttributeError) as error:
            raise TokenizerError(f"{name} is not a Seedling tokenizer ({error})") from None
        except Exception as error:  # the library raises bare Exception, json its own ValueError
            raise TokenizerError(f"{name} is not a readable tokenizer file ({error})") from None
        return cls(backend, token_bytes, hashlib.sha256(data).hexdigest())

    def encode(self, text: str) -> list[int]:
        """Ids of a text; never a reserved id. TokenizerError if the text holds a lone surrogate."""
        _refuse_surrogates(text)
        return self._backend.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The same for many texts at once, on all cores the library takes."""
        for text in texts:
            _refuse_surrogates(text)
        return [encoding.ids for encoding in self._backend.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids. Reserved ids give nothing, bytes that are not UTF-8 U+FFFD. IndexError beyond the vocabulary."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Bytes of ids, exact even where a character is cut."""
        token_bytes = self.token_bytes
        return b"".join([token_bytes[id] for id in ids])

    def ids_starting_with(self, typed: bytes) -> np.ndarray:
        """Ids (int64, sorted by their bytes) whose bytes start with `typed`; all but the reserved ones for b""."""
        start = bisect_left(self._sorted_bytes, typed)
        stem = typed.rstrip(b"\xff")  # 0xff has no successor: the bound is that of the byte before it
        if not stem:
            return self._sorted_ids[start:]
        end = bisect_left(self._sorted_bytes, stem[:-1] + bytes([stem[-1] + 1]), lo=start)
        return self._sorted_ids[start:end]


def tokenizer_json(merges: Iterable[tuple[str, str]]) -> str:
    """The file for merges given in the byte-level alphabet, in order of rank."""
    vocab = {name: id for id, name in enumerate(RESERVED_NAMES)}
    for byte, char in enumerate(byte_chars()):
        vocab[char] = NUM_RESERVED + byte
    kept = []
    for left, right in merges:
        kept.append([left, right])
        vocab.setdefault(left + right, len(vocab))
    return json.dumps(_spec(vocab, kept), ensure_ascii=False, indent=0) + "\n"


def byte_chars() -> list[str]:
    """The printable character that stands for each byte in the file: GPT-2's `bytes_to_unicode` map."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = iter(range(0x100, 0x200))
    shown = set(visible)
    return [chr(byte) if byte in shown else chr(next(hidden)) for byte in range(256)]


class _Foreign(ValueError):
    pass


def _spec(vocab: dict[str, int], merges: list[list[str]]) -> dict:
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": PIECES}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": merges,
        },
    }


def _token_bytes(spec: dict) -> tuple[bytes, ...]:
    """Bytes per id; _Foreign unless everything but vocabulary and merges is exactly what we write."""
    vocab, merges = spec["model"]["vocab"], spec["model"]["merges"]
    expected = _spec(vocab, merges)
    for key in ("added_tokens", "normalizer", "pre_tokenizer", "model"):
        if spec.get(key) != expected[key]:
            raise _Foreign(f"its {key} is another one")
    names = sorted(vocab, key=vocab.__getitem__)
    if [vocab[name] for name in names] != list(range(len(names))) or tuple(names[:NUM_RESERVED]) != RESERVED_NAMES:
        raise _Foreign("its first 64 ids are not the reserved ones")
    to_byte = {char: byte for byte, char in enumerate(byte_chars())}
    if names[NUM_RESERVED:NUM_BASE] != list(to_byte):
        raise _Foreign("its ids 64 to 319 are not the bytes")
    try:
        texts = [bytes([to_byte[char] for char in name]) for name in names[NUM_RESERVED:]]
    except KeyError:
        raise _Foreign("a token is not written in the byte alphabet") from None
    return (b"",) * NUM_RESERVED + tuple(texts)


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise TokenizerError(
            f"the text holds a lone surrogate (U+{code:04X} at {error.start}) and is no Unicode"
        ) from None


def pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """The cut into pieces alone, in the byte alphabet; the trainer needs it before there are merges."""
    return tokenizers.Tokenizer.from_str(tokenizer_json([])).pre_tokenizer  # type: ignore[return-value]
