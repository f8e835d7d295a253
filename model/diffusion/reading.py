"""From hidden rows to what the sampler decides on: each row's best allowed label and its probability.

Source: this project's own rules (labels a row can never have are −∞ before the soft-max, in fp32; a healed
token). The noise of sampling comes from (seed, position, step) alone, so neither batching nor block sizes change a
text. Left out: the fused head that never materialises the logits (kernels/confidence_head); what the numbers decide
(moves.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.diffusion.block import Ask
from model.tokenizer import DEL, EOM, INS, NUM_RESERVED

HEALED_FLOOR = 0.01
"""Below this total probability of all tokens that start with the typed bytes, healing is given up."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How unmasked tokens are drawn; `step` and each row's position make the noise."""

    temperature: float
    top_p: float
    seed: int
    step: int


@dataclass(slots=True)
class Reading:
    """One entry per asked row. label, p: best allowed label and its probability (a locked row's is itself or
    `<ins>`).
    own: probability of the row's present token (0 on masks). sampled, sampled_p: a drawn text token, or the best
    label again.
    healed: total probability of the tokens that start with the typed bytes, None if no row was restricted.
    """

    label: list[int]
    p: list[float]
    own: list[float]
    sampled: list[int]
    sampled_p: list[float]
    healed: float | None = None


def read_logits(
    logits_MV: Tensor,
    asks: Sequence[Ask],
    *,
    prefix_ids: np.ndarray | None = None,
    sampling: Sampling | None = None,
    first_position: int = 0,
) -> Reading:
    """Reads M rows of logits, one per ask. `first_position` is the canvas index of block row 0."""
    logits = logits_MV.float()
    if logits.data_ptr() == logits_MV.data_ptr():
        logits = logits.clone()  # the bans below write in place
    num_rows = len(asks)
    bias = np.full((num_rows, NUM_RESERVED), -np.inf, dtype=np.float32)
    for m, ask in enumerate(asks):
        line = bias[m]
        if ask.eom or ask.token == EOM:
            line[EOM] = 0.0
        if ask.delete:
            line[DEL] = 0.0
        if ask.insert:
            line[INS] = 0.0
    logits[:, :NUM_RESERVED] += torch.from_numpy(bias).to(logits.device)
    for m, ask in enumerate(asks):
        if ask.banned >= 0:
            logits[m, ask.banned] = -torch.inf
    healed = _restrict(logits, asks, prefix_ids)
    # The four columns below are all that leaves the device.
    top = logits.max(dim=-1)
    total = logits.logsumexp(dim=-1)
    tokens = torch.tensor([ask.token for ask in asks], device=logits.device)
    own = logits.gather(1, tokens.unsqueeze(1)).squeeze(1)
    columns = torch.stack((top.values, own, logits[:, INS])).sub_(total).exp_().tolist()
    labels: list[int] = top.indices.tolist()
    p, own_p, ins_p = columns
    for m, ask in enumerate(asks):
        if ask.locked:
            labels[m], p[m] = (INS, ins_p[m]) if ins_p[m] > own_p[m] else (ask.token, own_p[m])
    reading = Reading(labels, p, own_p, labels, p, healed)
    if sampling is not None and sampling.temperature > 0:
        positions = [first_position + ask.index for ask in asks]
        reading.sampled, reading.sampled_p = draw(logits, total, positions, sampling)
    return reading


def _restrict(logits: Tensor, asks: Sequence[Ask], prefix_ids: np.ndarray | None) -> float | None:
    """Leaves row 0 only the tokens that may stand there; gives their total probability before renormalising."""
    if prefix_ids is None or not asks or not asks[0].prefix:
        return None
    ids = torch.from_numpy(np.asarray(prefix_ids, dtype=np.int64)).to(logits.device)
    allowed = logits[0].index_select(0, ids)
    healed = float((allowed.logsumexp(0) - logits[0].logsumexp(0)).exp())
    logits[0] = -torch.inf
    logits[0, ids] = allowed
    return healed


def draw(logits: Tensor, total: Tensor, positions: Sequence[int], sampling: Sampling) -> tuple[list[int], list[float]]:
    """A text token per row by inverse transform, and its probability at temperature 1 (as thresholds are calibrated).

    `<eom>`, `<del>` and `<ins>` are never drawn: where the text ends and what is edited stays with the best label.
    """
    scaled = logits[:, NUM_RESERVED:] / sampling.temperature
    probs = torch.softmax(scaled, dim=-1)
    order: Tensor | None = None
    if sampling.top_p < 1:
        probs, order = probs.sort(dim=-1, descending=True)
        before = probs.cumsum(dim=-1) - probs
        probs = probs.masked_fill(before >= sampling.top_p, 0.0)
    edges = probs.cumsum(dim=-1)
    noise = torch.tensor(
        [[unit_noise(sampling.seed, position, sampling.step)] for position in positions], device=logits.device
    )
    choice = torch.searchsorted(edges, noise * edges[:, -1:], right=True)
    # Rounding may put the draw on an edge behind the last token of any probability.
    choice = torch.minimum(choice, (probs > 0).long().mul(torch.arange(probs.shape[1])).amax(dim=-1, keepdim=True))
    tokens = choice if order is None else order.gather(1, choice)
    tokens = tokens + NUM_RESERVED
    p = (logits.gather(1, tokens).squeeze(1) - total).exp()
    return tokens.squeeze(1).tolist(), p.tolist()


def unit_noise(seed: int, position: int, step: int) -> float:
    """A number in [0, 1) that depends on nothing else: SplitMix64's finaliser over the three (Steele et al., 2014)."""
    word = seed & _WORD
    for part in (position, step):
        word = _mix((word + (part + 1) * 0x9E3779B97F4A7C15) & _WORD)
    return (_mix(word) >> 11) / (1 << 53)


_WORD = (1 << 64) - 1


def _mix(word: int) -> int:
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
    return word ^ (word >> 31)
