"""Apply one step's moves to a block of canvas all at once: substitute, delete, insert masks, remask.

Source: this project's edit rule (the paper, arXiv 2508.02193, does not say how lengths are kept): each position yields
0, 1 or 1 + k output positions, a prefix sum of these lengths says where, and one gather moves every per-position value.
Nothing here waits for the device. Left out: deciding on the moves and spending their budgets (the sampler does).

Shapes: B batch, N positions of the input, M = `capacity` positions of the output.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

KEEP, SUBSTITUTE, DELETE, INSERT, REMASK = 0, 1, 2, 3, 4

# The states of a position as everywhere in this project (0 clean, 3 locked): kernels import nothing from the model.
MASKED_STATE, DRAFT_STATE = 1, 2


class UpdatedCanvas(NamedTuple):
    """The block after the moves, right padded (pad id, state 0, each extra's fill value).

    `source_BM`: position in the old block that stands here now, or of the token that a new mask was put before; −1 in
    padding. `is_new_BM`: True for masks that an insert put there. `num_inserted_B`: after clipping.
    """

    tokens_BM: Tensor
    states_BM: Tensor
    lengths_B: Tensor
    source_BM: Tensor
    is_new_BM: Tensor
    num_inserted_B: Tensor
    extras: dict[str, Tensor]


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
    """The canvas after the moves `kinds_BN` (KEEP, SUBSTITUTE, DELETE, INSERT, REMASK), all applied together.

    `payload_BN` is the new token of a SUBSTITUTE (of a mask: unmask) and the number of masks that an INSERT puts
    *before* its position, whose own token stays; it is ignored elsewhere. A substituted position becomes a draft.
    `extras` are more values per position, (B, N) and the fill value for new masks and padding; they move along. What
    stands at or behind lengths_B[b] is ignored. Inserts that would exceed `capacity` are clipped, the rightmost first;
    lengths_B ≤ capacity must hold.
    """
    num_old = tokens_BN.shape[1]
    position_N = torch.arange(num_old, device=tokens_BN.device)
    real_BN = position_N < lengths_B.unsqueeze(1)

    survives_BN = (real_BN & (kinds_BN != DELETE)).long()
    wanted_BN = torch.where(real_BN & (kinds_BN == INSERT), payload_BN, 0).clamp_min(0).long()
    room_B1 = capacity - survives_BN.sum(1, keepdim=True)
    before_BN = wanted_BN.cumsum(1) - wanted_BN
    inserted_BN = torch.minimum(wanted_BN, (room_B1 - before_BN).clamp_min(0))
    end_BN = (survives_BN + inserted_BN).cumsum(1)
    new_lengths_B = end_BN[:, -1]

    # The source of an output position is the first input position that ends behind it; deleted ones yield nothing,
    # so they end where their left neighbour does and are never first.
    position_M = torch.arange(capacity, device=tokens_BN.device)
    output_BM = position_M.expand(tokens_BN.shape[0], -1).contiguous()
    source_BM = torch.searchsorted(end_BN, output_BM, right=True).clamp_max(num_old - 1)
    valid_BM = position_M < new_lengths_B.unsqueeze(1)
    # A run of inserted masks ends with the token itself.
    is_new_BM = valid_BM & (output_BM < end_BN.gather(1, source_BM) - 1)

    substitute_BN = kinds_BN == SUBSTITUTE
    remask_BN = kinds_BN == REMASK
    moved_tokens_BN = torch.where(remask_BN, mask_id, torch.where(substitute_BN, payload_BN, tokens_BN))
    moved_states_BN = torch.where(remask_BN, MASKED_STATE, torch.where(substitute_BN, DRAFT_STATE, states_BN))

    def move(values_BN: Tensor, new: int, padding: int) -> Tensor:
        gathered_BM = torch.where(is_new_BM, new, values_BN.gather(1, source_BM))
        return torch.where(valid_BM, gathered_BM, padding)

    return UpdatedCanvas(
        tokens_BM=move(moved_tokens_BN, mask_id, pad_id),
        states_BM=move(moved_states_BN, MASKED_STATE, 0),
        lengths_B=new_lengths_B,
        source_BM=torch.where(valid_BM, source_BM, -1),
        is_new_BM=is_new_BM,
        num_inserted_B=inserted_BN.sum(1),
        extras={name: move(values_BN, fill, fill) for name, (values_BN, fill) in (extras or {}).items()},
    )
