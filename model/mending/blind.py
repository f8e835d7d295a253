"""What the noisy stream would write at each place of a line: holes of every small size, and the edit head's own view.

One branch reads the line as a draft: at each token, how much it prefers another label (the edit margin). Further
branches put one or two masks in place of none, one or two tokens and read what belongs there, blind. All branches
share one cache of prompt and line (forks.py). Source: this project's own design. Left out: longer holes, and filling a
hole in several steps (the sampler's work).
"""

from collections.abc import Sequence
from itertools import accumulate, product
from typing import NamedTuple

import torch
from torch import Tensor

from model.diffusion.objective import allowed_labels
from model.diffusion.policy import MAX_BLOCK
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.mending.forks import Branch
from model.mending.reader import Reader
from model.tokenizer import DEL, EOM, INS, MASK, NUM_RESERVED

SHAPES = ((0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2))
"""(tokens taken out, masks put in)."""
LONG = 32
"""Tokens of a line from which on holes are fewer and see only so many of their neighbours: else work would grow with
the square of the length."""
SHAPES_IF_LONG = ((0, 1), (1, 1), (1, 2))
NUM_LABELS = {1: 5, 2: 2}
"""Best labels tried at each mask, by the number of masks."""


class Filling(NamedTuple):
    """Tokens start..end of the line become `ids`; margin: log p of these less log p of what stood there, both blind
    (less nothing where nothing stood there).
    """

    start: int
    end: int
    ids: tuple[int, ...]
    margin: float


class Draft:
    """The edit head's reading of a line, all of it doubtful."""

    def __init__(self, ids: Sequence[int], log_p_TV: Tensor) -> None:
        """log_p_TV: one row a token and one for the end."""
        self._ids = [*ids, EOM]
        self._log_p_TV = log_p_TV
        self._own = log_p_TV.gather(1, torch.tensor(self._ids, device=log_p_TV.device).unsqueeze(1)).squeeze(1).tolist()

    def margin(self, start: int, end: int, new: Sequence[int]) -> float:
        """log p of the labels that turn tokens start..end into `new` less that of leaving them, a token."""
        row = self._log_p_TV
        old = self._ids[start:end]
        if not old:
            return float(row[start, INS]) - self._own[start]
        num = max(len(old), len(new))
        total = 0.0
        for i in range(len(old)):
            label = new[i] if i < len(new) else DEL
            if label != old[i]:
                total += float(row[start + i, label]) - self._own[start + i]
        return total / num

    def doubt(self) -> list[float]:
        """log p of the best other label less that of the token itself, for each token."""
        others_TV = self._log_p_TV.clone()
        others_TV.scatter_(1, torch.tensor(self._ids, device=others_TV.device).unsqueeze(1), -torch.inf)
        best = others_TV.amax(dim=1).tolist()
        return [other - own for other, own in zip(best, self._own, strict=True)][:-1]


class Holes:
    """Every small hole of a line, read once."""

    def __init__(self, ids: Sequence[int], holes: Sequence[tuple[int, int, int]], log_p_TV: Tensor) -> None:
        """holes: (first token, tokens taken out, masks put in); log_p_TV: one row a mask of all holes in order."""
        self._ids, self._holes, self._log_p_TV = ids, holes, log_p_TV
        self._rows = dict(zip(holes, accumulate((hole[2] for hole in holes), initial=0), strict=False))

    def fillings(self) -> list[Filling]:
        """The best labels of each hole, likeliest first."""
        best = self._log_p_TV.topk(NUM_LABELS[1], dim=1)
        values, labels = best.values.tolist(), best.indices.tolist()
        found: list[Filling] = []
        for start, num_out, num_masks in self._holes:
            row = self._rows[start, num_out, num_masks]
            own = self._own(start, num_out)
            choices = [
                list(zip(values[row + i], labels[row + i], strict=True))[: NUM_LABELS[num_masks]]
                for i in range(num_masks)
            ]
            gone = tuple(self._ids[start : start + num_out])
            for picked in product(*choices):
                new = tuple(label for _, label in picked)
                if new != gone:
                    margin = sum(value for value, _ in picked) / num_masks - own
                    found.append(Filling(start, start + num_out, new, margin))
        return sorted(found, key=lambda filling: -filling.margin)

    def first(self, start: int, token: int, num_out: int) -> float:
        """log p, blind, of `token` where the line's token `start` begins, in the likeliest of the holes there, less
        that of what stood there.
        """
        rows = [row for (at, out, _), row in self._rows.items() if at == start and (out > 0) == (num_out > 0)]
        if not rows:
            return 0.0
        return max(float(self._log_p_TV[row, token]) for row in rows) - self._own(start, min(num_out, 1))

    def _own(self, start: int, num_out: int) -> float:
        """Mean log p a token, blind, of what stood there."""
        if not num_out:
            return 0.0
        row = self._rows[start, num_out, num_out]
        return sum(float(self._log_p_TV[row + i, self._ids[start + i]]) for i in range(num_out)) / num_out


def read_draft(reader: Reader, num_prompt: int, ids: Sequence[int]) -> Draft:
    """The line `ids` behind the prompt's `num_prompt` cached rows (the line's own rows stand behind them)."""
    banned_V = ~allowed_labels(reader.network.head_weight.shape[0])[DRAFT].to(reader.network.head_weight.device)
    banned_V[EOM] = True
    size = MAX_BLOCK - 1
    starts = range(0, max(1, len(ids)), size)
    branches = []
    for start in starts:
        part = list(ids[start : start + size])
        branches.append(Branch(num_prompt + start, [*part, EOM], [DRAFT] * len(part) + [LOCKED]))
    kept = []
    for start, hidden_TD in zip(starts, reader.run(branches), strict=True):
        is_last = start + size >= len(ids)
        kept.append(hidden_TD if is_last else hidden_TD[:-1])
    logits_TV = reader.network.logits(torch.cat(kept)).float()
    end = float(logits_TV[-1, EOM])
    logits_TV[:, banned_V] = -torch.inf
    logits_TV[-1, EOM] = end  # the end may only be itself
    return Draft(ids, logits_TV.log_softmax(-1))


def read_holes(reader: Reader, num_prompt: int, ids: Sequence[int]) -> Holes:
    """All holes of the line behind the prompt's `num_prompt` cached rows (the line's own rows stand behind them)."""
    holes = [
        (start, num_out, num_masks)
        for start in range(len(ids) + 1)
        for num_out, num_masks in (SHAPES if len(ids) <= LONG else SHAPES_IF_LONG)
        if start + num_out <= len(ids)
    ]
    branches = [_hole(num_prompt, ids, *hole) for hole in holes]
    rows: list[Tensor] = []
    for branch, hidden_TD in zip(branches, reader.run(branches), strict=True):
        assert branch.states is not None
        rows += [hidden_TD[row] for row, state in enumerate(branch.states) if state == MASKED]
    logits_TV = reader.network.logits(torch.stack(rows)).float()
    logits_TV[:, :NUM_RESERVED] = -torch.inf
    return Holes(ids, holes, logits_TV.log_softmax(-1))


def _hole(num_prompt: int, ids: Sequence[int], start: int, num_out: int, num_masks: int) -> Branch:
    """A block with the hole; of a line that is long, as much as fits around it."""
    first = 0 if len(ids) <= LONG else max(0, min(start - LONG // 2, len(ids) - num_out - LONG))
    left, right = list(ids[first:start]), list(ids[start + num_out :])
    ends = len(left) + len(right) <= LONG
    right = right if ends else right[: LONG - len(left)]
    block = [*left, *([MASK] * num_masks), *right, *([EOM] if ends else [])]
    states = [LOCKED] * len(left) + [MASKED] * num_masks + [LOCKED] * (len(right) + ends)
    return Branch(num_prompt + first, block, states)
