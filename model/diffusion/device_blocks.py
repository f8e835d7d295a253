"""Blocks that are denoised on the device step by step: network, head, moves and their application, nothing of it on the
host.

Source: the moves of device_moves.py; the step is one CUDA graph over buffers that stay where they are, so the
host only says how many steps run and reads what came of them when it likes. Without a GPU the same step runs as it is
(a test holds its texts against the host's sampler). Left out: what device_moves.py leaves out, commits (a pass of
cuda_graphs.py), which blocks run together.

Shapes: B blocks, N rows of a block (its capacity), M pages of a table, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.diffusion.block import NUM_EDITS
from model.diffusion.device_moves import Blocks, decide_on_device, label_sets_of, label_table
from model.diffusion.policy import Policy
from model.network.cuda_graphs import captured
from model.network.paged import PAGE_ROWS, PagedNetwork, PassInputs
from model.tokenizer import MASK, PAD


@dataclass(frozen=True)
class BlockStart:
    """A block behind `num_cached` rows in `pages`, which have room for the block too."""

    tokens: Sequence[int]
    states: Sequence[int]
    end_open: bool
    num_cached: int
    pages: Sequence[int]


@dataclass(frozen=True)
class BlockNow:
    tokens: list[int]
    states: list[int]
    ended: bool


class DeviceBlocks:
    """Room for `num_blocks` blocks of `capacity` rows; `begin` sets them, `step` denoises all of them once."""

    def __init__(self, paged: PagedNetwork, policy: Policy, *, num_blocks: int, capacity: int) -> None:
        self._paged, self._policy, self._capacity = paged, policy, capacity
        device = paged.network.embed.weight.device
        num_pages = -(-paged.max_rows // PAGE_ROWS)

        def zeros(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        self._blocks = Blocks(
            tokens_BN=zeros(num_blocks, capacity),
            states_BN=zeros(num_blocks, capacity),
            lengths_B=zeros(num_blocks, dtype=torch.int32),
            edits_left_BN=zeros(num_blocks, capacity),
            end_open_B=zeros(num_blocks, dtype=torch.bool),
        )
        self._ended_B = zeros(num_blocks, dtype=torch.bool)
        self._cached_B, self._no_clean_B = (zeros(num_blocks, dtype=torch.int32) for _ in range(2))
        self._table_BM = zeros(num_blocks, num_pages, dtype=torch.int32)
        self._allowed_KV = label_table(paged.network.config.vocab_size, device)
        captures = device.type == "cuda" and paged.ops.kind == "triton"
        with torch.inference_mode():
            self._step: Callable[[], None] = captured(self._body, device) if captures else self._body

    def begin(self, starts: Sequence[BlockStart]) -> None:
        """Sets the first blocks; the others are empty."""
        num_blocks, N = self._blocks.tokens_BN.shape
        assert len(starts) <= num_blocks
        assert all(0 < len(start.tokens) <= N for start in starts)
        empty = BlockStart((), (), False, 0, ())
        every = [*starts, *[empty] * (num_blocks - len(starts))]

        def put(target: Tensor, values: list) -> None:
            is_cuda = target.is_cuda
            target.copy_(torch.tensor(values, dtype=target.dtype, pin_memory=is_cuda), non_blocking=is_cuda)

        def padded(values: Sequence[int], length: int) -> list[int]:
            return [*values, *[0] * (length - len(values))]

        put(self._blocks.tokens_BN, [padded(start.tokens, N) for start in every])
        put(self._blocks.states_BN, [padded(start.states, N) for start in every])
        put(self._blocks.lengths_B, [len(start.tokens) for start in every])
        put(self._blocks.edits_left_BN, [[NUM_EDITS] * N for _ in every])
        put(self._blocks.end_open_B, [start.end_open for start in every])
        put(self._cached_B, [start.num_cached for start in every])
        put(self._table_BM, [padded(start.pages, self._table_BM.shape[1]) for start in every])
        self._ended_B.zero_()

    @torch.inference_mode()
    def step(self) -> None:
        """One forward pass and its moves. Of a block that ended or has no mask left nothing is written any more."""
        self._step()

    def read(self) -> list[BlockNow]:
        """The blocks as they stand; waits for the device."""
        blocks = self._blocks
        columns = (blocks.tokens_BN, blocks.states_BN, blocks.lengths_B, self._ended_B)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [BlockNow(tokens[:n], states[:n], ended) for tokens, states, n, ended in rows]

    def _body(self) -> None:
        blocks, ops, network = self._blocks, self._paged.ops, self._paged.network
        hidden_BND = self._paged.hidden(
            PassInputs(
                tokens_BT=blocks.tokens_BN,
                states_BT=blocks.states_BN,
                table_BM=self._table_BM,
                cached_B=self._cached_B,
                num_clean_B=self._no_clean_B,
                num_rows_B=blocks.lengths_B,
            )
        )
        read = ops.confidence_head(
            hidden_BND.flatten(0, 1),
            network.head_weight,
            self._allowed_KV,
            label_sets_of(blocks).flatten(),
            blocks.tokens_BN.flatten(),
        )
        assert read.gathered is not None
        labels_BN, p_BN, own_BN = (
            each.view(blocks.tokens_BN.shape) for each in (read.ids_R, read.probs_R, read.gathered)
        )
        moves = decide_on_device(blocks, labels_BN, p_BN, own_BN, self._policy)
        moved = ops.canvas_update(
            blocks.tokens_BN,
            blocks.states_BN,
            blocks.lengths_B,
            torch.where(self._ended_B[:, None], 0, moves.kinds_BN),
            moves.payload_BN,
            capacity=self._capacity,
            mask_id=MASK,
            pad_id=PAD,
            extras={"edits_left": (moves.edits_left_BN, NUM_EDITS)},
        )
        blocks.tokens_BN.copy_(moved.tokens_BM)
        blocks.states_BN.copy_(moved.states_BM)
        blocks.lengths_B.copy_(moved.lengths_B)
        blocks.edits_left_BN.copy_(moved.extras["edits_left"])
        self._ended_B.logical_or_(moves.ended_B)
