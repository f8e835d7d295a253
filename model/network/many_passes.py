"""Passes of several sequences as one: their rows share every product with the weights, each attends over its own cache.

Source: iteration-level batching with selective attention (Orca, Yu et al., OSDI 2022): what does not mix rows takes all
rows of the iteration as one matrix, what does mix them runs for each sequence. So nothing is padded to the longest
prompt, and a prefill, a denoising step and a check of guesses go together. A lone pass goes to one_pass.py, which knows
compiled layers; sequences whose rows lie in pages go to their runner (paged_runner.py). Left out: choosing what runs
together (model/engine/scheduler.py).

Shapes: B sequences, T rows of all of them, t rows of one, K features of a head, G key-value heads, H query heads, D
model width, S keys of a sequence, E = H·K.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.block_attention.reference import block_attention
from model.network.few_sizes import pad_mask, round_keys, round_rows
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass, plan_of, with_positions
from model.network.packed import PackedLayer
from model.network.transformer import Layer, Transformer

Hidden = tuple[Tensor | None, Tensor | None]
"""Hidden rows of the clean and of the noisy stream, as `one_pass` gives them."""


class Pass(NamedTuple):
    """One sequence's part, as the arguments of `one_pass`; its cache has batch 1 and serves no other part."""

    cache: KVCache
    clean: Rows | None
    noisy: Rows | None
    want_clean: int | None = None


class _Segment(NamedTuple):
    """The rows of the iteration that one sequence owns: the real ones from `start` on, added ones up to `stop`.

    row: cache row of the first. The last layer keeps those from `start + num_dropped` on.
    """

    cache: KVCache
    start: int
    stop: int
    row: int
    num_keys: int
    num_dropped: int
    positions_1t: Tensor
    mask_1tS: Tensor | None


@torch.no_grad()
def many_passes(network: Transformer, passes: Sequence[Pass]) -> list[Hidden]:
    """What `one_pass` gives for each part, and leaves in its cache."""
    in_pages = [part for part in passes if part.cache.runner is not None]
    if in_pages:
        return _with_pages(network, passes, in_pages)
    if len(passes) == 1:
        (only,) = passes
        return [one_pass(network, only.cache, only.clean, only.noisy, want_clean=only.want_clean)]
    rounds = isinstance(network.layers[0], PackedLayer)
    segments: list[_Segment] = []
    for part in passes:
        segments.append(_segment(network, part, segments[-1].stop if segments else 0, rounds=rounds))
    hidden_TD = _run(network, segments, _embed(network, passes, segments, rounds=rounds))
    return [
        _streams(part, segment, rows_tD)
        for part, segment, rows_tD in zip(passes, segments, _kept(segments, hidden_TD), strict=True)
    ]


def _with_pages(network: Transformer, passes: Sequence[Pass], in_pages: Sequence[Pass]) -> list[Hidden]:
    """Sequences in pages as one pass, those with rows side by side as another."""
    runner = in_pages[0].cache.runner
    assert runner is not None
    side_by_side = [part for part in passes if part.cache.runner is None]
    of_pages = iter(runner.run(in_pages))
    of_others = iter(many_passes(network, side_by_side) if side_by_side else ())
    return [next(of_others if part.cache.runner is None else of_pages) for part in passes]


def _segment(network: Transformer, part: Pass, start: int, *, rounds: bool) -> _Segment:
    cache, weight = part.cache, network.embed.weight
    assert cache.batch_size == 1, "a sequence has a cache of its own"
    num_clean, num_noisy = _num(part.clean), _num(part.noisy)
    num_rows, row = num_clean + num_noisy, int(cache.lengths_B[0])
    assert num_rows, "a pass needs clean or noisy rows"
    padded = round_rows(num_rows) if rounds else num_rows
    cache.reserve(row + padded)
    cache.num_pending_B = [num_clean]
    plan = plan_of(network.config, [row], [num_clean], [num_noisy], num_clean, num_noisy, 0, weight)
    plan = with_positions(plan, part.clean, part.noisy)
    num_keys, mask = plan.num_keys, plan.mask_BTS
    if rounds:
        num_keys = round_keys(row + padded, cache.capacity)
        mask = pad_mask(mask, weight.new_empty(1, num_rows, 0), plan.num_keys, (padded, num_keys))
    num_dropped = 0 if part.want_clean is None else max(0, num_clean - part.want_clean)
    if num_dropped == num_rows:
        num_dropped = padded
    elif rounds:
        num_dropped = max(0, padded - round_rows(padded - num_dropped))
    positions = F.pad(plan.positions_BT, (0, padded - num_rows))
    return _Segment(cache, start, start + padded, row, num_keys, num_dropped, positions, mask)


def _embed(network: Transformer, passes: Sequence[Pass], segments: Sequence[_Segment], *, rounds: bool) -> Tensor:
    """(1, T', D): the rows of all segments, and rows of nobody behind them up to a rounded number."""
    tokens, states = [], []
    for part, segment in zip(passes, segments, strict=True):
        num_added = segment.stop - segment.start
        for rows in (part.clean, part.noisy):
            if rows is not None:
                tokens.append(rows.tokens_BT[0])
                given = rows.states_BT if rows is part.noisy else None
                states.append(torch.zeros_like(rows.tokens_BT[0]) if given is None else given[0])
                num_added -= len(tokens[-1])
        if num_added:
            tokens.append(tokens[-1].new_zeros(num_added))
            states.append(tokens[-1])
    total = segments[-1].stop
    if rounds and round_rows(total) > total:
        tokens.append(tokens[-1].new_zeros(round_rows(total) - total))
        states.append(tokens[-1])
    return network.embed_rows(torch.cat(tokens).unsqueeze(0), torch.cat(states).unsqueeze(0))


def _run(network: Transformer, segments: Sequence[_Segment], x_1TD: Tensor) -> Tensor:
    """The kept rows of all segments after the final norm, one behind the other."""
    first, T = segments[0].cache, x_1TD.shape[1]
    positions_1T = F.pad(torch.cat([s.positions_1t for s in segments], 1), (0, T - segments[-1].stop))
    turns_1T2K = network.rope_table.turns(positions_1T, max(s.num_keys for s in segments), x_1TD.dtype)
    cos, sin = turns_1T2K.split(1, dim=-2)
    # Each layer writes its keys and values here; every sequence takes its own.
    k_1GTK, v_1GTK = (first.k_LBGSK.new_empty(1, first.k_LBGSK.shape[2], T, first.k_LBGSK.shape[4]) for _ in "kv")
    last = len(network.layers) - 1
    for i, layer in enumerate(network.layers):
        assert isinstance(layer, Layer | PackedLayer)
        q_1THK = layer.project_into(x_1TD, cos, sin, k_1GTK, v_1GTK, 0)
        attended = [_attend(i, s, q_1THK, k_1GTK, v_1GTK, s.num_dropped if i == last else 0) for s in segments]
        if i == last and any(s.num_dropped for s in segments):
            x_1TD = torch.cat([x_1TD[:, s.start + s.num_dropped : s.stop] for s in segments], 1)
            if not x_1TD.shape[1]:
                break
        num_more = x_1TD.shape[1] - sum(rows.shape[1] for rows in attended)
        if num_more:
            attended.append(attended[0].new_zeros(1, num_more, attended[0].shape[2]))
        x_1TD = layer.finish(x_1TD, torch.cat(attended, 1))
    return network.final_norm(x_1TD)[0]


def _attend(index: int, segment: _Segment, q_1THK: Tensor, k_1GTK: Tensor, v_1GTK: Tensor, num_dropped: int) -> Tensor:
    """One sequence's new keys and values go into its cache; its rows but the dropped ones over it, as (1, t, E)."""
    cache, num_rows = segment.cache, segment.stop - segment.start
    keys_1GSK, values_1GSK = (each[index, :, :, : segment.num_keys] for each in (cache.k_LBGSK, cache.v_LBGSK))
    keys_1GSK[:, :, segment.row : segment.row + num_rows] = k_1GTK[:, :, segment.start : segment.stop]
    values_1GSK[:, :, segment.row : segment.row + num_rows] = v_1GTK[:, :, segment.start : segment.stop]
    if num_dropped == num_rows:
        return q_1THK.new_zeros(1, 0, q_1THK.shape[2] * q_1THK.shape[3])
    mask = None if segment.mask_1tS is None else segment.mask_1tS[:, num_dropped:]
    return block_attention(q_1THK[:, segment.start + num_dropped : segment.stop], keys_1GSK, values_1GSK, mask)


def _kept(segments: Sequence[_Segment], hidden_TD: Tensor) -> list[Tensor]:
    """The rows that the last layer kept, by segment."""
    lengths = [s.stop - s.start - s.num_dropped for s in segments]
    return list(hidden_TD[: sum(lengths)].split(lengths))


def _streams(part: Pass, segment: _Segment, rows_tD: Tensor) -> Hidden:
    num_clean, num_noisy = _num(part.clean), _num(part.noisy)
    num_wanted = num_clean if part.want_clean is None else min(num_clean, part.want_clean)
    first = num_clean - num_wanted - segment.num_dropped  # rounding may have kept more than was wanted
    clean = rows_tD[first : first + num_wanted].unsqueeze(0) if num_wanted else None
    noisy = rows_tD[first + num_wanted : first + num_wanted + num_noisy].unsqueeze(0) if num_noisy else None
    return clean, noisy


def _num(rows: Rows | None) -> int:
    return 0 if rows is None else rows.tokens_BT.shape[1]
