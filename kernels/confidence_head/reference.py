"""What the sampler reads from the output head: best label, its probability, log-sum-exp and entropy of each row.

Source: confidence decoding as in LLaDA (arXiv 2502.09992, §2.4) and Fast-dLLM (arXiv 2505.22618); the soft-max is
taken in fp32 over the labels that a row can have, as in training. Left out: sampling at a temperature (take
`label_logits`).

Shapes: R rows, D model width, V vocabulary, K label sets, M ids asked for in each row.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Confidence(NamedTuple):
    """Per row; `gathered` holds the probabilities of the ids asked for (0 for a label that the row cannot have)."""

    ids_R: Tensor  # int64
    probs_R: Tensor  # fp32, probability of ids_R
    logsumexp_R: Tensor  # fp32, of the allowed logits
    entropy_R: Tensor  # fp32, nats
    gathered: Tensor | None  # fp32, shaped like `gather`


def label_logits(hidden_RD: Tensor, head_VD: Tensor, allowed: Tensor | None, sets_R: Tensor | None = None) -> Tensor:
    """fp32 logits (R, V), −inf at labels that a row cannot have.

    `allowed` is bool: None = all; (V,) for every row; (R, V) row by row; or, with `sets_R` (int64), a table (K, V)
    whose row sets_R[r] belongs to row r. At least one label must be allowed in each row.
    """
    logits_RV = F.linear(hidden_RD, head_VD).float()
    if allowed is None:
        return logits_RV
    if sets_R is not None:
        allowed = allowed[sets_R]
    return logits_RV.masked_fill(~allowed, float("-inf"))


def confidence_head(
    hidden_RD: Tensor,
    head_VD: Tensor,
    allowed: Tensor | None = None,
    sets_R: Tensor | None = None,
    gather: Tensor | None = None,
) -> Confidence:
    """Best allowed label of each row and how sure it is. `allowed` and `sets_R` as in `label_logits`; `gather`: int64
    ids (R,) or (R, M) whose probabilities are wanted as well. Among equal logits the smallest id wins on the CPU.
    """
    return confidence_from_logits(label_logits(hidden_RD, head_VD, allowed, sets_R), gather)


def confidence_from_logits(logits_RV: Tensor, gather: Tensor | None = None) -> Confidence:
    """The same from fp32 logits that already hold −inf at labels a row cannot have."""
    logsumexp_R = logits_RV.logsumexp(dim=-1)
    best_R, ids_R = logits_RV.max(dim=-1)
    log_probs_RV = logits_RV - logsumexp_R.unsqueeze(-1)
    probs_RV = log_probs_RV.exp()
    # 0 · −inf is NaN; a finite bound on the logarithm leaves every term with a probability above 0 as it is.
    entropy_R = -(probs_RV * log_probs_RV.clamp_min(-200.0)).sum(dim=-1)
    gathered = None
    if gather is not None:
        gathered = probs_RV.gather(-1, gather.view(gather.shape[0], -1)).view(gather.shape)
    return Confidence(ids_R, (best_R - logsumexp_R).exp(), logsumexp_R, entropy_R, gathered)
