"""The angles of rotary positions, made once and looked up by every pass.

Source: kernels/rope_kv_write, whose `rope_angles` makes the rows; a lookup is three dispatches where that takes a
dozen. Left out: training, whose few large passes make their angles themselves.

Shapes: B batch, T rows, P positions, K features of a head.
"""

import torch
from torch import Tensor

from kernels.rope_kv_write.reference import rope_angles

MIN_POSITIONS = 1024


class RopeTable:
    """Grows when a larger position comes, starts anew for another device or type."""

    def __init__(self, d_head: int, theta: float, d_rotary: int | None = None) -> None:
        self._d_head, self._theta, self._d_rotary = d_head, theta, d_rotary
        self._rows_P2K = torch.empty(0, 2, d_head)

    def turns(self, positions_BT: Tensor, num_positions: int, dtype: torch.dtype) -> Tensor:
        """cos and sin of `rope_angles` as one (B, T, 2, K); every position lies below `num_positions`."""
        rows_P2K = self._rows_P2K
        if num_positions > len(rows_P2K) or rows_P2K.dtype != dtype or rows_P2K.device != positions_BT.device:
            rows_P2K = self._rows_P2K = self._make(num_positions, positions_BT.device, dtype)
        return rows_P2K[positions_BT]

    def _make(self, num_positions: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        size = MIN_POSITIONS
        while size < num_positions:
            size *= 2
        positions_1P = torch.arange(size, device=device).unsqueeze(0)
        return torch.cat(rope_angles(positions_1P, self._d_head, self._theta, dtype, self._d_rotary), dim=-2)[0]
