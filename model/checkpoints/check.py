"""Whether a folder can be used here, step by step, before 16 GB are read: layout, weights, tokens, memory, one pass.

Source: families.py for the layout, foreign_weights.py for names and shapes (from headers alone), fitting.py for the
memory. The pass runs over a few tokens and masks and must give finite numbers. Left out: whether the answers are any
good (`seedling eval`).
"""

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch

from model.checkpoints.error import CheckpointError
from model.checkpoints.families import weight_names
from model.checkpoints.fitting import Precision, fitted
from model.checkpoints.foreign_weights import check_weights
from model.checkpoints.load import load_checkpoint, load_preset, load_tokenizer
from model.checkpoints.memory import Plan, gb, need, num_parameters
from model.checkpoints.precision import shrinker
from model.checkpoints.presets import Preset
from model.checkpoints.weight_files import WeightFiles
from model.foreign_tokenizer import ForeignTokenizer
from model.tokenizer import EOM, MASK

TRIED_TEXT = "def add(a, b):\n    return "
NUM_MASKS = 4

Say = Callable[[str, str], None]
"""Called with what was looked at and what was found."""


def check_folder(
    folder: Path, device: torch.device, dtype: torch.dtype, *, precision: Precision, tries: bool, say: Say
) -> Preset:
    """Says what is found, step by step; raises CheckpointError at the first thing that cannot work. `tries`: reads the
    weights and runs a pass. Gives the preset of the folder, which need not have a preset.json.
    """
    preset = load_preset(folder)
    config = preset.network
    say("layout", f"{preset.name}, {_layout(preset)}, {num_parameters(config) / 1e6:,.0f} M parameters")
    tokenizer = load_tokenizer(folder, preset)
    if tokenizer.vocab_size != config.vocab_size:
        raise CheckpointError(
            f"The tokenizer of {folder} has {tokenizer.vocab_size} tokens, but its network {config.vocab_size}."
        )
    if isinstance(tokenizer, ForeignTokenizer):
        files = WeightFiles(folder)
        check_weights(files, config, weight_names(preset), tokenizer.vocabulary.foreign_ids)
        size = sum(stored.size_bytes for stored in files.values())
        parts = len({stored.path for stored in files.values()})
        say("weights", f"{len(files)} tensors in {parts} file{'s' if parts > 1 else ''}, {gb(size)}: all there")
        missing = [name for name in ("mask", "eom") if tokenizer.vocabulary.foreign_ids[_OURS[name]] is None]
        if missing:
            raise CheckpointError(f"The tokenizer of {folder} has no token for {' and '.join(missing)}.")
    say("tokens", f"{config.vocab_size:,}, with {', '.join(preset.special) or 'those of this program'}")
    plan = fitted(preset, device, dtype, precision)
    say("memory", _memory(preset, plan, device, dtype))
    if tries:
        say("pass", _try(folder, device, dtype, plan))
    return preset


_OURS = {"mask": MASK, "eom": EOM}


def _layout(preset: Preset) -> str:
    c = preset.network
    unit = f", in units of {c.cache_unit}" if c.cache_unit > 1 else ""
    shift = ", rows say the next token" if c.shift else ""
    family = f"family {preset.family}, " if preset.family else ""
    return f"{family}{c.num_layers} layers, attention {c.attention}{unit}{shift}"


def _memory(preset: Preset, plan: Plan, device: torch.device, dtype: torch.dtype) -> str:
    wants = need(preset.network, plan.context_tokens, plan.weights, dtype.itemsize)
    form = str(dtype).removeprefix("torch.") if plan.weights == "full" else plan.weights
    text = (
        f"{gb(wants.total)} on {device}: weights {gb(wants.weights)} ({form}), {plan.context_tokens:,} tokens of "
        f"context {gb(wants.cache)}, work about {gb(wants.work)}"
    )
    return f"{text}. {plan.sentence.rstrip('.')}" if plan.sentence else text


def _try(folder: Path, device: torch.device, dtype: torch.dtype, plan: Plan) -> str:
    started_s = time.monotonic()
    shrink = None if plan.weights == "full" else shrinker(plan.weights)
    with torch.inference_mode():
        checkpoint = load_checkpoint(folder, device, dtype, shrink=shrink)
        loaded_s = time.monotonic()
        network, tokenizer = checkpoint.network, checkpoint.tokenizer
        ids = [*tokenizer.encode(TRIED_TEXT), *[MASK] * NUM_MASKS]
        tokens_BT = torch.tensor([ids], device=device)
        positions_BT = torch.arange(len(ids), device=device)[None]
        mask_BTT = torch.ones(1, len(ids), len(ids), dtype=torch.bool, device=device)
        logits_TV = network.logits(network(tokens_BT, positions_BT, None, mask_BTT)[0, -NUM_MASKS:]).float()
        largest = float(logits_TV.abs().max())
    if not math.isfinite(largest):
        raise CheckpointError(f"The model in {folder} gives numbers that are not finite: its weights are damaged.")
    ended_s = time.monotonic()
    return f"finite; read in {loaded_s - started_s:.1f} s, a pass over {len(ids)} tokens in {ended_s - loaded_s:.2f} s"
