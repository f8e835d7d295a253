"""A byte-level BPE of the Hugging Face format as a tokenizer of ours, and which of its ids each of our ids was.

The merges stay, in their order; the cut into pieces becomes ours (model/tokenizer.py), so that no merge crosses a
newline and indentation stands alone: merges that would are never used again. Where a vocabulary is cut to its first
merges (they are closed: a merge needs only earlier ones), rarer tokens fall into smaller ones. Source: GPT-2's
byte alphabet, which Llama 3 and Qwen 2 and 3 keep. Left out: SentencePiece models (Llama 2), and added tokens, whose
places the reserved ids of ours take.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from model.tokenizer import BOS, EOM, NUM_BASE, NUM_RESERVED, byte_chars, tokenizer_json

MAX_VOCABULARY = 1 << 16  # shards hold 16-bit ids


class UnusableTokenizer(ValueError):
    """A tokenizer that cannot become one of ours; the message is one sentence for the user."""

    @property
    def sentence(self) -> str:
        return str(self)


@dataclass(frozen=True)
class ConvertedTokenizer:
    """`text` = our tokenizer.json. `foreign_ids[i]` = the foreign id of our id i, None for those that have none."""

    text: str
    foreign_ids: tuple[int | None, ...]


def convert_tokenizer(
    path: Path, *, vocab_size: int = MAX_VOCABULARY, begin: int | None = None, end: int | None = None
) -> ConvertedTokenizer:
    """The conversion of a tokenizer.json, cut to `vocab_size` ids; `begin` and `end` = the foreign ids of the text's
    begin and end. Raises UnusableTokenizer.
    """
    if not NUM_BASE <= vocab_size <= MAX_VOCABULARY:
        raise UnusableTokenizer(f"a vocabulary of {vocab_size} is not possible: take {NUM_BASE} to {MAX_VOCABULARY}")
    try:
        spec = json.loads(path.read_bytes())
        model = spec["model"]
        vocab: dict[str, int] = model["vocab"]
        merges = [_pair(merge) for merge in model["merges"]]
        kind = model.get("type")
    except OSError as error:
        raise UnusableTokenizer(f"cannot read the tokenizer {path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnusableTokenizer(f"{path} is no tokenizer of the Hugging Face format with merges") from None
    chars = byte_chars()
    if kind != "BPE" or model.get("byte_fallback") or any(char not in vocab for char in chars):
        raise UnusableTokenizer(f"{path} is no byte-level BPE, and only such a tokenizer can be taken over")
    alphabet = set(chars)
    kept: list[tuple[str, str]] = []
    known: dict[str, int] = {char: NUM_RESERVED + byte for byte, char in enumerate(chars)}
    for left, right in merges:
        whole = left + right
        if left not in known or right not in known or whole not in vocab or not alphabet.issuperset(whole):
            continue
        if whole not in known:
            if NUM_RESERVED + len(known) >= vocab_size:
                break
            known[whole] = NUM_RESERVED + len(known)
        kept.append((left, right))
    foreign: list[int | None] = [None] * NUM_RESERVED + [vocab[name] for name in known]
    foreign[BOS], foreign[EOM] = begin, end
    return ConvertedTokenizer(tokenizer_json(kept), tuple(foreign))


def _pair(merge: object) -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge  # type: ignore[misc]  # both forms exist
    return left, right
