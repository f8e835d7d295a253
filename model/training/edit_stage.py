"""The model's own mistakes and drafts for the edit stage: one forward without gradient, sampled at temperature 1.

Half of all substitutions are to be the model's own: in the first half of the rows of a batch every substitution is
left to the model (packing.py marks the places and shows them as masks). What it samples there becomes a draft, and
the block is labelled again, so a sample that happens to be right is simply unchanged text. Half of the drafts in
those rows are its own most probable tokens for a part of the block or for all of it, which stands for a completion
of a keystroke ago; ghost text is greedy too. Source: Seed Diffusion
(arXiv 2508.02193) trains on edits; own errors after Generalized Interpolating Discrete Diffusion (arXiv 2503.04482).
Left out: runs of several steps.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from model.diffusion.corruption import with_own_samples
from model.diffusion.states import MASKED
from model.network.transformer import Transformer
from model.tokenizer import NUM_RESERVED
from model.training.packing import Batch
from model.training.two_stream import Forward, hidden_rows, rows_of, two_stream_hidden


@torch.no_grad()
def with_own_mistakes(
    network: Transformer,
    batch: Batch,
    allowed_KV: Tensor,
    *,
    seed: int,
    bf16: bool,
    forward: Forward = two_stream_hidden,
) -> Batch:
    """The batch with its `own` places sampled from the network (the same seed gives the same samples)."""
    if not batch.own:
        return batch
    device = allowed_KV.device
    num_rows = max(mistake.row for mistake in batch.own) + 1
    part = first_rows(batch, num_rows)
    hidden_BTD = hidden_rows(network, rows_of(part, device), bf16=bf16, forward=forward)
    num_clean = batch.clean_tokens.shape[1]
    where = [(m.row, num_clean + m.offset + place) for m in batch.own for place in m.block.own]
    index = torch.tensor(where, device=device)
    logits_RV = network.logits(hidden_BTD[index[:, 0], index[:, 1]].to(network.head_weight.dtype))
    allowed_V = allowed_KV[MASKED].clone()
    allowed_V[:NUM_RESERVED] = False  # a mistake is text: neither <eom> nor <del>
    probs_RV = torch.softmax(logits_RV.float().masked_fill(~allowed_V, float("-inf")), -1).cpu()
    generator = torch.Generator().manual_seed(seed)
    drawn_R = torch.multinomial(probs_RV, 1, generator=generator).squeeze(1)
    greedy_R = torch.tensor([mistake.block.is_draft for mistake in batch.own for _ in mistake.block.own])
    sampled = iter(torch.where(greedy_R, probs_RV.argmax(-1), drawn_R).tolist())
    tokens, states = batch.noisy_tokens.copy(), batch.noisy_states.copy()
    labels, weights = batch.noisy_labels.copy(), batch.noisy_weights.copy()
    for mistake in batch.own:
        block = with_own_samples(mistake.block, [next(sampled) for _ in mistake.block.own])
        place = (mistake.row, slice(mistake.offset, mistake.offset + len(block.tokens)))
        tokens[place], states[place] = block.tokens, block.states
        labels[place], weights[place] = block.labels, block.weights
    return replace(batch, noisy_tokens=tokens, noisy_states=states, noisy_labels=labels, noisy_weights=weights, own=())


def first_rows(batch: Batch, num_rows: int) -> Batch:
    """The first rows of a batch; its token counts stay those of the whole batch."""
    cut = {
        name: value[:num_rows]
        for name, value in ((name, getattr(batch, name)) for name in Batch.__dataclass_fields__)
        if isinstance(value, np.ndarray)
    }
    return replace(batch, **cut)
