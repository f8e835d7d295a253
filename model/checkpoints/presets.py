"""What a checkpoint says about itself: the contents of its preset.json.

Source: this project. A checkpoint is described by data, not by code; the language server offers only what the preset
says was trained. Left out: reading the folder (load.py) and fetching one (pull.py).
"""

from typing import Literal

import msgspec

from model.network.config import NetworkConfig

FORMAT = 1


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """Calibrated thresholds (probabilities) and block sizes (tokens). `edits`: what the weights were trained for.

    completion: how a hole is written: in blocks of the noisy stream, or speculated (the clean stream's text,
    model/diffusion/speculate.py). num_drafts: most tokens guessed ahead. doubt: epsilon of the check of a given guess.
    verify: epsilon of the look at a block that is committed (model/diffusion/verify.py). tau_rewrite: what tau_edit may
    be where an edit was asked for in words; of several each is tried, and the clean stream chooses
    (model/diffusion/judged.py).
    """

    tau_mask: float = 0.5
    tau_edit: float = 0.9
    tau_remask: float = 0.0
    edits: Literal["none", "substitute", "insert-delete"] = "none"
    first_block: int = 16
    block: int = 32
    completion: Literal["blocks", "speculate"] = "blocks"
    num_drafts: int = 12
    doubt: float | None = None
    verify: float | None = None
    tau_rewrite: tuple[float, ...] = (0.5,)


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """`trained` holds what is worth knowing about the training: stage, steps, tokens, commit, scores. `weights`: how
    model.safetensors stores the matrices, as floats or as integers with scales (int8.py). `edits_listed`: the kinds of
    instructed edit that were measured to work with these weights (`seedling eval edits --list`).
    """

    name: str
    network: NetworkConfig
    format: int = FORMAT
    weights: Literal["float", "int8"] = "float"
    sampling: Sampling = Sampling()
    languages: tuple[str, ...] = ("python",)
    complete: tuple[Literal["line", "block"], ...] = ("line",)
    rewrite: Literal["none", "listed", "free"] = "none"
    edits_listed: tuple[str, ...] = ()
    fix: bool = False
    mend: bool = False
    next_edit: bool = False
    context_tokens: int = 1024
    trained: dict[str, str | float] = {}


def encode_preset(preset: Preset) -> bytes:
    """Indented JSON, one trailing newline."""
    return msgspec.json.format(msgspec.json.encode(preset), indent=2) + b"\n"


def decode_preset(data: bytes) -> Preset:
    """The preset of preset.json. Raises msgspec.DecodeError or msgspec.ValidationError on foreign input."""
    return msgspec.json.decode(data, type=Preset)
