"""The table of angles against the function that makes them."""

import torch

from kernels.rope_kv_write.reference import rope_angles
from model.network.rope_table import RopeTable


def test_looks_up_what_rope_angles_gives() -> None:
    table = RopeTable(8, 10_000.0)
    for positions, dtype in (([[0, 1, 5], [7, 7, 2]], torch.float32), ([[2500]], torch.bfloat16)):
        rows = torch.tensor(positions)
        cos, sin = table.turns(rows, int(rows.max()) + 1, dtype).split(1, dim=-2)
        wanted_cos, wanted_sin = rope_angles(rows, 8, 10_000.0, dtype)
        assert cos.dtype == dtype
        torch.testing.assert_close(cos, wanted_cos, atol=1e-6, rtol=0)
        torch.testing.assert_close(sin, wanted_sin, atol=1e-6, rtol=0)
