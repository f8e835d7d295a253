"""From hidden rows to what the sampler decides on: each row's best allowed label and its probability.

Source: this project's own rules (labels a row can never have are −∞ before the soft-max, in fp32; a healed
token). The noise of sampling comes from (seed, position, step) alone, so neither batching nor block sizes change a
text. Left out: the fused head that never materialises the logits (kernels/confidence_head); what the numbers decide
(moves.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from model.diffusion.block import Ask
from model.diffusion.healing import TakenBack
from model.diffusion.policy import Order, Policy
from model.diffusion.verify import Verifier
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


def sampling_of(policy: Policy, step: int) -> Sampling | None:
    """None = greedy."""
    return Sampling(policy.temperature, policy.top_p, policy.seed, step) if policy.temperature > 0 else None


@dataclass(slots=True)
class Request:
    """What the next pass of a run must compute: new clean rows (prompt, committed block), the block, the rows to
    read.

    first_position: canvas index of the block's row 0. verifier: judges the clean rows (verify.py), None = nobody does.
    order: what the masks are ordered by.
    """

    clean_ids: list[int]
    tokens: list[int]
    states: list[int]
    asks: list[Ask]
    taken_back: TakenBack | None
    sampling: Sampling | None
    first_position: int
    verifier: Verifier | None = None
    order: Order = "leftmost"


@dataclass(slots=True)
class Reading:
    """One entry per asked row. label, p: best allowed label and its probability (a locked row's is itself or
    `<ins>`).
    own: probability of the row's present token (0 on masks). sampled, sampled_p: a drawn text token, or the best
    label again. healed: total probability of the tokens that start with the typed bytes, None if no row was
    restricted. doubted: which of the rows to commit the clean stream doubts (the others say nothing then), or None.
    score: what masks are ordered by, the greatest first, where that is no probability.
    """

    label: list[int]
    p: list[float]
    own: list[float]
    sampled: list[int]
    sampled_p: list[float]
    healed: float | None = None
    doubted: int | None = None
    score: list[float] | None = None


def read_logits(logits_MV: Tensor, requests: Sequence[Request]) -> list[Reading]:
    """Reads M rows of logits: those asked for by all requests in order. One reading per request.

    fp32 logits are written into (the bans), which saves a copy of M × vocabulary numbers a step.
    """
    logits = logits_MV.float()
    asks = [ask for request in requests for ask in request.asks]
    _ban(logits, asks)
    starts = list(accumulate((len(request.asks) for request in requests), initial=0))
    healed = [
        _restrict(logits[start], request) if request.asks and request.asks[0].prefix else None
        for start, request in zip(starts, requests, strict=False)
    ]
    # These few columns are all that leaves the device.
    top = logits.max(dim=-1)
    total = logits.logsumexp(dim=-1)
    tokens = torch.tensor([ask.token for ask in asks], device=logits.device)
    own = logits.gather(1, tokens.unsqueeze(1)).squeeze(1)
    p, own_p, ins_p = torch.stack((top.values, own, logits[:, INS])).sub_(total).exp_().tolist()
    labels: list[int] = top.indices.tolist()
    for m, ask in enumerate(asks):
        if ask.locked:
            labels[m], p[m] = (INS, ins_p[m]) if ins_p[m] > own_p[m] else (ask.token, own_p[m])
    readings = []
    for i, request in enumerate(requests):
        rows = slice(starts[i], starts[i + 1])
        label, best_p = labels[rows], p[rows]
        reading = Reading(label, best_p, own_p[rows], label, best_p, healed[i])
        if _has_scores(request) and request.asks:
            reading.score = _scores(logits[rows], total[rows], request.order)
        if request.sampling is not None and request.asks:
            positions = [request.first_position + ask.index for ask in request.asks]
            reading.sampled, reading.sampled_p = draw(logits[rows], total[rows], positions, request.sampling)
        readings.append(reading)
    return readings


def _has_scores(request: Request) -> bool:
    """Of a token that was drawn its own probability counts; what is never ordered needs none."""
    return request.order in ("entropy", "margin") or (request.order == "confidence" and request.sampling is None)


def _scores(logits: Tensor, total: Tensor, order: Order) -> list[float]:
    """The log-odds of each row's best label, its negative entropy (nats), or the margin between its two best labels.

    Odds order rows as probabilities do, but do not all round to one: LLaDA and Stable-DiffCoder take probabilities in
    64 bits for that.
    """
    if order == "confidence":
        best = logits.max(dim=-1, keepdim=True)
        others = logits.scatter(1, best.indices, -torch.inf).logsumexp(dim=-1)
        return (best.values.squeeze(1) - others).tolist()
    if order == "entropy":
        return torch.special.entr((logits - total.unsqueeze(1)).exp()).sum(-1).neg().tolist()
    best_two = logits.topk(2, dim=-1).values.sub(total.unsqueeze(1)).exp()
    return (best_two[:, 0] - best_two[:, 1]).tolist()


def _ban(logits: Tensor, asks: Sequence[Ask]) -> None:
    """−∞ at the labels that each row cannot have."""
    bias = np.full((len(asks), NUM_RESERVED), -np.inf, dtype=np.float32)
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


def _restrict(logits_V: Tensor, request: Request) -> float:
    """Leaves a healed row only the tokens that may stand there; gives their total probability before renormalising."""
    assert request.taken_back is not None
    ids = torch.from_numpy(request.taken_back.allowed_ids).to(logits_V.device)
    allowed = logits_V.index_select(0, ids)
    healed = float((allowed.logsumexp(0) - logits_V.logsumexp(0)).exp())
    logits_V.fill_(-torch.inf)
    logits_V[ids] = allowed
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
    columns = torch.arange(probs.shape[1], device=logits.device)
    choice = torch.minimum(choice, torch.where(probs > 0, columns, 0).amax(dim=-1, keepdim=True))
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
