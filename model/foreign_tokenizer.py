"""A foreign byte-level BPE behind the interface of ours: its tokens, our ids.

The ids 0 to 63 stay the reserved ones (model/tokenizer.py): the special tokens that a family needs stand on those of
their names, others (marks of chats and holes) from 13 on. The ordinary tokens follow in the order of their foreign ids.
A special token that nobody needs has no id, so no network can say it and no text can become one. Texts are cut and
merged exactly as the foreign tokenizer does, but never normalised, so that the bytes of a text come back; for a text
that is in the normal form already the ids are those of the foreign tokenizer.

Source: the tokenizer.json of the `tokenizers` library; GPT-2's byte alphabet. Left out: SentencePiece models; reading
folders (model/checkpoints/foreign_tokenizer_files.py).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tokenizers

from model.tokenizer import NUM_RESERVED, Tokenizer, TokenizerError, byte_chars

FIRST_EXTRA = 13
RESERVED_NAMES = ("pad", "bos", "eom", "mask", "del", "ins")
"""What a family may put on the ids 0 to 5; the layout tokens of our own models stay empty."""


@dataclass(frozen=True)
class ForeignVocabulary:
    """`foreign_ids[i]` = the foreign id of our id i, None for a reserved id that no foreign token stands on.

    `special_ids`: our ids of the special tokens by name.
    """

    foreign_ids: tuple[int | None, ...]
    special_ids: Mapping[str, int]


class ForeignTokenizer(Tokenizer):
    """Made by `ForeignTokenizer.from_spec`."""

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        token_bytes: tuple[bytes, ...],
        sha256: str,
        vocabulary: ForeignVocabulary,
    ) -> None:
        super().__init__(backend, token_bytes, sha256)
        self.vocabulary = vocabulary
        ordinary = [id for id in vocabulary.foreign_ids[NUM_RESERVED:] if id is not None]
        self._our_ids = [-1] * (max(ordinary) + 1)
        for ours, theirs in enumerate(ordinary, NUM_RESERVED):
            self._our_ids[theirs] = ours

    @classmethod
    def from_spec(cls, spec: dict[str, Any], special: Mapping[str, str], *, name: str) -> "ForeignTokenizer":
        """From the contents of a tokenizer.json and `Preset.special`. TokenizerError with one sentence; `name` stands
        in it.
        """
        spec = plain_spec(spec, name=name)
        vocabulary, token_bytes = vocabulary_of(spec, special, name=name)
        text = json.dumps({key: value for key, value in spec.items() if key != "special_ids"}, ensure_ascii=False)
        sha256 = hashlib.sha256(f"{text}{json.dumps(dict(special))}".encode()).hexdigest()
        return cls(_backend(text, name), token_bytes, sha256, vocabulary)

    def special_id(self, name: str) -> int:
        """Our id of a special token. KeyError for a name that the preset does not have."""
        return self.vocabulary.special_ids[name]

    def encode(self, text: str) -> list[int]:
        return self._ours(super().encode(text))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._ours(ids) for ids in super().encode_batch(texts)]

    def _ours(self, ids: list[int]) -> list[int]:
        our_ids = self._our_ids
        return [our_ids[id] for id in ids]


def plain_spec(spec: dict[str, Any], *, name: str) -> dict[str, Any]:
    """The spec with nothing that adds, normalises or recognises; checked to be a byte-level BPE. TokenizerError."""
    try:
        model, pieces = spec["model"], spec["pre_tokenizer"]
        vocab, merges = model["vocab"], model["merges"]
        added = {token["content"] for token in spec.get("added_tokens") or []}
    except (KeyError, TypeError):
        raise TokenizerError(f"{name} is no tokenizer of the Hugging Face format with merges") from None
    chars = byte_chars()
    if model.get("type", "BPE") != "BPE" or model.get("byte_fallback") or any(char not in vocab for char in chars):
        raise TokenizerError(f"{name} is no byte-level BPE, and only such a tokenizer can be used")
    steps = pieces.get("pretokenizers", [pieces]) if isinstance(pieces, dict) else []
    if not any(step.get("type") == "ByteLevel" and not step.get("add_prefix_space") for step in steps):
        raise TokenizerError(f"{name} cuts texts in a way that cannot be undone, and only a byte-level one can be used")
    if not _harmless(spec.get("normalizer")):
        raise TokenizerError(f"{name} rewrites texts before it cuts them, which is not supported")
    merged = {"".join(merge.split(" ") if isinstance(merge, str) else merge) for merge in merges}
    dropped = added - merged - set(chars)  # so that no text becomes one, not even where merges are ignored
    kept = {text: id for text, id in vocab.items() if text not in dropped} if dropped & vocab.keys() else vocab
    special = {token["content"]: token["id"] for token in spec.get("added_tokens") or []}
    special |= {text: vocab[text] for text in dropped & vocab.keys()}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": pieces,
        "post_processor": None,
        "decoder": None,
        "model": {"type": "BPE", **model, "vocab": kept, "dropout": None},
        "special_ids": special,
    }


def vocabulary_of(
    spec: dict[str, Any], special: Mapping[str, str], *, name: str
) -> tuple[ForeignVocabulary, tuple[bytes, ...]]:
    """Which foreign id stands on each of ours, and the bytes of each, from a `plain_spec`. TokenizerError."""
    known: dict[str, int] = spec["special_ids"]
    foreign: list[int | None] = [None] * NUM_RESERVED
    special_ids: dict[str, int] = {}
    next_extra = FIRST_EXTRA
    for ours, text in special.items():
        if ours in RESERVED_NAMES:
            id = RESERVED_NAMES.index(ours)
        else:
            id, next_extra = next_extra, next_extra + 1
        if id >= NUM_RESERVED:
            raise TokenizerError(f"{name} has more special tokens than there are reserved ids")
        theirs = int(text[1:]) if text.startswith("#") and text[1:].isdecimal() else known.get(text)
        if theirs is None:
            raise TokenizerError(f"{name} has no token {text}, which its family needs as {ours}")
        foreign[id] = theirs
        special_ids[ours] = id
    taken = {id for id in foreign if id is not None}
    kept = [(id, text) for id, text in _ordinary(spec) if id not in taken]
    vocabulary = ForeignVocabulary((*foreign, *(id for id, _ in kept)), special_ids)
    return vocabulary, (b"",) * NUM_RESERVED + tuple(text for _, text in kept)


def _ordinary(spec: dict[str, Any]) -> list[tuple[int, bytes]]:
    """The ordinary tokens as (foreign id, bytes) in the order of their ids."""
    to_byte = {char: byte for byte, char in enumerate(byte_chars())}
    special = set(spec["special_ids"].values())
    found = []
    for text, id in spec["model"]["vocab"].items():
        try:
            found.append((id, bytes([to_byte[char] for char in text])))
        except KeyError:
            continue  # not in the byte alphabet: no text can reach it
    return sorted((id, text) for id, text in found if id not in special and text)


def _backend(text: str, name: str) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # the library raises bare Exception
        raise TokenizerError(
            f"{name} is not a readable tokenizer file ({' '.join(str(error).split())[:200]})"
        ) from None


def _harmless(normalizer: Any) -> bool:
    """Whether nothing but Unicode's normal form is made, which code is in already, but for rare comments."""
    if normalizer is None:
        return True
    if normalizer.get("type") == "Sequence":
        return all(_harmless(part) for part in normalizer.get("normalizers", []))
    return normalizer.get("type") == "NFC"
