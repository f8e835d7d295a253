"""The gated activation of the feed-forward layer, SwiGLU without bias.

Source: Shazeer, "GLU Variants Improve Transformer" (arXiv 2002.05202), equation 6. Left out: the matrix products
around it.

Shapes: F = width of the feed-forward layer; `...` = any number of leading dimensions.
"""

import torch.nn.functional as F
from torch import Tensor


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) · up for `gate_up` (..., 2F), the gate half first: one matrix product gives both. Result (..., F)."""
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up
