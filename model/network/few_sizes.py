"""Passes of any size as passes of a few sizes: rows and keys are rounded up, and what was added is seen by nobody.

Source: oneDNN makes a kernel for each new shape of a product. While a user types the number of keys is new at every
step and that of rows often, so unrounded each step paid a millisecond for kernels it never used again, and they held
a megabyte a shape. Left out: several canvases in one pass (their lengths differ anyway), other devices.

Shapes: T rows, S keys, D model width; a prime marks the rounded size.
"""

import torch.nn.functional as F
from torch import Tensor

KEYS = 32
NEVER = float("-inf")


def round_rows(num_rows: int) -> int:
    """2, 4, multiples of 8 up to 128, then sixteenths of the next power of two."""
    if num_rows <= 4:
        return 2 if num_rows <= 2 else 4
    step = max(8, 1 << max(0, (num_rows - 1).bit_length() - 4))
    return -(-num_rows // step) * step


def round_keys(num_keys: int, capacity: int) -> int:
    """A multiple of 32, or all rows of the cache where that is less."""
    return max(num_keys, min(-(-num_keys // KEYS) * KEYS, capacity))


def pad_rows(x_1TD: Tensor, positions_1T: Tensor, num_rows: int) -> tuple[Tensor, Tensor]:
    """Rows of zeros behind the real ones, up to `num_rows`."""
    num_more = num_rows - x_1TD.shape[1]
    if num_more == 0:
        return x_1TD, positions_1T
    return F.pad(x_1TD, (0, 0, 0, num_more)), F.pad(positions_1T, (0, num_more))


def pad_mask(mask_1TS: Tensor | None, x_1TD: Tensor, num_keys: int, rounded: tuple[int, int]) -> Tensor:
    """The additive mask (1, T', S') of a pass whose mask is `mask_1TS` (None = every key is visible).

    No real row sees a key behind `num_keys`. Added rows see everything, for a row that sees nothing becomes NaN.
    """
    num_rows = x_1TD.shape[1]
    padded = x_1TD.new_zeros(1, *rounded)
    padded[:, :num_rows, num_keys:] = NEVER
    if mask_1TS is not None:
        padded[:, :num_rows, :num_keys] = mask_1TS
    return padded
