"""A Llama or Qwen checkpoint of the Hugging Face format as the start of a diffusion model of ours.

The shape comes from config.json (foreign_shape.py), the weights by name from safetensors (foreign_weights.py). Our ids
follow our own tokenizer (hf_tokenizer.py), so the rows of embedding and head are put in its order; reserved ids that
the checkpoint does not know start at the mean of all rows. The state vectors start at zero: the clean stream of
the result is the checkpoint, which makes the conversion testable, and the noisy stream begins as it (SDAR and
Stable-DiffCoder start so). Source: the model definitions of Llama, Qwen2 and Qwen3. Left out: fetching, sliding
windows, scaled rotary positions, experts, and anything that would need code from the checkpoint.
"""

from pathlib import Path
from typing import Any

import torch

from model.checkpoints.error import CheckpointError
from model.checkpoints.foreign_shape import Body, WeightNames, read_json, shape_of
from model.checkpoints.foreign_weights import load_weights
from model.checkpoints.hf_tokenizer import MAX_VOCABULARY, ConvertedTokenizer, convert_tokenizer
from model.checkpoints.weight_files import WeightFiles
from model.network.config import NetworkConfig
from model.network.transformer import Transformer

BODIES: dict[str, Body] = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}


def read_config(folder: Path, vocab_size: int) -> NetworkConfig:
    """The shape that config.json describes, with our vocabulary. Raises CheckpointError with one sentence."""
    path = folder / "config.json"
    spec = read_json(path)
    kind = spec.get("model_type")
    body = BODIES.get(str(kind))
    if body is None:
        known = ", ".join(BODIES)
        raise CheckpointError(f"{folder} holds a model of the kind {kind!r}, but only {known} can be taken over.")
    tied = "lm_head.weight" not in WeightFiles(folder)  # config.json leaves out what is its class's default
    return shape_of(spec, body, path=path, vocab_size=vocab_size, tied_head=tied)


def converted_tokenizer(folder: Path, vocab_size: int = MAX_VOCABULARY) -> ConvertedTokenizer:
    """The checkpoint's tokenizer as one of ours. Raises CheckpointError or UnusableTokenizer."""
    spec = read_json(folder / "config.json")
    return convert_tokenizer(
        folder / "tokenizer.json",
        vocab_size=vocab_size,
        begin=_first(spec.get("bos_token_id")),
        end=_first(spec.get("eos_token_id")),
    )


def network_from(folder: Path, tokenizer: ConvertedTokenizer) -> Transformer:
    """The network with the checkpoint's weights, in fp32. Raises CheckpointError with one sentence."""
    network = Transformer(read_config(folder, len(tokenizer.foreign_ids)))
    ids = tokenizer.foreign_ids
    state = load_weights(folder, network.config, WeightNames(), ids, "cpu", torch.float32)
    if network.state_table is not None:
        state["state_table"] = network.state_table.data
    network.load_state_dict(state)
    return network


def _first(ids: Any) -> int | None:
    """Some models name several ends; the first is the text's."""
    first = ids[0] if isinstance(ids, list) and ids else ids
    return first if isinstance(first, int) else None
