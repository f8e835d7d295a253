"""One pass over the cache: prefill, denoising step, commit, and commit fused with the next step are the same call.

Source: this project's two-stream network (docs: the clean stream is causal, so its keys and values do not depend on any
partition into blocks). Clean rows see the cache and earlier new clean rows; noisy rows see the cache, all new clean
rows and their whole block. In each layer the clean keys and values depend on clean rows only, so the fused call is
exact. Foreign networks may be block-causal (clean rows also see the rest of their aligned unit; exact as long as whole
units run together) or see everything (then clean rows are those whose keys and values are to be kept, and what is kept
is an approximation). Left out: choosing what to run (the sampler), batching over requests (the scheduler), CUDA graphs
and paged caches.

New rows stand in the cache behind the rows that count: clean rows first, then the noisy ones, which stay scratch. So a
pass copies its own rows only, and attention reads a view. Shapes: B batch, C new clean rows, N noisy rows, D width.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kernels.block_attention.reference import additive_mask, block_attention
from model.network.config import NetworkConfig
from model.network.few_sizes import pad_mask, pad_rows, round_keys, round_rows
from model.network.kv_cache import KVCache
from model.network.packed import PackedLayer
from model.network.transformer import Layer, Transformer


@dataclass(frozen=True)
class Rows:
    """New rows of one stream, right padded. Padding may hold any id of the vocabulary and never changes results.

    `states_BT` None = no state vectors (clean rows have none in any case). `lengths_B` None = no padding. Without
    `positions_BT` clean rows start at the cache's lengths, noisy rows behind the new clean rows; given ones lie below
    the number of keys of the pass, and both streams have them or neither.
    """

    tokens_BT: Tensor
    states_BT: Tensor | None = None
    lengths_B: Tensor | None = None
    positions_BT: Tensor | None = None


@dataclass(frozen=True)
class Plan:
    """Where the rows of one pass stand. `rows` as in rope_kv_write; `num_keys` bounds the view of the cache.

    The masks are additive, None = every key is visible; `kept_mask_BKS` is that of the rows that the last layer keeps.
    """

    positions_BT: Tensor
    rows: int | Tensor
    num_keys: int
    mask_BTS: Tensor | None
    kept_mask_BKS: Tensor | None


@torch.no_grad()
def one_pass(
    network: Transformer, cache: KVCache, clean: Rows | None, noisy: Rows | None, *, want_clean: int | None = None
) -> tuple[Tensor | None, Tensor | None]:
    """Run new clean and noisy rows together; gives the hidden rows of both after the final norm, (B,C,D) and (B,N,D).

    The keys and values of the clean rows are written, but count only after `cache.advance`; those of the noisy rows
    never count. Hidden rows of padding are meaningless. Only the last `want_clean` of the C clean rows are given and
    run through the last layer (None = all): a prefill needs keys and values only. An empty stream may be None, as is
    the answer for one without rows.
    """
    num_clean = 0 if clean is None else clean.tokens_BT.shape[1]
    num_noisy = 0 if noisy is None else noisy.tokens_BT.shape[1]
    clean_lengths = _lengths(clean, cache.batch_size)
    noisy_lengths = _lengths(noisy, cache.batch_size)
    cached_lengths = cache.lengths_B.tolist()
    cache.reserve(max(cached_lengths) + num_clean + num_noisy)
    cache.num_pending_B = clean_lengths

    x_BTD = _embed(network, clean, noisy)
    num_dropped = 0 if want_clean is None else max(0, num_clean - want_clean)
    plan = plan_of(
        network.config, cached_lengths, clean_lengths, noisy_lengths, num_clean, num_noisy, num_dropped, x_BTD
    )
    plan = with_positions(plan, clean, noisy)
    hidden_BTD = run_layers(network, cache, x_BTD, plan, num_dropped)
    num_clean -= num_dropped
    return (
        hidden_BTD[:, :num_clean] if num_clean else None,
        hidden_BTD[:, num_clean:] if num_noisy else None,
    )


def run_layers(network: Transformer, cache: KVCache, x_BTD: Tensor, plan: Plan, num_dropped: int) -> Tensor:
    """The hidden rows (B, T − num_dropped, D) after the final norm; writes the keys and values of all rows.

    The first `num_dropped` rows are spared the last layer, of which only their keys and values are needed.
    """
    compiled, num_rows = network.compiled, x_BTD.shape[1]
    if compiled is not None or isinstance(network.layers[0], PackedLayer):
        x_BTD, plan = _in_few_sizes(cache, x_BTD, plan, num_dropped)
    turns_BT2K = network.rope_table.turns(plan.positions_BT, plan.num_keys, x_BTD.dtype)
    if compiled is not None and compiled.serves(x_BTD, plan.rows, plan.mask_BTS):
        assert isinstance(plan.rows, int)
        assert plan.mask_BTS is not None
        x_BTD = compiled.run(x_BTD, turns_BT2K, cache.k_LBGSK, cache.v_LBGSK, plan.rows, plan.mask_BTS)
        return x_BTD[:, num_dropped:num_rows]
    cos, sin = turns_BT2K.split(1, dim=-2)
    mask = plan.mask_BTS
    last = len(network.layers) - 1
    for i, layer in enumerate(network.layers):
        assert isinstance(layer, Layer | PackedLayer)
        q = layer.project_into(x_BTD, cos, sin, cache.k_LBGSK[i], cache.v_LBGSK[i], plan.rows)
        if i == last and num_dropped:
            x_BTD, q, mask = x_BTD[:, num_dropped:], q[:, num_dropped:], plan.kept_mask_BKS
            if num_dropped == num_rows:
                return x_BTD[:, :0]
        keys, values = cache.k_LBGSK[i, :, :, : plan.num_keys], cache.v_LBGSK[i, :, :, : plan.num_keys]
        x_BTD = layer.finish(x_BTD, block_attention(q, keys, values, mask))
    return network.final_norm(x_BTD[:, : num_rows - num_dropped])


def _in_few_sizes(cache: KVCache, x_BTD: Tensor, plan: Plan, num_dropped: int) -> tuple[Tensor, Plan]:
    """The same pass with rounded sizes (few_sizes.py), where it runs one canvas."""
    if x_BTD.shape[0] > 1 or not isinstance(plan.rows, int):
        return x_BTD, plan
    num_rows = round_rows(x_BTD.shape[1])
    cache.reserve(plan.rows + num_rows)
    num_keys = round_keys(plan.rows + num_rows, cache.capacity)
    mask_1TS = pad_mask(plan.mask_BTS, x_BTD, plan.num_keys, (num_rows, num_keys))
    x_1TD, positions_1T = pad_rows(x_BTD, plan.positions_BT, num_rows)
    return x_1TD, Plan(positions_1T, plan.rows, num_keys, mask_1TS, mask_1TS[:, num_dropped:])


def _lengths(rows: Rows | None, batch_size: int) -> list[int]:
    if rows is None:
        return [0] * batch_size
    assert rows.tokens_BT.shape[0] == batch_size, f"{rows.tokens_BT.shape[0]} rows for a cache of batch {batch_size}"
    if rows.lengths_B is None:
        return [rows.tokens_BT.shape[1]] * batch_size
    return rows.lengths_B.tolist()


def _embed(network: Transformer, clean: Rows | None, noisy: Rows | None) -> Tensor:
    parts = []
    if clean is not None:
        parts.append(network.embed_rows(clean.tokens_BT, None))
    if noisy is not None:
        parts.append(network.embed_rows(noisy.tokens_BT, noisy.states_BT))
    assert parts, "a pass needs clean or noisy rows"
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def with_positions(plan: Plan, clean: Rows | None, noisy: Rows | None) -> Plan:
    """The plan with the positions that the rows bring along, if they do."""
    given = [rows.positions_BT for rows in (clean, noisy) if rows is not None]
    known = [positions_BT for positions_BT in given if positions_BT is not None]
    if not known:
        return plan
    assert len(known) == len(given), "either all rows bring their positions or none"
    return replace(plan, positions_BT=torch.cat(known, dim=1))


def plan_of(
    config: NetworkConfig,
    cached: list[int],
    clean: list[int],
    noisy: list[int],
    num_clean: int,
    num_noisy: int,
    num_dropped: int,
    x_BTD: Tensor,
) -> Plan:
    device, dtype = x_BTD.device, x_BTD.dtype
    num_rows = num_clean + num_noisy
    num_keys = max(cached) + num_rows
    even = min(cached) == max(cached) and min(clean) == num_clean and min(noisy) == num_noisy
    if even:
        # The usual case (one canvas): rows are consecutive, and without clean rows everything is visible.
        start = cached[0]
        positions_1T = torch.arange(start, start + num_rows, device=device).unsqueeze(0)
        mask_1TS = None
        if config.attention != "full" and (num_clean > 1 or (num_clean and num_noisy)):
            key_S = torch.arange(num_keys, device=device)
            # A clean row sees up to itself (or its unit's end), a noisy row everything: one bound a row says both.
            bound_T = torch.arange(start, start + num_rows, device=device)
            bound_T = _last_seen(bound_T, config.cache_unit, start + num_clean)
            bound_T[num_clean:] = num_keys
            mask_1TS = additive_mask(key_S <= bound_T[:, None], dtype).unsqueeze(0)
        kept_mask = None if mask_1TS is None or num_dropped == num_clean else mask_1TS[:, num_dropped:]
        return Plan(positions_1T, start, num_keys, mask_1TS, kept_mask)

    cached_B1 = torch.tensor(cached, device=device).unsqueeze(1)
    clean_B1 = torch.tensor(clean, device=device).unsqueeze(1)
    noisy_B1 = torch.tensor(noisy, device=device).unsqueeze(1)
    row_1T = torch.arange(num_rows, device=device).unsqueeze(0)
    is_noisy_1T = row_1T >= num_clean
    # Noisy rows stand behind the padding of the clean rows in the cache, but go on counting from the last real one.
    rows_BT = cached_B1 + row_1T
    positions_BT = torch.where(is_noisy_1T, rows_BT - num_clean + clean_B1, rows_BT)
    key_1S = torch.arange(num_keys, device=device).unsqueeze(0)
    new_BS = key_1S - cached_B1  # index among the new rows; negative = cached
    real_BS = (new_BS < clean_B1) | ((new_BS >= num_clean) & (new_BS < num_clean + noisy_B1))
    allowed_BTS = real_BS.unsqueeze(1)
    if config.attention != "full":
        seen_BT = _last_seen(rows_BT, config.cache_unit, cached_B1 + num_clean) - cached_B1
        bound_BT = torch.where(is_noisy_1T, num_rows, seen_BT)
        allowed_BTS = allowed_BTS & (new_BS.unsqueeze(1) <= bound_BT.unsqueeze(2))
    allowed_BTS = allowed_BTS.expand(len(cached), num_rows, num_keys).clone()
    # A padding row would see nothing where nothing is cached; let it see itself, its output is never used.
    allowed_BTS |= new_BS.unsqueeze(1) == row_1T.unsqueeze(2)
    mask_BTS = additive_mask(allowed_BTS, dtype)
    return Plan(positions_BT, rows_BT, num_keys, mask_BTS, mask_BTS[:, num_dropped:])


def _last_seen(row: Tensor, unit: int, stop: int | Tensor) -> Tensor:
    """The last row that each clean row may see: itself, or the end of its unit, before `stop` in any case."""
    return row if unit == 1 else ((row // unit + 1) * unit).clamp(max=stop) - 1
