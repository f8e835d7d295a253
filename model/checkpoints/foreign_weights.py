"""The weights of a foreign folder as those of our network: checked by the headers, then taken one tensor at a time.

Query, key and value become one matrix, gate and up too, and the experts of a layer one tensor each; of heads that turn
in part the features are put in the order of rope_kv_write, which no product of queries and keys notices. The rows of
embedding and head are put in the order of our ids (model/foreign_tokenizer.py), once; a reserved id without a foreign
token gets the mean of all rows. So memory holds the weights once, and beside them the largest tensor. Source: this
project's network, foreign_shape.py for the names. Left out: quantised files, other formats.

Shapes: V our vocabulary, R rows of the foreign embedding, D width, N heads, K features of a head.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from model.checkpoints.error import CheckpointError
from model.checkpoints.foreign_shape import IGNORED, WeightNames, wanted_weights
from model.checkpoints.precision import Shrink
from model.checkpoints.weight_files import WeightFiles
from model.network.config import Experts, NetworkConfig

DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
ROWS_AT_ONCE = 16_384
_TURNED = (".qkv.weight", ".qkv.bias", ".q_norm.weight", ".k_norm.weight")
_STACKED = (".experts_gate_up", ".experts_out")


def check_weights(
    files: WeightFiles, config: NetworkConfig, names: WeightNames, foreign_ids: tuple[int | None, ...]
) -> None:
    """Names, shapes and types against the headers. Raises CheckpointError with the first that is wrong."""
    embed = f"{names.embed}.weight"
    if embed not in files:
        raise CheckpointError(f"The model in {files.folder} lacks the weight {embed}.")
    num_rows = files[embed].shape[0]
    wanted = wanted_weights(config, names, num_rows)
    for name, shape in wanted.items():
        if name not in files:
            raise CheckpointError(f"The model in {files.folder} lacks the weight {name}.")
        stored = files[name]
        if stored.shape != shape:
            raise CheckpointError(
                f"The weights in {files.folder} do not fit its config.json: {name} has the shape {stored.shape}, "
                f"not {shape}."
            )
        if stored.dtype not in DTYPES:
            raise CheckpointError(f"In {files.folder} {name} is stored as {stored.dtype}, which is not supported.")
    extra = next((name for name in files if name not in wanted and not name.endswith(IGNORED)), None)
    if extra is not None:
        raise CheckpointError(f"The model in {files.folder} holds the weight {extra}, which its family does not know.")
    last = max(id for id in foreign_ids if id is not None)
    if last >= num_rows:
        raise CheckpointError(
            f"The tokenizer in {files.folder} has the token {last}, but the model only {num_rows} rows for tokens."
        )


def load_weights(
    folder: Path,
    config: NetworkConfig,
    names: WeightNames,
    foreign_ids: tuple[int | None, ...],
    device: torch.device | str,
    dtype: torch.dtype | None,
    shrink: Shrink | None = None,
) -> dict[str, Tensor]:
    """Our weights by name on `device`; `dtype` None = that of the stored embedding. `shrink`: see load_checkpoint.
    Raises CheckpointError.
    """
    files = WeightFiles(folder)
    check_weights(files, config, names, foreign_ids)
    dtype = dtype or DTYPES[files[f"{names.embed}.weight"].dtype]
    state: dict[str, Tensor] = {}
    for ours, theirs in _parts(config, names):
        if ours in ("embed.weight", "head.weight"):
            weight = _in_our_order(files.take(theirs[0]), foreign_ids, device, dtype)
        else:
            # The router's bias decides between scores that lie close together, so it keeps its bits.
            weight = _joined(files, theirs, device, torch.float32 if ours.endswith(".router_bias") else dtype)
        if config.d_rotary is not None and ours.endswith(_TURNED):
            weight = _turned_first(weight, config, config.d_rotary)
        if config.experts is not None and ours.endswith(_STACKED):
            weight = weight.unflatten(0, (config.experts.num_experts, -1))
        state[ours] = shrink(ours, weight) if shrink else weight
    return state


def _parts(config: NetworkConfig, names: WeightNames) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Our names, each with the foreign ones whose rows it joins."""
    yield "embed.weight", (f"{names.embed}.weight",)
    if not config.tied_head:
        yield "head.weight", (f"{names.head}.weight",)
    yield "final_norm.weight", (f"{names.final_norm}.weight",)
    for i in range(config.num_layers):
        ours, theirs = f"layers.{i}.", names.layer.format(i)
        qkv = tuple(theirs + name for name in ((names.qkv,) if names.qkv else (names.q, names.k, names.v)))
        yield f"{ours}qkv.weight", tuple(f"{name}.weight" for name in qkv)
        if config.qkv_bias:
            yield f"{ours}qkv.bias", tuple(f"{name}.bias" for name in qkv)
        if config.qk_norm:
            yield f"{ours}q_norm.weight", (f"{theirs}{names.q_norm}.weight",)
            yield f"{ours}k_norm.weight", (f"{theirs}{names.k_norm}.weight",)
        yield f"{ours}attn_out.weight", (f"{theirs}{names.attn_out}.weight",)
        if config.experts is not None and config.is_mixture(i):
            for name, weights in _mixture_parts(config.experts, names):
                yield f"{ours}mixture.{name}", tuple(theirs + weight for weight in weights)
        else:
            yield f"{ours}gate_up.weight", (f"{theirs}{names.gate}.weight", f"{theirs}{names.up}.weight")
            yield f"{ours}mlp_out.weight", (f"{theirs}{names.down}.weight",)
        yield f"{ours}attn_norm.weight", (f"{theirs}{names.attn_norm}.weight",)
        yield f"{ours}mlp_norm.weight", (f"{theirs}{names.mlp_norm}.weight",)


def _mixture_parts(experts: Experts, names: WeightNames) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "router.weight", (f"{names.router}.weight",)
    if experts.router == "sigmoid":
        yield "router_bias", (names.router_bias,)
    each = [names.of_expert(number) for number in range(experts.num_experts)]
    yield "experts_gate_up", tuple(f"{name}.weight" for gate, up, _ in each for name in (gate, up))
    yield "experts_out", tuple(f"{down}.weight" for _, _, down in each)
    if experts.d_shared:
        gate, up, down = names.of_expert(None)
        yield "shared.gate_up.weight", (f"{gate}.weight", f"{up}.weight")
        yield "shared.mlp_out.weight", (f"{down}.weight",)


def _turned_first(weight: Tensor, config: NetworkConfig, d_rotary: int) -> Tensor:
    """The features of queries and keys so that those which turn stand at the start of each half of a head, in place."""
    half, rest = d_rotary // 2, (config.d_head - d_rotary) // 2
    turned, still = torch.arange(d_rotary), torch.arange(d_rotary, config.d_head)
    order_K = torch.cat((turned[:half], still[:rest], turned[half:], still[rest:]))
    heads_NK = weight.unflatten(0, (-1, config.d_head))[: config.num_heads + config.num_kv_heads]
    heads_NK.copy_(heads_NK[:, order_K.to(weight.device)])
    return weight


def _joined(files: WeightFiles, names: tuple[str, ...], device: torch.device | str, dtype: torch.dtype) -> Tensor:
    num_rows = sum(files[name].shape[0] for name in names)
    whole = torch.empty((num_rows, *files[names[0]].shape[1:]), device=device, dtype=dtype)
    start = 0
    for name in names:
        part = files.take(name)
        whole[start : start + len(part)].copy_(part)
        start += len(part)
    return whole


def _in_our_order(
    theirs_RD: Tensor, foreign_ids: tuple[int | None, ...], device: torch.device | str, dtype: torch.dtype
) -> Tensor:
    ours_VD = torch.empty((len(foreign_ids), theirs_RD.shape[1]), device=device, dtype=dtype)
    ids = torch.tensor([-1 if id is None else id for id in foreign_ids])
    for start in range(0, len(foreign_ids), ROWS_AT_ONCE):
        rows = ids[start : start + ROWS_AT_ONCE]
        ours_VD[start : start + len(rows)].copy_(theirs_RD[rows.clamp(min=0)])
    empty = (ids < 0).nonzero().squeeze(1)
    if len(empty):
        ours_VD[empty.to(device)] = theirs_RD.mean(0, dtype=torch.float32).to(device=device, dtype=dtype)
    return ours_VD
