"""canvas_update in one launch, in Triton: one program a block of the batch, which moves every value by one gather.

Source: the rule of reference.py; instead of a search each output position counts the input positions that end at or
before it, 64 × 64 comparisons at the most. Nothing waits for the device. Left out: blocks too wide for one program.

Shapes: B batch, N positions of the input, M = `capacity` positions of the output, X extras.
"""

from collections.abc import Mapping

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.canvas_update.reference import (
    DELETE,
    DRAFT_STATE,
    INSERT,
    MASKED_STATE,
    REMASK,
    SUBSTITUTE,
    UpdatedCanvas,
)

_DELETE, _INSERT, _REMASK, _SUBSTITUTE = (tl.constexpr(kind) for kind in (DELETE, INSERT, REMASK, SUBSTITUTE))
_MASKED, _DRAFT = tl.constexpr(MASKED_STATE), tl.constexpr(DRAFT_STATE)


@triton.jit
def move_rows(
    tokens_ptr,
    states_ptr,
    lengths_ptr,
    kinds_ptr,
    payload_ptr,
    extras_ptr,
    new_tokens_ptr,
    new_states_ptr,
    new_lengths_ptr,
    source_ptr,
    is_new_ptr,
    num_inserted_ptr,
    new_extras_ptr,
    num_blocks,
    N,
    M,
    mask_id,
    pad_id,
    FILLS: tl.constexpr,
    NUM_EXTRAS: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    b = tl.program_id(0)
    i_N = tl.arange(0, BLOCK_N)
    p_M = tl.arange(0, BLOCK_M)
    length = tl.load(lengths_ptr + b).to(tl.int32)
    is_real_N = (i_N < N) & (i_N < length)
    kinds_N = tl.load(kinds_ptr + b * N + i_N, mask=is_real_N, other=_DELETE)
    payload_N = tl.load(payload_ptr + b * N + i_N, mask=is_real_N, other=0).to(tl.int32)

    survives_N = (is_real_N & (kinds_N != _DELETE)).to(tl.int32)
    wanted_N = tl.where(kinds_N == _INSERT, tl.maximum(payload_N, 0), 0)
    before_N = tl.cumsum(wanted_N, 0) - wanted_N
    room = M - tl.sum(survives_N, 0)
    inserted_N = tl.minimum(wanted_N, tl.maximum(room - before_N, 0))
    end_N = tl.cumsum(survives_N + inserted_N, 0)
    new_length = tl.sum(survives_N + inserted_N, 0)

    source_M = tl.sum((end_N[None, :] <= p_M[:, None]).to(tl.int32), 1)
    source_M = tl.minimum(source_M, N - 1)
    end_M = tl.sum(tl.where(i_N[None, :] == source_M[:, None], end_N[None, :], 0), 1)
    is_valid_M = p_M < new_length
    is_new_M = is_valid_M & (p_M < end_M - 1)
    is_kept_M = is_valid_M & (p_M >= end_M - 1)

    inside_M = p_M < M
    kind_M = tl.load(kinds_ptr + b * N + source_M, mask=is_kept_M, other=0)
    load_M = tl.load(payload_ptr + b * N + source_M, mask=is_kept_M, other=0)
    token_M = tl.load(tokens_ptr + b * N + source_M, mask=is_kept_M, other=0)
    state_M = tl.load(states_ptr + b * N + source_M, mask=is_kept_M, other=0)
    token_M = tl.where(kind_M == _SUBSTITUTE, load_M, token_M)
    state_M = tl.where(kind_M == _SUBSTITUTE, _DRAFT, state_M)
    is_mask_M = is_new_M | (kind_M == _REMASK)
    token_M = tl.where(is_valid_M, tl.where(is_mask_M, mask_id, token_M), pad_id)
    state_M = tl.where(is_valid_M, tl.where(is_mask_M, _MASKED, state_M), 0)
    tl.store(new_tokens_ptr + b * M + p_M, token_M, mask=inside_M)
    tl.store(new_states_ptr + b * M + p_M, state_M, mask=inside_M)
    tl.store(source_ptr + b * M + p_M, tl.where(is_valid_M, source_M, -1), mask=inside_M)
    tl.store(is_new_ptr + b * M + p_M, is_new_M.to(tl.int8), mask=inside_M)
    tl.store(new_lengths_ptr + b, new_length)
    tl.store(num_inserted_ptr + b, tl.sum(inserted_N, 0))
    for x in tl.static_range(NUM_EXTRAS):
        value_M = tl.load(extras_ptr + (x * num_blocks + b) * N + source_M, mask=is_kept_M, other=FILLS[x])
        tl.store(new_extras_ptr + (x * num_blocks + b) * M + p_M, value_M, mask=inside_M)


def canvas_update(
    tokens_BN: Tensor,
    states_BN: Tensor,
    lengths_B: Tensor,
    kinds_BN: Tensor,
    payload_BN: Tensor,
    *,
    capacity: int,
    mask_id: int,
    pad_id: int = 0,
    extras: Mapping[str, tuple[Tensor, int]] | None = None,
) -> UpdatedCanvas:
    """As in reference.py. Extras are whole numbers of one type."""
    given = dict(extras or {})
    B, N = tokens_BN.shape
    tokens_BN, states_BN, kinds_BN, payload_BN = (
        values.contiguous() for values in (tokens_BN, states_BN, kinds_BN, payload_BN)
    )
    extras_XBN = torch.stack([values for values, _ in given.values()]) if given else tokens_BN
    new_tokens_BM, new_states_BM = (values.new_empty(B, capacity) for values in (tokens_BN, states_BN))
    lengths_2B = lengths_B.new_empty(2, B)
    source_BM = torch.empty(B, capacity, dtype=torch.int64, device=tokens_BN.device)
    is_new_BM = torch.empty(B, capacity, dtype=torch.int8, device=tokens_BN.device)
    new_extras_XBM = extras_XBN.new_empty(max(1, len(given)), B, capacity)
    move_rows[(B,)](
        tokens_BN,
        states_BN,
        lengths_B,
        kinds_BN,
        payload_BN,
        extras_XBN,
        new_tokens_BM,
        new_states_BM,
        lengths_2B[0],
        source_BM,
        is_new_BM,
        lengths_2B[1],
        new_extras_XBM,
        B,
        N,
        capacity,
        mask_id,
        pad_id,
        FILLS=tuple(fill for _, fill in given.values()),
        NUM_EXTRAS=len(given),
        BLOCK_N=triton.next_power_of_2(N),
        BLOCK_M=triton.next_power_of_2(capacity),
        num_warps=4,  # type: ignore[call-arg]
    )
    return UpdatedCanvas(
        tokens_BM=new_tokens_BM,
        states_BM=new_states_BM,
        lengths_B=lengths_2B[0],
        source_BM=source_BM,
        is_new_BM=is_new_BM.view(torch.bool),
        num_inserted_B=lengths_2B[1],
        extras={name: new_extras_XBM[x] for x, name in enumerate(given)},
    )
