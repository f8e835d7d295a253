"""Blocks on their way from masks to text, many at once: what the later stages record and learn from.

A packed batch (packing.py) whose noisy blocks all begin fully masked, each block standing there `copies` times, so that
one forward reads the same step of many runs. The text before a block is the true one. Source: trajectories of Seed
Diffusion (arXiv 2508.02193, §3.2), as far as one block goes; commits between blocks are not needed for them. Left out:
which rows are revealed (reveal_order.py, rollouts.py).

Shapes: R rows of blocks, V vocabulary.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.diffusion.corruption import MAX_BLOCK, NoisyBlock, mask_block, partition
from model.diffusion.states import DRAFT, MASKED
from model.network.transformer import Transformer
from model.tokenizer import DEL, EOM, MASK
from model.training.noisy_pass import CleanKeys, clean_keys, noisy_hidden
from model.training.packing import Batch, pack
from model.training.samples import Sample, draw_sample
from model.training.shards import Shards
from model.training.two_stream import Rows, rows_of

MIN_BLOCK = 2
_ALL_MASKED = 1.0 - 1e-9  # the level at which mask_block masks every row


@dataclass(frozen=True)
class Run:
    """One copy of a block: noisy places [offset, offset + width) of batch row `row`; `clean` = its true tokens, those
    beyond are surplus masks behind `<eom>`. `group` = number of the block that it is a copy of, within the batch.
    """

    row: int
    offset: int
    width: int
    clean: tuple[int, ...]
    group: int

    @property
    def place(self) -> tuple[int, slice]:
        """Index of its rows in the noisy arrays of the batch."""
        return self.row, slice(self.offset, self.offset + self.width)


@dataclass(frozen=True)
class Reading:
    """What the network says of the rows of all runs, (B, N) arrays; only masked rows that still count are filled.

    best = most probable label, best_log_p = its natural log probability, true_log_p = that of the true token,
    entropy in nats.
    """

    best: np.ndarray
    best_log_p: np.ndarray
    true_log_p: np.ndarray
    entropy: np.ndarray


class BlockRuns:
    """The changing state of all runs of a batch. Arrays are (B, N); rows that are not `alive` are seen by none."""

    def __init__(self, batch: Batch, runs: Sequence[Run]) -> None:
        self.batch, self.runs = batch, tuple(runs)
        self.tokens, self.states = batch.noisy_tokens.copy(), batch.noisy_states.copy()
        self.positions = batch.noisy_positions.copy()
        self.alive = batch.noisy_block >= 0
        self._keys: CleanKeys | None = None
        self._true = np.zeros_like(self.tokens)
        for run in runs:
            row, place = run.place
            self._true[row, place] = [*run.clean, *[EOM] * (run.width - len(run.clean))]

    def write(self, run: Run, rows: Sequence[int], tokens: Sequence[int]) -> None:
        """Makes masked rows of a run visible drafts. Behind a written `<eom>` nothing counts any more; a row that gets
        `<del>` is gone, and those behind it move up.
        """
        for row, token in zip(rows, tokens, strict=True):
            at = run.offset + row
            assert self.states[run.row, at] == MASKED, "a row is written once"
            if token == DEL:
                self.alive[run.row, at] = False
                self.positions[run.row, at + 1 : run.offset + run.width] -= 1
                continue
            self.tokens[run.row, at], self.states[run.row, at] = token, DRAFT
            if token == EOM:
                self.alive[run.row, at + 1 : run.offset + run.width] = False

    def masked(self, run: Run) -> np.ndarray:
        """The rows of a run that are masks and count."""
        place = run.place
        return np.flatnonzero((self.states[place] == MASKED) & self.alive[place])

    def live(self, run: Run) -> np.ndarray:
        """The rows of a run that count."""
        return np.flatnonzero(self.alive[run.place])

    def view(self) -> Batch:
        """The batch as the network sees it now."""
        block = np.where(self.alive, self.batch.noisy_block, -1)
        return replace(
            self.batch,
            noisy_tokens=self.tokens.copy(),
            noisy_states=self.states.copy(),
            noisy_positions=self.positions.copy(),
            noisy_block=block,
        )

    def start_reading(self, network: Transformer, *, bf16: bool) -> None:
        """Runs the clean stream once, for all readings with this network as it is now."""
        self._keys = clean_keys(network, rows_of(self.batch, next(network.parameters()).device), bf16=bf16)

    @torch.no_grad()
    def read(
        self, network: Transformer, allowed_KV: Tensor, *, bf16: bool, only: Iterable[int] | None = None
    ) -> Reading:
        """One pass over the runs with the numbers `only` (None = all). Call `start_reading` first."""
        assert self._keys is not None, "the clean stream has been run"
        wanted = self.alive.copy()
        if only is not None:
            going = np.zeros_like(wanted)
            for number in only:
                going[self.runs[number].place] = True
            wanted &= going
        columns, is_real = _columns(wanted)
        rows = _take(rows_of(self.view(), allowed_KV.device), columns, is_real, self.batch.clean_tokens.shape[1])
        hidden_BND = noisy_hidden(network, self._keys, *rows, bf16=bf16)
        found = {name: np.zeros(self.tokens.shape, np.float32) for name in ("best_log_p", "true_log_p", "entropy")}
        best = np.zeros_like(self.tokens)
        picked = is_real & (np.take_along_axis(self.states, columns, 1) == MASKED)
        b, n = np.nonzero(picked)
        if len(b):
            at = columns[b, n]
            index_b, index_n = (torch.from_numpy(values).to(allowed_KV.device) for values in (b, n))
            true_R = torch.from_numpy(self._true[b, at]).to(allowed_KV.device)
            for name, values in _read_rows(network, hidden_BND[index_b, index_n], true_R, allowed_KV[MASKED]).items():
                (best if name == "best" else found[name])[b, at] = values
        return Reading(best=best, **found)


def _columns(wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The wanted columns (B, n) of each row, padded with unwanted ones, and which of them are real."""
    width = max(1, int(wanted.sum(1).max()))
    order = np.argsort(~wanted, axis=1, kind="stable")[:, :width]
    return order, np.take_along_axis(wanted, order, 1)


def _take(
    rows: Rows, columns: np.ndarray, is_real: np.ndarray, num_clean: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Tokens, positions, states (B, n) and mask (B, n, C + n) of the chosen noisy columns. Padding sees itself."""
    device = rows.tokens_BT.device
    columns_Bn, real_Bn = torch.from_numpy(columns).to(device), torch.from_numpy(is_real).to(device)
    tokens, positions, states = (
        whole[:, num_clean:].gather(1, columns_Bn) for whole in (rows.tokens_BT, rows.positions_BT, rows.states_BT)
    )
    assert rows.noisy_mask_BNT is not None, "runs have noisy rows"
    num_all = rows.noisy_mask_BNT.shape[2]
    mask_BnT = rows.noisy_mask_BNT.gather(1, columns_Bn[:, :, None].expand(-1, -1, num_all))
    to_noisy = mask_BnT[:, :, num_clean:].gather(2, columns_Bn[:, None, :].expand(-1, columns_Bn.shape[1], -1))
    to_noisy = to_noisy & real_Bn[:, :, None] & real_Bn[:, None, :]
    to_noisy |= torch.eye(columns_Bn.shape[1], dtype=torch.bool, device=device)
    return tokens, positions, states, torch.cat((mask_BnT[:, :, :num_clean], to_noisy), 2)


def _read_rows(
    network: Transformer, hidden_RD: Tensor, true_R: Tensor, allowed_V: Tensor, chunk_rows: int = 512
) -> dict[str, np.ndarray]:
    parts: dict[str, list[Tensor]] = {"best": [], "best_log_p": [], "true_log_p": [], "entropy": []}
    for low in range(0, len(hidden_RD), chunk_rows):
        hidden = hidden_RD[low : low + chunk_rows]
        logits = F.linear(hidden, network.head_weight.to(hidden.dtype)).float()
        log_p_RV = logits.masked_fill(~allowed_V, -1e30).log_softmax(-1)
        best_log_p, best = log_p_RV.max(-1)
        true_log_p = log_p_RV.gather(1, true_R[low : low + chunk_rows, None])[:, 0]
        entropy = -(log_p_RV.exp() * log_p_RV).sum(-1)
        for name, value in zip(parts, (best, best_log_p, true_log_p, entropy), strict=True):
            parts[name].append(value)
    return {name: torch.cat(values).cpu().numpy() for name, values in parts.items()}


def draw_runs(
    shards: Shards,
    *,
    seed: int,
    number: int,
    num_rows: int,
    clean_tokens: int,
    noisy_tokens: int,
    copies: int,
    max_block: int = MAX_BLOCK,
) -> BlockRuns:
    """The runs of batch `number`, all masked: a pure function of its arguments. Copies of a block stand together."""
    rows: list[tuple[list[Sample], list[tuple[int, NoisyBlock]]]] = []
    for row in range(num_rows):
        rng = Random(f"runs/{seed}/{number}/{row}")
        samples = draw_row(shards, rng, clean_tokens)
        rows.append((samples, _masked_blocks(samples, rng, noisy_tokens, copies, max_block)))
    batch = pack(rows, clean_tokens=clean_tokens, noisy_tokens=noisy_tokens)
    runs: list[Run] = []
    for row, (_, blocks) in enumerate(rows):
        offset = 0
        for _, block in blocks:
            runs.append(Run(row, offset, len(block.tokens), tuple(block.clean), len(runs) // copies))
            offset += len(block.tokens)
    return BlockRuns(batch, runs)


def draw_row(shards: Shards, rng: Random, num_places: int) -> list[Sample]:
    """Samples that fill a row of so many clean places."""
    samples: list[Sample] = []
    left = num_places
    while left >= 64:
        samples.append(draw_sample(shards, rng, max(64, min(left, num_places // 2))))
        left -= len(samples[-1].ids)
    return samples


def _masked_blocks(
    samples: list[Sample], rng: Random, num_places: int, copies: int, max_block: int
) -> list[tuple[int, NoisyBlock]]:
    """Fully masked blocks, samples taking turns, each `copies` times in a row, at most `num_places` rows in all."""
    waiting: list[tuple[int, NoisyBlock]] = []
    for owner, sample in enumerate(samples):
        canvas = sample.ids[sample.canvas_start :]
        for start, size in partition(len(canvas), rng):
            clean = canvas[start : start + size]
            if len(clean) >= MIN_BLOCK and size <= max_block:
                block = mask_block(clean, start=start, drawn_size=size, level=_ALL_MASKED, rng=rng)
                waiting.append((owner, block))
    rng.shuffle(waiting)
    taken: list[tuple[int, NoisyBlock]] = []
    left = num_places
    for owner, block in waiting:
        if len(block.tokens) * copies <= left:
            taken += [(owner, block)] * copies
            left -= len(block.tokens) * copies
    assert all(set(block.tokens) == {MASK} for _, block in taken), "every row of a new run is a mask"
    return taken
