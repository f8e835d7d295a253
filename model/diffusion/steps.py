"""Canvases on their way, whatever writes them, and one pass of the network for any number of them.

Steps say which rows their next pass needs, somebody runs the network (here), and they take what it gave. So the block
sampler (sampler.py) and speculation (speculate.py) run alone or side by side, in one pass with each other and with the
prefill of long prompts, and in fp32 each writes what it would write alone. Source: this project's own design, after
iteration-level scheduling (Orca, OSDI 2022). Left out: which of them run together (model/engine/scheduler.py).

Shapes: C clean rows that are wanted, N noisy rows, M rows for the head, D width, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from model.diffusion.frames import Frame, Interruption
from model.network.kv_cache import KVCache
from model.network.many_passes import Pass, many_passes
from model.network.one_pass import Rows
from model.network.transformer import Transformer

Expired = Callable[[], Interruption | None]


@dataclass(frozen=True, slots=True)
class PassRows:
    """What a pass must run: clean rows, of which the last `num_wanted` are read, and a noisy block behind them.

    positions: of all rows, where they do not simply follow what is cached. unit: clean rows run ahead in so many at
    once; 0 = not at all.
    """

    clean_ids: Sequence[int]
    num_wanted: int
    tokens: Sequence[int] = ()
    states: Sequence[int] = ()
    positions: Sequence[int] = ()
    unit: int = 1

    @property
    def num_rows(self) -> int:
        return len(self.clean_ids) + len(self.tokens)

    @property
    def num_ahead(self) -> int:
        """How many of the first clean rows are read by nobody, so that they may run in passes before."""
        if not self.unit:
            return 0
        num_free = len(self.clean_ids) - max(self.num_wanted, 0 if self.tokens else 1)
        return num_free // self.unit * self.unit


class Steps(Protocol):
    """One canvas over one cache of batch 1, step by step, until a frame has a result."""

    cache: KVCache

    @property
    def out_of_steps(self) -> bool: ...

    def frame(self) -> Frame:
        """The canvas as it stands, with the result if it has ended."""
        ...

    def pass_rows(self) -> PassRows:
        """The next pass; asking again gives the same."""
        ...

    def count_ahead(self, num_rows: int) -> None:
        """The first clean rows of the next pass ran and count in the cache."""
        ...

    def read(self, network: Transformer, hidden_CD: Tensor | None, hidden_ND: Tensor | None) -> Tensor | None:
        """After the pass: the rows that the head must read (M, D), or None."""
        ...

    def absorb(self, logits_MV: Tensor | None) -> Frame:
        """Takes fp32 logits of those rows (and may write into them); counts clean rows in the cache."""
        ...

    def interrupt(self, reason: Interruption) -> Frame:
        """Ends it before its next pass; the frame has a result."""
        ...


@torch.inference_mode()
def run_passes(network: Transformer, parts: Sequence[tuple[Steps, int]]) -> list[Frame | None]:
    """One pass for all parts. A part with a number only runs so many of its next pass's first clean rows (None comes
    of it), one with 0 its whole next pass. Rows that must run together do: the number is rounded up to whole units.
    """
    asked = [steps.pass_rows() for steps, _ in parts]
    parts = [(steps, -(-num // max(1, rows.unit)) * rows.unit) for (steps, num), rows in zip(parts, asked, strict=True)]
    passes = [_pass(steps.cache, rows, num) for (steps, num), rows in zip(parts, asked, strict=True)]
    hidden = many_passes(network, passes)
    wanted: list[Tensor | None] = []
    for (steps, num), (hidden_1CD, hidden_1ND) in zip(parts, hidden, strict=True):
        if num:
            steps.cache.advance(num)
            steps.count_ahead(num)
            wanted.append(None)
        else:
            wanted.append(steps.read(network, *(None if h is None else h[0] for h in (hidden_1CD, hidden_1ND))))
    given = iter(_logits(network, [rows for rows in wanted if rows is not None]))
    return [
        None if num else steps.absorb(None if rows is None else next(given))
        for (steps, num), rows in zip(parts, wanted, strict=True)
    ]


def run_alone(network: Transformer, steps: Steps, expired: Expired | None = None) -> Iterator[Frame]:
    """One frame a pass; the last one (and only it) has a result. expired: asked before each pass."""
    frame = steps.frame()
    while frame.result is None:
        reason = "max_steps" if steps.out_of_steps else expired() if expired is not None else None
        if reason is not None:
            frame = steps.interrupt(reason)
            break
        (after,) = run_passes(network, [(steps, 0)])
        assert after is not None
        frame = after
        if frame.result is None:
            yield frame
    yield frame


def _pass(cache: KVCache, rows: PassRows, num_ahead: int) -> Pass:
    device = cache.tokens_device
    if num_ahead:
        assert num_ahead <= rows.num_ahead, f"{num_ahead} rows ahead of {rows.num_ahead}"
        return Pass(cache, Rows(torch.tensor([rows.clean_ids[:num_ahead]], device=device)), None, 0)
    num_clean = len(rows.clean_ids)
    at_clean = at_noisy = None
    if rows.positions:
        at_clean, at_noisy = torch.tensor([rows.positions], device=device).tensor_split([num_clean], dim=1)
    clean = noisy = None
    if num_clean:
        clean = Rows(torch.tensor([rows.clean_ids], device=device), positions_BT=at_clean)
    if rows.tokens:
        states_1T = torch.tensor([rows.states], device=device)
        noisy = Rows(torch.tensor([rows.tokens], device=device), states_1T, positions_BT=at_noisy)
    return Pass(cache, clean, noisy, rows.num_wanted)


def _logits(network: Transformer, rows: Sequence[Tensor]) -> Sequence[Tensor]:
    """fp32 logits of each tensor of rows, from one call of the head."""
    if not rows:
        return []
    if len(rows) == 1:
        return [network.logits(rows[0]).float()]
    return network.logits(torch.cat(list(rows))).float().split([len(each) for each in rows])
