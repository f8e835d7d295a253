"""What a checkpoint says about itself: the contents of its preset.json.

Source: this project. A checkpoint is described by data, not by code; the language server offers only what the preset
says was trained. Left out: reading the folder (load.py) and fetching one (pull.py).
"""

from typing import Literal

import msgspec

from model.checkpoints.prompt_form import PromptForm
from model.network.config import NetworkConfig

FORMAT = 1


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """Calibrated thresholds (probabilities) and block sizes (tokens). `edits`: what the weights were trained for.

    completion: how a hole is written: in blocks of the noisy stream, or speculated (the clean stream's text,
    model/diffusion/speculate.py). num_drafts: most tokens guessed ahead. doubt: epsilon of the check of a given guess.
    verify: epsilon of the look at a block that is committed (model/diffusion/verify.py). tau_rewrite: what tau_edit may
    be where an edit was asked for in words; of several each is tried, and the clean stream chooses
    (model/diffusion/judged.py).

    For foreign weights. order: which masks go first. steps_per_block: None = every mask above tau_mask and always one;
    a number = so many equal quotas of masks. remask: doubtful tokens may become masks again. caching: what a network
    of full attention reuses between passes ("exact" = nothing for such a network, all of it for the others). edits
    "expand-delete": a mask may become two or none. length: whether the canvas grows block by block, is chosen by a look
    at several lengths, or is given by who asks.
    """

    tau_mask: float = 0.5
    tau_edit: float = 0.9
    tau_remask: float = 0.0
    edits: Literal["none", "substitute", "insert-delete", "expand-delete"] = "none"
    first_block: int = 16
    block: int = 32
    completion: Literal["blocks", "speculate"] = "blocks"
    num_drafts: int = 12
    doubt: float | None = None
    verify: float | None = None
    tau_rewrite: tuple[float, ...] = (0.5,)
    order: Literal["leftmost", "confidence", "entropy", "margin"] = "leftmost"
    steps_per_block: int | None = None
    remask: bool = False
    caching: Literal["exact", "none", "prefix", "dual"] = "exact"
    length: Literal["grows", "probed", "given"] = "grows"


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """`trained` holds what is worth knowing about the training: stage, steps, tokens, commit, scores. `weights`: how
    model.safetensors stores the matrices, as floats or as integers with scales (int8.py); "huggingface" = the folder
    keeps the layout of its makers (config.json, one or more *.safetensors, their tokenizer). `edits_listed`: the kinds
    of instructed edit that were measured to work with these weights (`seedling eval edits --list`).

    For foreign weights. family: the name of the data in families/. prompt: how such a model is asked. special: our
    name of a reserved id ("mask", "eom", …) or a name the prompt uses, with the text of the foreign tokenizer's token;
    in this order the latter take the free reserved ids. licence: an SPDX expression, or the name its makers gave it.
    repository, revision: where it came from. published: scores that its makers report; nobody here measured them.
    """

    name: str
    network: NetworkConfig
    format: int = FORMAT
    weights: Literal["float", "int8", "huggingface"] = "float"
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
    family: str = ""
    prompt: PromptForm | None = None
    special: dict[str, str] = {}
    licence: str = ""
    repository: str = ""
    revision: str = ""
    published: dict[str, str | float] = {}


def encode_preset(preset: Preset) -> bytes:
    """Indented JSON, one trailing newline."""
    return msgspec.json.format(msgspec.json.encode(preset), indent=2) + b"\n"


def decode_preset(data: bytes) -> Preset:
    """The preset of preset.json. Raises msgspec.DecodeError or msgspec.ValidationError on foreign input."""
    return msgspec.json.decode(data, type=Preset)
