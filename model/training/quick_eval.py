"""A small, fixed look at held-out text during training: twin bits per byte and the mean masked loss.

The batches are the same in every call (fixed seed), so the numbers of one run compare; they come from the training
mix of documents and holes, not from a benchmark. Left out: everything `seedling eval` measures.
"""

import math

import msgspec
import numpy as np
import torch
from torch import Tensor

from model.diffusion.objective import batch_loss, choose_rows
from model.network.transformer import Transformer
from model.training.mistakes import SlipTable
from model.training.packing import make_batch
from model.training.shards import Shards
from model.training.two_stream import Forward, hidden_rows, rows_of, two_stream_hidden

EVAL_SEED = 20_250_801


class QuickScores(msgspec.Struct, frozen=True, kw_only=True):
    """`twin_bits_per_byte` = next-token loss of the clean stream; `masked_nats` = the bound, nats per canvas token."""

    twin_bits_per_byte: float
    masked_nats: float


@torch.no_grad()
def quick_eval(
    network: Transformer,
    heldout: Shards,
    table: SlipTable,
    allowed_KV: Tensor,
    *,
    num_batches: int,
    rows: int,
    clean_tokens: int,
    noisy_tokens: int,
    bf16: bool,
    forward: Forward = two_stream_hidden,
) -> QuickScores:
    """Scores of `network` on `num_batches` fixed batches of held-out samples."""
    clean_nats = noisy_nats = 0.0
    num_bytes = num_text = num_canvas = 0
    for step in range(num_batches):
        batch = make_batch(
            heldout,
            table,
            stage="mask",
            seed=EVAL_SEED,
            step=step,
            num_rows=rows,
            clean_tokens=clean_tokens,
            noisy_tokens=noisy_tokens,
        )
        every = batch.num_text_tokens + int(np.count_nonzero(batch.noisy_weights))
        chosen = choose_rows(batch, lambda_ar=1.0, num_rows=every, seed=0).to(allowed_KV.device)
        hidden = hidden_rows(network, rows_of(batch, allowed_KV.device), bf16=bf16, forward=forward)
        loss = batch_loss(hidden, network.head_weight.to(hidden.dtype), chosen, allowed_KV, 1.0)
        clean_nats += float(loss.clean) * batch.num_text_tokens
        noisy_nats += float(loss.noisy) * batch.num_canvas_tokens
        labels = batch.clean_labels[batch.clean_labels >= 0]
        num_bytes += int(heldout.num_bytes[labels].sum())
        num_text += batch.num_text_tokens
        num_canvas += batch.num_canvas_tokens
    return QuickScores(
        twin_bits_per_byte=clean_nats / math.log(2) / max(1, num_bytes), masked_nats=noisy_nats / max(1, num_canvas)
    )
