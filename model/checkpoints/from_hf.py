"""A Llama or Qwen checkpoint of the Hugging Face format as the start of a diffusion model of ours.

The shape comes from config.json, the weights by name from safetensors; query, key and value matrices become one, gate
and up too. Our ids follow our own tokenizer (hf_tokenizer.py), so the rows of embedding and head are put in its order;
reserved ids that the checkpoint does not know start at the mean of all rows. The state vectors start at zero: the clean
stream of the result is the checkpoint, which makes the conversion testable, and the noisy stream begins as it (SDAR
and Stable-DiffCoder start so). Source: the model definitions of Llama, Qwen2 and Qwen3. Left out: fetching, sliding
windows, scaled rotary positions, experts, and anything that would need code from the checkpoint.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model.checkpoints.hf_tokenizer import MAX_VOCABULARY, ConvertedTokenizer, convert_tokenizer
from model.checkpoints.load import CheckpointError
from model.network.config import NetworkConfig
from model.network.transformer import Transformer
from model.tokenizer import NUM_RESERVED

QKV_BIAS = {"llama": False, "qwen2": True, "qwen3": False}
"""The families, and whether their projections of queries, keys and values have a bias."""


def read_config(folder: Path, vocab_size: int) -> NetworkConfig:
    """The shape that config.json describes, with our vocabulary. Raises CheckpointError with one sentence."""
    spec = _json(folder / "config.json")
    family = spec.get("model_type")
    if family not in QKV_BIAS:
        known = ", ".join(QKV_BIAS)
        raise CheckpointError(f"{folder} holds a model of the kind {family!r}, but only {known} can be taken over.")
    rope = spec.get("rope_parameters") or spec.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    obstacle = (
        f"scales its rotary positions ({kind})"
        if kind != "default"
        else "uses a sliding window"
        if spec.get("use_sliding_window")
        else f"uses {spec['hidden_act']} instead of silu"
        if spec.get("hidden_act", "silu") != "silu"
        else "has biases that our network has not"
        if spec.get("attention_bias") or spec.get("mlp_bias")
        else None
    )
    if obstacle is not None:
        raise CheckpointError(f"The model in {folder} {obstacle}, which is not supported.")
    try:
        num_heads = int(spec["num_attention_heads"])
        return NetworkConfig(
            vocab_size=vocab_size,
            num_layers=int(spec["num_hidden_layers"]),
            d_model=int(spec["hidden_size"]),
            num_heads=num_heads,
            num_kv_heads=int(spec.get("num_key_value_heads") or num_heads),
            d_head=int(spec.get("head_dim") or spec["hidden_size"] // num_heads),
            d_ff=int(spec["intermediate_size"]),
            rope_theta=float(rope.get("rope_theta", spec.get("rope_theta", 10_000.0))),
            norm_eps=float(spec.get("rms_norm_eps", 1e-6)),
            qkv_bias=QKV_BIAS[family],
            qk_norm=family == "qwen3",
            tied_head="lm_head.weight" not in _Weights(folder),  # config.json leaves out what is its class's default
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'} does not describe a whole model ({error}).") from None


def converted_tokenizer(folder: Path, vocab_size: int = MAX_VOCABULARY) -> ConvertedTokenizer:
    """The checkpoint's tokenizer as one of ours. Raises CheckpointError or ForeignTokenizer."""
    spec = _json(folder / "config.json")
    return convert_tokenizer(
        folder / "tokenizer.json",
        vocab_size=vocab_size,
        begin=_first(spec.get("bos_token_id")),
        end=_first(spec.get("eos_token_id")),
    )


def network_from(folder: Path, tokenizer: ConvertedTokenizer) -> Transformer:
    """The network with the checkpoint's weights, in fp32. Raises CheckpointError with one sentence."""
    network = Transformer(read_config(folder, len(tokenizer.foreign_ids)))
    config = network.config
    found = _Weights(folder)
    state = network.state_dict()
    state["embed.weight"] = _rows(found.take("model.embed_tokens.weight"), tokenizer)
    if not config.tied_head:
        state["head.weight"] = _rows(found.take("lm_head.weight"), tokenizer)
    state["final_norm.weight"] = found.take("model.norm.weight")
    for i in range(config.num_layers):
        ours, theirs = f"layers.{i}", f"model.layers.{i}"
        attention, mlp = f"{theirs}.self_attn", f"{theirs}.mlp"
        qkv = [f"{attention}.{name}_proj" for name in "qkv"]
        state[f"{ours}.qkv.weight"] = torch.cat([found.take(f"{name}.weight") for name in qkv])
        if config.qkv_bias:
            state[f"{ours}.qkv.bias"] = torch.cat([found.take(f"{name}.bias") for name in qkv])
        if config.qk_norm:
            state[f"{ours}.q_norm.weight"] = found.take(f"{attention}.q_norm.weight")
            state[f"{ours}.k_norm.weight"] = found.take(f"{attention}.k_norm.weight")
        state[f"{ours}.attn_out.weight"] = found.take(f"{attention}.o_proj.weight")
        gate_up = [found.take(f"{mlp}.{name}_proj.weight") for name in ("gate", "up")]
        state[f"{ours}.gate_up.weight"] = torch.cat(gate_up)
        state[f"{ours}.mlp_out.weight"] = found.take(f"{mlp}.down_proj.weight")
        state[f"{ours}.attn_norm.weight"] = found.take(f"{theirs}.input_layernorm.weight")
        state[f"{ours}.mlp_norm.weight"] = found.take(f"{theirs}.post_attention_layernorm.weight")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"The weights in {folder} do not fit its config.json ({_one_line(error)}).") from None
    return network


def _rows(theirs_VD: Tensor, tokenizer: ConvertedTokenizer) -> Tensor:
    """The rows of a foreign embedding or head in our order."""
    mean_D = theirs_VD.mean(0)
    rows = [mean_D if i is None or i >= len(theirs_VD) else theirs_VD[i] for i in tokenizer.foreign_ids]
    assert len(rows) >= NUM_RESERVED, "every tokenizer has the reserved ids"
    return torch.stack(rows)


class _Weights:
    """The tensors of all safetensors files of a folder by name, read one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file_of = dict(self._names())

    def __contains__(self, name: str) -> bool:
        return name in self._file_of

    def take(self, name: str) -> Tensor:
        """A tensor in fp32. Raises CheckpointError."""
        if name not in self._file_of:
            raise CheckpointError(f"The model in {self._folder} lacks the weight {name}.")
        with safe_open(self._file_of[name], "pt") as file:
            return file.get_tensor(name).float()

    def _names(self) -> Iterator[tuple[str, Path]]:
        files = sorted(self._folder.glob("*.safetensors"))
        if not files:
            raise CheckpointError(f"There are no weights (*.safetensors) in {self._folder}.")
        for path in files:
            try:
                with safe_open(path, "pt") as file:
                    for name in file.keys():  # noqa: SIM118 (not a dict)
                        yield name, path
            except (SafetensorError, OSError) as error:
                raise CheckpointError(f"{path} is not a readable safetensors file ({_one_line(error)}).") from None


def _json(path: Path) -> dict[str, Any]:
    try:
        spec = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from None
    except ValueError:
        raise CheckpointError(f"{path} is not JSON.") from None
    if not isinstance(spec, dict):
        raise CheckpointError(f"{path} is not a model's description.")
    return spec


def _first(ids: Any) -> int | None:
    """Some models name several ends; the first is the text's."""
    first = ids[0] if isinstance(ids, list) and ids else ids
    return first if isinstance(first, int) else None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
