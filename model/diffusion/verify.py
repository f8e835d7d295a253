"""Verify at commit: the pass that makes a block's clean rows also says what the clean stream thinks of its tokens.

A token is doubtful where the clean stream finds it less likely than a bound that falls with its own entropy. What
stands before the first doubtful one counts as committed; that one becomes a mask which cannot be the same token again,
the rest drafts behind it, and the noisy half of the pass is dropped. So a look costs a few rows of the head and a
refusal one step, never a pass of its own. Source: this project's own rule, with the bound of typical acceptance (Cai
et al., Medusa, arXiv 2401.10774, §2.3.1). Later surprises are mostly consequences of the first, so only that is
refused. Left out: the last block (nothing commits it), a healed token (its beginning is the user's), locked text.

Shapes: C clean rows, N rows that are judged, D width, V vocabulary.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from model.diffusion.block import Row
from model.diffusion.states import LOCKED, MASKED
from model.network.transformer import Transformer
from model.tokenizer import EOM, MASK, NUM_RESERVED


class Verifier:
    """One per run. `rows`: what has been committed since the last pass, whose clean rows run with the next one."""

    def __init__(self, epsilon: float) -> None:
        self.rows: list[Row] = []
        self._epsilon = epsilon
        self._fixed: set[int] = set()  # places in `rows` that no doubt can reach
        self._before_D: Tensor | None = None  # hidden clean row of the last token that counts in the cache

    def add(self, row: Row, *, is_fixed: bool) -> None:
        """A row that is committed now."""
        if is_fixed or row.state == LOCKED:
            self._fixed.add(len(self.rows))
        self.rows.append(row)

    def num_wanted(self, num_clean: int) -> int:
        """How many of the pass's last clean rows `judge` has to be given."""
        return min(num_clean, len(self.rows) + 1)

    def judge(self, network: Transformer, hidden_CD: Tensor | None) -> int | None:
        """The first doubtful place in `rows`, or None. hidden_CD: the wanted clean rows of the pass, None if it had
        none.
        """
        if hidden_CD is None:
            return None
        num = len(self.rows)
        if self._before_D is not None and len(hidden_CD) == num:
            hidden_CD = torch.cat((self._before_D.unsqueeze(0), hidden_CD))
        assert len(hidden_CD) == num + 1, "the token before the rows was never read"
        places = [place for place in range(num) if place not in self._fixed]
        doubted = None
        if places and self._epsilon:
            log_p_NV = clean_log_p(network, hidden_CD[torch.tensor(places, device=hidden_CD.device)])
            marks = doubtful(log_p_NV, [self.rows[place].token for place in places], self._epsilon)
            doubted = next((place for place, mark in zip(places, marks, strict=True) if mark), None)
        self._before_D = hidden_CD[num if doubted is None else doubted]
        return doubted

    def take(self) -> list[Row]:
        """The rows, which are forgotten here: they count, or are written anew."""
        rows, self.rows, self._fixed = self.rows, [], set()
        return rows


def refused(row: Row) -> Row:
    """The mask in a doubtful row's place."""
    return Row(MASK, MASKED, row.edits_left, row.token, row.ins_left, row.ins_next)


def clean_log_p(network: Transformer, hidden_ND: Tensor) -> Tensor:
    """fp32 log-probabilities of what follows the rows, -inf at the labels that the clean stream never has."""
    logits_NV = network.logits(hidden_ND).float()
    eom_N = logits_NV[:, EOM].clone()
    logits_NV[:, :NUM_RESERVED] = -torch.inf
    logits_NV[:, EOM] = eom_N
    return logits_NV.log_softmax(dim=-1)


def doubtful(log_p_NV: Tensor, tokens: Sequence[int], epsilon: float) -> list[bool]:
    """Whether each token, which somebody else wrote, is doubtful to the clean stream; the rows are its predictions."""
    p_NV = log_p_NV.exp()
    entropy_N = -(p_NV * log_p_NV.masked_fill(p_NV == 0, 0.0)).sum(-1)
    own_N = p_NV.gather(1, torch.tensor(tokens, device=p_NV.device).unsqueeze(1)).squeeze(1)
    both = zip(own_N.tolist(), entropy_N.tolist(), strict=True)
    return [p < doubtful_below(entropy, epsilon) for p, entropy in both]


def doubtful_below(entropy: float, epsilon: float) -> float:
    """The probability below which a token that somebody else wrote is doubtful to the clean stream, at this entropy
    (nats) of its own prediction.
    """
    return min(epsilon, math.sqrt(epsilon) * math.exp(-entropy))
