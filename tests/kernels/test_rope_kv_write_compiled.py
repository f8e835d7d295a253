"""The rotary write compiled for GPUs that are not here: budgets of the README, and each value moved once."""

from pathlib import Path

import pytest
import torch

from tests.kernels.moved_bytes import Launches, budgets
from tests.kernels.triton_compile import ARCHS, compile

pytest.importorskip("triton")

BUDGETS = budgets(Path(__file__).resolve().parents[2] / "kernels" / "rope_kv_write" / "README.md")


@pytest.mark.parametrize("arch", ARCHS)
def test_stays_in_its_budget_and_moves_each_value_once(
    arch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kernels.rope_kv_write import kernel

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    names = kernel.turn_and_write.arg_names
    strides = [name for name in names if "_stride_" in name]
    signature = {name: "*bf16" for name in names if name.endswith("_ptr")} | {"table_ptr": "*i32", "rows_ptr": "*i32"}
    signature |= dict.fromkeys([*strides, "first_row", "T"], "i32")
    constants = {"H": 32, "G": 8, "D": 128, "PAGE": 64, "HAS_ROWS": True, "HEADS": kernel.HEADS, "BLOCK_E": 64}
    aligned = [name for name in strides if name != "table_stride_b"]
    compiled = compile(kernel.turn_and_write, signature, constants, arch, num_warps=1, aligned=aligned)
    budget = BUDGETS["8 heads of 128, pages of 64", arch]
    assert compiled.spill_bytes == 0
    assert compiled.registers <= budget.registers
    assert compiled.shared_bytes <= budget.shared_bytes
    # 8 heads of 256 bytes by 32 threads are four accesses of 16 bytes, the same for queries, keys and values.
    for direction in ("ld", "st"):
        accesses = [line for line in compiled.ptx.splitlines() if f"{direction}.global" in line]
        assert sum("v4.b32" in line for line in accesses) == 4
        assert len(accesses) <= (8 if direction == "ld" else 4), "and cos, sin, the row and its page"


def test_a_launch_depends_on_shapes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from kernels.rope_kv_write import kernel

    launches = Launches()
    monkeypatch.setattr(kernel, "turn_and_write", launches)
    q, k = (torch.empty(2, 7, num, 64, device="meta") for num in (12, 4))
    angles = torch.empty(2, 7, 1, 64, device="meta")
    pages = torch.empty(9, 4, 16, 64, device="meta")
    table, rows = (torch.empty(2, size, dtype=torch.int32, device="meta") for size in (4, 7))
    assert kernel.paged_rope_kv_write(q, k, k, angles, angles, pages, pages, table, rows).shape == q.shape
    assert launches.grids == [(14, 4)]
