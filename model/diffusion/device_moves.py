"""The moves of one step decided on the device, for whole batches of blocks, so that a step waits for no host.

Source: the rules of unmasking.py and moves.py, of which these are the same (a test holds it) for checkpoints that write
masks and substitute tokens: thresholds, frontier, end of the text, remasking, budgets. The moves are applied by
kernels/canvas_update. Left out: inserting and deleting, healing, temperature, what edits carry along, bans of single
tokens, canvases of white space (the host's sampler has all of them).

Shapes: B blocks, N rows of a block (its capacity), V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.canvas_update.reference import DELETE, KEEP, REMASK, SUBSTITUTE
from model.diffusion.policy import Policy
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.tokenizer import DEL, EOM, NUM_RESERVED

TEXT, TEXT_OR_END, TEXT_OR_TAIL = 0, 1, 2
"""Label sets: text alone; text and `<eom>`; text, `<eom>` and `<del>` (a mask behind all that is visible)."""


@dataclass(frozen=True)
class Blocks:
    """Tensors on one device. Rows behind `lengths_B` are padding; `end_open_B`: whether the text may end here."""

    tokens_BN: Tensor
    states_BN: Tensor
    lengths_B: Tensor
    edits_left_BN: Tensor
    end_open_B: Tensor


@dataclass(frozen=True)
class Moves:
    """Kinds and payloads for canvas_update; `ended_B`: the text ends in this block, in its last row."""

    kinds_BN: Tensor
    payload_BN: Tensor
    edits_left_BN: Tensor
    ended_B: Tensor


def label_table(vocab_size: int, device: torch.device) -> Tensor:
    """bool (3, V): the labels of each set."""
    allowed = torch.zeros(3, vocab_size, dtype=torch.bool, device=device)
    allowed[:, NUM_RESERVED:] = True
    allowed[TEXT_OR_END:, EOM] = True
    allowed[TEXT_OR_TAIL, DEL] = True
    return allowed


def label_sets_of(blocks: Blocks) -> Tensor:
    """(B, N) int64: the label set of each row."""
    position_N, is_real_BN = _places(blocks)
    is_mask_BN = is_real_BN & (blocks.states_BN == MASKED)
    may_end_BN = blocks.end_open_B[:, None] & (
        position_N > _last(is_real_BN & (blocks.states_BN == LOCKED), position_N)
    )
    is_tail_BN = is_mask_BN & (position_N > _last(is_real_BN & ~is_mask_BN, position_N))
    return torch.where(may_end_BN, torch.where(is_tail_BN, TEXT_OR_TAIL, TEXT_OR_END), TEXT)


def decide_on_device(blocks: Blocks, labels_BN: Tensor, p_BN: Tensor, own_BN: Tensor, policy: Policy) -> Moves:
    """All moves of one step. labels, p: each row's best label of its set and its probability; own: that of its token.

    `policy.edits` is "none" or "substitute".
    """
    assert policy.edits in ("none", "substitute"), policy.edits
    assert policy.tau_carry is None
    position_N, is_real_BN = _places(blocks)
    lengths_B1 = blocks.lengths_B[:, None]
    is_mask_BN = is_real_BN & (blocks.states_BN == MASKED)
    behind_BN = position_N > _last(is_real_BN & ~is_mask_BN, position_N)

    says_end_BN = is_mask_BN & ((labels_BN == EOM) | ((labels_BN == DEL) & behind_BN)) & blocks.end_open_B[:, None]
    frontier_B1 = _first(says_end_BN, position_N, lengths_B1)
    is_left_BN = is_real_BN & (position_N < frontier_B1)
    open_BN = is_mask_BN & is_left_BN
    is_leftmost_BN = open_BN & (open_BN.cumsum(1) == 1)
    unmasks_BN = open_BN & (is_leftmost_BN | (p_BN > policy.tau_mask))

    nothing_BN = torch.zeros_like(open_BN)
    wants_end_BN = substitutes_BN = remasks_BN = nothing_BN
    if policy.edits == "substitute":
        is_draft_BN = is_left_BN & (blocks.states_BN == DRAFT) & (blocks.tokens_BN != EOM)
        differs_BN, is_sure_BN = labels_BN != blocks.tokens_BN, p_BN > policy.tau_edit
        edited_BN = is_draft_BN & differs_BN & is_sure_BN & (own_BN < policy.own_max)
        may_change_BN = blocks.edits_left_BN > 0
        wants_end_BN = edited_BN & may_change_BN & (labels_BN == EOM)
        substitutes_BN = edited_BN & may_change_BN & (labels_BN != EOM)
        is_unsure_BN = ~differs_BN | ~is_sure_BN
        remasks_BN = is_draft_BN & ~edited_BN & is_unsure_BN & (own_BN < policy.tau_remask) & may_change_BN

    end_B1 = _end(position_N, frontier_B1, lengths_B1, is_mask_BN, says_end_BN, wants_end_BN, labels_BN, p_BN, policy)
    before_end_BN = is_real_BN & (position_N < end_B1)
    mask_stays_BN = (is_mask_BN & ~unmasks_BN) | remasks_BN
    ended_B1 = (end_B1 < lengths_B1) & ~(before_end_BN & mask_stays_BN).any(1, keepdim=True)

    is_end_BN = ended_B1 & (position_N == end_B1)
    kinds_BN = torch.where(unmasks_BN | substitutes_BN, SUBSTITUTE, torch.where(remasks_BN, REMASK, KEEP))
    kinds_BN = torch.where(ended_B1 & (position_N > end_B1), DELETE, torch.where(is_end_BN, SUBSTITUTE, kinds_BN))
    spent_BN = (substitutes_BN | remasks_BN).to(blocks.edits_left_BN.dtype)
    return Moves(
        kinds_BN=kinds_BN,
        payload_BN=torch.where(is_end_BN, EOM, labels_BN),
        edits_left_BN=torch.where(is_end_BN, 0, blocks.edits_left_BN - spent_BN),
        ended_B=ended_B1[:, 0],
    )


def _end(
    position_N: Tensor,
    frontier_B1: Tensor,
    lengths_B1: Tensor,
    is_mask_BN: Tensor,
    says_end_BN: Tensor,
    wants_end_BN: Tensor,
    labels_BN: Tensor,
    p_BN: Tensor,
    policy: Policy,
) -> Tensor:
    """(B, 1): the row where the text would end, the length where it would not: the first draft that wants it, else the
    frontier, if that is the first mask or surely `<eom>`.
    """
    draft_B1 = _first(wants_end_BN, position_N, lengths_B1)
    is_sure_BN = says_end_BN & (labels_BN == EOM) & (p_BN > policy.tau_mask)
    is_sure_B1 = (is_sure_BN & (position_N == frontier_B1)).any(1, keepdim=True)
    is_first_B1 = ~(is_mask_BN & (position_N < frontier_B1)).any(1, keepdim=True)
    masked_B1 = torch.where(is_sure_B1 | is_first_B1, frontier_B1, lengths_B1)
    return torch.where(draft_B1 < lengths_B1, draft_B1, masked_B1)


def _places(blocks: Blocks) -> tuple[Tensor, Tensor]:
    position_N = torch.arange(blocks.tokens_BN.shape[1], device=blocks.tokens_BN.device)
    return position_N, position_N < blocks.lengths_B[:, None]


def _first(is_BN: Tensor, position_N: Tensor, otherwise_B1: Tensor) -> Tensor:
    """(B, 1): the first place that is, or `otherwise`, which is larger than every place that may be."""
    return torch.minimum(torch.where(is_BN, position_N, position_N.shape[0]).amin(1, keepdim=True), otherwise_B1)


def _last(is_BN: Tensor, position_N: Tensor) -> Tensor:
    """(B, 1): the last place that is, or −1."""
    return torch.where(is_BN, position_N, -1).amax(1, keepdim=True)
