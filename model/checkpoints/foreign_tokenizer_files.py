"""The tokenizer of a foreign folder as the contents of one tokenizer.json, whether or not it has such a file.

Some families (Dream and those made from it) bring Python code with vocab.json and merges.txt instead. Those two are all
that a byte-level BPE is, but for how a text is cut into pieces: that is Qwen 2's expression for every family here, so
the code is never run. Source: the pattern and the classes' files, transformers/models/qwen2/tokenization_qwen2.py
(Apache-2.0), and the `added_tokens_decoder` of tokenizer_config.json. Left out: tokenizers with other pieces.
"""

import json
from pathlib import Path
from typing import Any

from model.checkpoints.error import CheckpointError

QWEN_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_CLASSES = frozenset({"Qwen2Tokenizer", "Qwen2TokenizerFast", "DreamTokenizer"})


def tokenizer_spec(folder: Path) -> dict[str, Any]:
    """The contents of tokenizer.json, made from vocab.json and merges.txt where there is none; every added token that
    tokenizer_config.json or added_tokens.json knows is in it. Raises CheckpointError.
    """
    path = folder / "tokenizer.json"
    spec = _json(path) if path.is_file() else _spec_of_two_files(folder)
    known = {token["content"]: token["id"] for token in spec.get("added_tokens") or []}
    more = {text: id for text, id in added_tokens(folder).items() if text not in known}
    added = [*(spec.get("added_tokens") or []), *({"id": id, "content": text} for text, id in more.items())]
    return {**spec, "added_tokens": added}


def added_tokens(folder: Path) -> dict[str, int]:
    """The tokens beside the vocabulary that the smaller files name. Raises CheckpointError."""
    found: dict[str, int] = {}
    for name in ("tokenizer_config.json", "added_tokens.json"):
        if not (folder / name).is_file():
            continue
        content = _json(folder / name)
        try:
            if name == "added_tokens.json":
                found |= {text: int(id) for text, id in content.items()}
            else:
                decoder = content.get("added_tokens_decoder") or {}
                found |= {token["content"]: int(id) for id, token in decoder.items()}
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CheckpointError(f"{folder / name} does not describe a tokenizer.") from None
    return found


def _spec_of_two_files(folder: Path) -> dict[str, Any]:
    vocab_path, merges_path = folder / "vocab.json", folder / "merges.txt"
    if not (vocab_path.is_file() and merges_path.is_file()):
        raise CheckpointError(f"{folder} has no tokenizer: neither tokenizer.json nor vocab.json with merges.txt.")
    config_path = folder / "tokenizer_config.json"
    kind = _json(config_path).get("tokenizer_class") if config_path.is_file() else None
    if kind not in QWEN_CLASSES:
        raise CheckpointError(
            f"{folder} has a tokenizer of the class {kind}, whose code is never run, and no tokenizer.json."
        )
    try:
        lines = merges_path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{merges_path} cannot be read: {error}.") from None
    merges = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    if any(len(merge) != 2 for merge in merges):
        raise CheckpointError(f"{merges_path} is not a list of merges.")
    pieces = {"type": "Split", "pattern": {"Regex": QWEN_PIECES}, "behavior": "Isolated", "invert": False}
    in_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return {
        "added_tokens": [],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [pieces, in_bytes]},
        "model": {"type": "BPE", "vocab": _json(vocab_path), "merges": merges, "byte_fallback": False},
    }


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from None
    except ValueError:
        raise CheckpointError(f"{path} is not JSON.") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} does not describe a tokenizer.")
    return content
