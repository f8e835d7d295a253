"""The loss of a packed batch: weighted cross-entropy on noisy rows plus lambda times next-token loss on the clean
stream.

    loss = sum over noisy rows of weight * CE / canvas tokens  +  lambda_ar * mean CE of clean text rows Masks-only
    blocks weigh n/m a masked row (an unbiased n * mean CE, equal to the 1/t bound for t ~ U(0, 1)); surplus masks
    weigh as one token; edited blocks weigh 1 a row. Source: Seed Diffusion (arXiv 2508.02193), equations 2-4, with
    labels and weights of corruption.py; the head and soft-max are kernels/diffusion_loss. Left out: where rows come
    from (training/packing.py).

Only labelled rows pass the head, a fixed number of them (static shapes): every noisy one, and of the clean stream as
many random ones as still fit, which leaves the expectation unchanged.

Shapes: R chosen rows, T = rows of both streams of the whole batch, flattened, D model width, V vocabulary.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from kernels.diffusion_loss.reference import label_sets
from kernels.ops import ops_for
from model.diffusion.states import CLEAN
from model.tokenizer import DEL, EOM, INS, NUM_RESERVED


@dataclass(frozen=True)
class LossRows:
    """Which rows have a loss: `index_R` into the flattened (B * T) rows, label, weight in the total, and label set
    (state).

    `is_noisy_R` tells the two terms apart for reporting; padding rows have weight 0.
    """

    index_R: Tensor
    labels_R: Tensor
    weights_R: Tensor
    sets_R: Tensor
    is_noisy_R: Tensor

    def to(self, device: torch.device | str) -> "LossRows":
        return LossRows(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class LabelledBatch(Protocol):
    """What the loss reads of a packed batch: clean vectors (B, C), noisy ones (B, N); labels < 0 or weight 0 = no
    loss."""

    @property
    def clean_labels(self) -> np.ndarray: ...
    @property
    def noisy_labels(self) -> np.ndarray: ...
    @property
    def noisy_weights(self) -> np.ndarray: ...
    @property
    def noisy_states(self) -> np.ndarray: ...
    @property
    def num_canvas_tokens(self) -> int: ...


@dataclass(frozen=True)
class Loss:
    """`total` has the gradient. `noisy` = mean weighted CE per canvas token, `clean` = mean next-token CE, both in
    nats."""

    total: Tensor
    noisy: Tensor
    clean: Tensor


def allowed_labels(vocab_size: int) -> Tensor:
    """bool (4, V): labels that a row of each state can have. The sampler bans the same ones."""
    kept = (EOM, DEL, INS)
    return label_sets(
        vocab_size,
        banned=[i for i in range(NUM_RESERVED) if i not in kept],
        banned_when_masked=[INS],
        banned_when_clean=[DEL, INS],
    )


def choose_rows(batch: LabelledBatch, *, lambda_ar: float, num_rows: int, seed: int) -> LossRows:
    """The rows of a batch that have a loss, `num_rows` of them: padded, or a random part of the clean ones.

    Weights are divided by the numbers of canvas and text tokens here, so the total is a plain weighted sum. Raises
    ValueError if the noisy rows alone are more than `num_rows`.
    """
    num_clean = batch.clean_labels.shape[1]
    width = num_clean + batch.noisy_labels.shape[1]
    b, n = np.nonzero(batch.noisy_weights)
    if len(b) > num_rows:
        raise ValueError(f"{len(b)} noisy rows have a loss, but only {num_rows} rows go through the head")
    clean_b, clean_t = np.nonzero(batch.clean_labels >= 0)
    room = num_rows - len(b) if lambda_ar else 0
    if len(clean_b) > room:
        part = np.sort(np.random.default_rng(seed).permutation(len(clean_b))[:room])
        clean_b, clean_t = clean_b[part], clean_t[part]
    padding = np.zeros(num_rows - len(b) - len(clean_b), np.int64)
    noisy_weights = batch.noisy_weights[b, n] / max(1, batch.num_canvas_tokens)
    clean_weights = np.full(len(clean_b), lambda_ar / max(1, len(clean_b)))
    return LossRows(
        torch.from_numpy(np.concatenate((b * width + num_clean + n, clean_b * width + clean_t, padding))),
        torch.from_numpy(np.concatenate((batch.noisy_labels[b, n], batch.clean_labels[clean_b, clean_t], padding))),
        torch.from_numpy(np.concatenate((noisy_weights, clean_weights, padding)).astype(np.float32)),
        torch.from_numpy(
            np.concatenate((batch.noisy_states[b, n], np.full(len(clean_b) + len(padding), CLEAN, np.int64)))
        ),
        torch.from_numpy(np.arange(num_rows) < len(b)),
    )


def batch_loss(
    hidden_BTD: Tensor, head_VD: Tensor, rows: LossRows, allowed_KV: Tensor, lambda_ar: float, *, chunk_rows: int = 256
) -> Loss:
    """The loss of hidden rows of both streams (clean first) against chosen rows. Everything on one device.

    `head_VD` in the type of the hidden rows: the products run in it, soft-max and sums in fp32.
    """
    hidden_RD = hidden_BTD.flatten(0, 1).index_select(0, rows.index_R)
    total, losses_R = ops_for(hidden_RD.device).diffusion_loss(
        hidden_RD, head_VD, rows.labels_R, rows.weights_R, allowed_KV, rows.sets_R, chunk_rows=chunk_rows
    )
    with torch.no_grad():
        weighted_R = torch.where(rows.weights_R != 0, losses_R * rows.weights_R, 0.0)
        noisy = weighted_R[rows.is_noisy_R].sum()
        clean = weighted_R[~rows.is_noisy_R].sum() / (lambda_ar or 1.0)
    return Loss(total, noisy, clean)
