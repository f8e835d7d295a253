"""Checkpoint folders: model.safetensors, tokenizer.json, preset.json; saved, found, loaded and checked.

Source: this project's format, number 1; weights in the safetensors format only (no pickle, no code). A folder of the
Hugging Face layout loads too, with a preset of ours beside its files or without (families.py). Left out: fetching such
folders and mapping their names (foreign_weights.py), optimiser states (training writes its own), the integer form of
the weights itself (int8.py).
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.overrides import TorchFunctionMode

from model.checkpoints.error import CheckpointError
from model.checkpoints.families import family_preset, is_foreign_folder, load_foreign_tokenizer, weight_names
from model.checkpoints.foreign_weights import load_weights
from model.checkpoints.int8 import expand
from model.checkpoints.precision import Shrink
from model.checkpoints.presets import FORMAT, Preset, decode_preset, encode_preset
from model.foreign_tokenizer import ForeignTokenizer
from model.network.transformer import Transformer

if TYPE_CHECKING:
    from model.tokenizer import Tokenizer

WEIGHTS_FILE, TOKENIZER_FILE, PRESET_FILE = "model.safetensors", "tokenizer.json", "preset.json"


@dataclass(frozen=True)
class Checkpoint:
    network: Transformer
    tokenizer: "Tokenizer"
    preset: Preset


def default_checkpoint() -> Path:
    """The folder named by SEEDLING_MODEL, else the embedded model of this installation. It need not exist."""
    chosen = os.environ.get("SEEDLING_MODEL")
    return Path(chosen).expanduser() if chosen else Path(__file__).resolve().parents[1] / "embedded"


def load_preset(folder: Path) -> Preset:
    """The checked preset alone: cheap, for listing what a checkpoint can do. Raises CheckpointError."""
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"There is no checkpoint folder at {folder}.")
    if is_foreign_folder(folder):
        return family_preset(folder)
    path = folder / PRESET_FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"The checkpoint {folder} has no readable {PRESET_FILE}: {error.strerror}.") from error
    # The format number is read first: another format's other fields need not be ours.
    try:
        number = msgspec.json.decode(data, type=_FormatOnly).format
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is not a preset of this program: {error}.") from error
    if number != FORMAT:
        raise CheckpointError(f"{path} has format {number}, but this version of the program reads format {FORMAT}.")
    try:
        return decode_preset(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise CheckpointError(f"{path} is not a preset of this program: {error}.") from error


def load_checkpoint(
    folder: Path | str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    *,
    shrink: Shrink | None = None,
) -> Checkpoint:
    """Network (evaluation mode, no gradients), tokenizer and preset of a checkpoint folder.

    `dtype` None keeps the stored type; integers become floats of `dtype`, or of the other weights' type. `shrink`
    gives the form in which each weight is held, one after the other (precision.py). Raises CheckpointError for a
    missing or foreign folder or file, another format, weights that do not fit the preset's shape, and a tokenizer of
    another vocabulary.
    """
    folder = Path(folder)
    preset = load_preset(folder)
    tokenizer = load_tokenizer(folder, preset)
    if tokenizer.vocab_size != preset.network.vocab_size:
        raise CheckpointError(
            f"The tokenizer of {folder} has {tokenizer.vocab_size} tokens, but its network {preset.network.vocab_size}."
        )
    # On the meta device nothing is allocated, so loading costs one read of the file.
    with torch.device("meta"), _WithoutInitialisation():
        network = Transformer(preset.network)
    if isinstance(tokenizer, ForeignTokenizer):
        foreign_ids = tokenizer.vocabulary.foreign_ids
        weights = load_weights(folder, preset.network, weight_names(preset), foreign_ids, device, dtype, shrink)
    else:
        weights = _load_weights(folder, preset, dtype)
        _check_weights(folder / WEIGHTS_FILE, network.state_dict(), weights)
        weights = {name: w.to(device=device, dtype=dtype) for name, w in weights.items()}
        weights = {name: shrink(name, w) for name, w in weights.items()} if shrink else weights
    network.load_state_dict(weights, assign=True)
    return Checkpoint(network.eval().requires_grad_(False), tokenizer, preset)


def save_checkpoint(
    folder: Path | str,
    network: Transformer,
    preset: Preset,
    tokenizer_file: Path | str,
    *,
    dtype: torch.dtype | None = torch.bfloat16,
) -> None:
    """Write a checkpoint folder (made if missing), as floats; `tokenizer_file` is copied. `dtype` None keeps the
    weights' type. See `write_checkpoint`.
    """
    assert preset.network == network.config, "the preset describes another network"
    weights = {name: w.detach().to("cpu", dtype).contiguous() for name, w in network.state_dict().items()}
    write_checkpoint(folder, weights, msgspec.structs.replace(preset, weights="float"), tokenizer_file)


def write_checkpoint(
    folder: Path | str, weights: dict[str, Tensor], preset: Preset, tokenizer_file: Path | str
) -> None:
    """Write named tensors, stored as `preset.weights` says, and the two other files of a checkpoint folder.

    Each file is replaced in one step, the preset last, so a reader never meets a half-written file.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Not save_file: its file is readable for its owner alone, and a full disk is no OSError there.
    _replace(folder / WEIGHTS_FILE, lambda part: part.write_bytes(save(weights, metadata={"format": "pt"})))
    target = folder / TOKENIZER_FILE
    if not (target.exists() and target.samefile(tokenizer_file)):
        _replace(target, lambda part: shutil.copyfile(tokenizer_file, part))
    _replace(folder / PRESET_FILE, lambda part: part.write_bytes(encode_preset(preset)))


class _WithoutInitialisation(TorchFunctionMode):
    """Skips the random initialisation of modules: on the meta device it does nothing, but the first such call makes
    torch import its compiler (2 to 10 seconds)."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.Tensor.uniform_, torch.nn.init.normal_, torch.nn.init.uniform_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _load_weights(folder: Path, preset: Preset, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """The weights of a checkpoint folder as floats, those stored as integers in `dtype`. Raises CheckpointError."""
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise CheckpointError(f"The checkpoint {folder} has no {WEIGHTS_FILE}.")
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file: {error}.") from error
    if preset.weights == "int8":
        try:
            return expand(weights, dtype)
        except ValueError as error:
            raise CheckpointError(f"{path} is damaged: {error}.") from error
    integers = next((name for name, weight in weights.items() if not weight.is_floating_point()), None)
    if integers is not None:
        raise CheckpointError(f"{path} holds integers as the weight {integers}, but its preset asks for floats.")
    return weights


class _FormatOnly(msgspec.Struct):
    format: int


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    part = path.with_name(path.name + ".part")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def load_tokenizer(folder: Path, preset: Preset) -> "Tokenizer":
    """The tokenizer of a checkpoint folder, ours or foreign. Raises CheckpointError."""
    if preset.weights == "huggingface":
        return load_foreign_tokenizer(folder, preset.special)
    return _load_tokenizer(folder / TOKENIZER_FILE)


def _load_tokenizer(path: Path) -> "Tokenizer":
    from model.tokenizer import Tokenizer

    if not path.is_file():
        raise CheckpointError(f"The checkpoint {path.parent} has no {TOKENIZER_FILE}.")
    try:
        return Tokenizer.load(path)
    except (ValueError, OSError) as error:  # TokenizerError is a ValueError and holds a sentence of its own
        raise CheckpointError(f"The tokenizer of this checkpoint cannot be used: {error}.") from error


def _check_weights(path: Path, wanted: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    for name, weight in wanted.items():
        if name not in found:
            raise CheckpointError(f"{path} lacks the weight {name} that its preset asks for.")
        if found[name].shape != weight.shape:
            raise CheckpointError(
                f"In {path} the weight {name} has shape {tuple(found[name].shape)}, but its preset asks for "
                f"{tuple(weight.shape)}."
            )
    extra = sorted(found.keys() - wanted.keys())
    if extra:
        raise CheckpointError(f"{path} holds the weight {extra[0]}, which its preset does not know.")
