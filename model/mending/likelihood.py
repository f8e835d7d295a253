"""How likely the clean stream finds a line, and each change of it: one pass for the line, one for all changes.

A change runs only the rows from where it departs from the line; what stands before is shared (forks.py). Source: the
proof of a repair by likelihood, one of this project's own rules. Left out: what the numbers decide (ranking.py).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.diffusion.objective import allowed_labels
from model.diffusion.states import CLEAN
from model.mending.forks import Branch
from model.mending.reader import Reader
from model.tokenizer import EOM


class Judged:
    """A line behind a prompt. `surprisals` of the line's tokens and of the end behind them, in nats."""

    def __init__(self, reader: Reader, prompt_ids: Sequence[int], ids: Sequence[int]) -> None:
        """Empties the reader's cache; it then holds the rows of prompt and line."""
        assert prompt_ids, "the first token needs something before it"
        self._reader = reader
        self.num_prompt = len(prompt_ids)
        self._ids = [*ids, EOM]
        weight = reader.network.head_weight
        banned_V = ~allowed_labels(weight.shape[0])[CLEAN].to(weight.device)
        self._bias_V = torch.zeros(banned_V.shape, device=weight.device).masked_fill_(banned_V, -torch.inf)
        new = [*prompt_ids, *ids]
        hidden_TD = reader.read(new, len(ids) + 1)
        assert hidden_TD is not None
        with torch.inference_mode():
            self._log_p_TV = self._log_p(hidden_TD)
            index_T1 = torch.tensor(self._ids, device=weight.device).unsqueeze(1)
            self.surprisals: list[float] = (-self._log_p_TV.gather(1, index_T1).squeeze(1)).tolist()

    def gains(self, changed: Sequence[Sequence[int]]) -> list[float]:
        """log p of each changed line less that of the line, ends included."""
        starts, branches = [], []
        for ids in changed:
            new = [*ids, EOM]
            start = _common(self._ids, new)
            starts.append(start)
            branches.append(Branch(self.num_prompt + start, new[start:-1]) if start < len(new) - 1 else None)
        hidden = self._reader.run([branch for branch in branches if branch is not None])
        return [
            self._gain(start, [*ids, EOM], None if branch is None else next(hidden))
            for start, ids, branch in zip(starts, changed, branches, strict=True)
        ]

    def _gain(self, start: int, new: list[int], hidden_TD: Tensor | None) -> float:
        if start == len(new) == len(self._ids):
            return 0.0
        before = sum(self.surprisals[start:])
        after = float(self._log_p_TV[start, new[start]])
        if hidden_TD is not None:
            log_p_TV = self._log_p(hidden_TD)
            index_T1 = torch.tensor(new[start + 1 :], device=log_p_TV.device).unsqueeze(1)
            after += float(log_p_TV.gather(1, index_T1).sum())
        return before + after

    def _log_p(self, hidden_TD: Tensor) -> Tensor:
        return (self._reader.network.logits(hidden_TD).float() + self._bias_V).log_softmax(-1)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """The number of equal ids at the start."""
    limit = min(len(a), len(b))
    return next((i for i in range(limit) if a[i] != b[i]), limit)
