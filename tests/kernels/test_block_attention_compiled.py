"""Attention compiled for GPUs that are not here: budgets of the README, and its count of bytes against the code's."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.kernels.moved_bytes import Launches, budgets, moved_by
from tests.kernels.triton_compile import ARCHS, Compiled, compile

pytest.importorskip("triton")

BUDGETS = budgets(Path(__file__).resolve().parents[2] / "kernels" / "block_attention" / "README.md")
SHARED_BYTES = {80: 166_912, 89: 101_376, 90: 232_448}
NUM_SMS = {80: 108, 89: 58, 90: 132}  # A100, L4, H100 and H200
STRIDES = [f"{name}_stride_{axis}" for name, axes in (("q", "bth"), ("k", "pgs"), ("v", "pgs")) for axis in axes]

# Rows T, heads of a group R, groups G, features D, rows of a page (0 = no pages), keys S.
CASES = {
    "block 32 of 4 heads, D 128, pages of 64": (32, 4, 8, 128, 64, 2048),
    "block 32 of 4 heads, D 128, pages of 16": (32, 4, 8, 128, 16, 8192),
    "1 row of 7 heads, D 128, pages of 64": (1, 7, 4, 128, 64, 4096),
    "block 25 of 5 heads, D 64, no pages": (25, 5, 1, 64, 0, 1024),
}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))
        yield


def launch_of(name: str, arch: int) -> tuple[Any, int]:
    """The tile and the number of splits that the launcher would choose for one sequence."""
    from kernels.block_attention.kernel import splits_for, tile_for

    T, R, G, D, page, S = CASES[name]
    tile = tile_for(T * R, D, 2, SHARED_BYTES[arch], is_paged=page > 0)
    return tile, splits_for(G * -(-T * R // tile.rows), S, tile, NUM_SMS[arch])


@functools.cache
def attend(name: str, arch: int) -> Compiled:
    from kernels.block_attention import kernel

    _, R, G, D, page, _ = CASES[name]
    tile, num_splits = launch_of(name, arch)
    result = "*fp32" if num_splits > 1 else "*bf16"
    signature = {"q_ptr": "*bf16", "k_ptr": "*bf16", "v_ptr": "*bf16", "table_ptr": "*i32", "bounds_ptr": "*i32"}
    signature |= {"out_ptr": result, "logsumexp_ptr": "*fp32", "scale": "fp32", "T": "i32", "table_stride_b": "i32"}
    signature |= dict.fromkeys(STRIDES, "i32")
    constants = {"G": G, "R": R, "D": D, "PAGE": page, "SPLITS": num_splits, "MIN_TILES": tile.min_tiles}
    constants |= {"ROWS": tile.rows, "KEYS": tile.keys, "UPCAST": False}
    return compile(
        kernel.attend,
        signature,
        constants,
        arch,
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
        aligned=STRIDES,
    )


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("name", CASES)
def test_stays_in_its_budget_and_moves_what_the_readme_counts(name: str, arch: int) -> None:
    T, R, G, D, page, S = CASES[name]
    tile, num_splits = launch_of(name, arch)
    compiled = attend(name, arch)
    budget = BUDGETS[name, arch]
    assert compiled.spill_bytes == 0
    assert compiled.registers <= budget.registers
    assert compiled.shared_bytes <= budget.shared_bytes <= SHARED_BYTES[arch]

    num_rows = T * R * G
    assert tile.rows >= num_rows // G, "all rows of a group in one tile"
    num_turns = -(-S // tile.keys)
    assert num_turns >= num_splits * tile.min_tiles
    moved = moved_by(compiled.ptx, tile.num_warps)
    total = G * (num_splits * moved.outside + num_turns * moved.each_turn)
    counted = 2 * G * S * D * 2 + num_splits * num_rows * D * 2 + 4 * T
    counted += 4 * num_splits * num_rows * (D + 1) if num_splits > 1 else num_rows * D * 2
    if page:
        counted += 4 * -(-S // page)
    assert total <= 1.15 * counted, f"{total / counted:.3f} of what the README counts"
    assert total >= counted, "or this test overlooks some of the loads"


@pytest.mark.parametrize("arch", ARCHS)
def test_keys_and_values_come_16_bytes_at_a_time_into_shared_memory(arch: int) -> None:
    name = next(iter(CASES))
    tile, _ = launch_of(name, arch)
    ptx = attend(name, arch).ptx
    assert "cp.async.cg.shared.global" in ptx
    assert moved_by(ptx, tile.num_warps).each_turn <= 1.05 * 2 * tile.keys * CASES[name][3] * 2


@pytest.mark.parametrize("arch", ARCHS)
def test_joining_stays_in_its_budget_and_moves_what_the_readme_counts(arch: int) -> None:
    from kernels.block_attention import kernel

    signature = {"mix_ptr": "*fp32", "logsumexp_ptr": "*fp32", "out_ptr": "*bf16", "T": "i32", "num_folded": "i32"}
    constants = {"G": 8, "R": 4, "D": 128, "SPLITS": 8, "ROWS": kernel.JOIN_ROWS}
    compiled = compile(kernel.join_splits, signature, constants, arch, num_warps=kernel.join_warps(128))
    budget = BUDGETS["joining 8 splits, D 128", arch]
    assert compiled.spill_bytes == 0
    assert compiled.registers <= budget.registers
    assert compiled.shared_bytes <= budget.shared_bytes
    # A row belongs to a warp, whose 32 threads all ask for its log-sum-exps; the memory gives each of them once.
    counted = kernel.JOIN_ROWS * (8 * 4 * (128 + 32) + 128 * 2)
    assert counted <= moved_by(compiled.ptx, kernel.join_warps(128)).outside <= 1.15 * counted


def test_splits_fill_the_device_as_far_as_there_are_keys() -> None:
    from kernels.block_attention.kernel import splits_for, tile_for

    tile = tile_for(128, 128, 2, SHARED_BYTES[90], is_paged=True)
    assert [splits_for(8, capacity, tile, 132) for capacity in (64, 512, 2048, 65_536)] == [1, 2, 8, 16]
    assert splits_for(200, 65_536, tile, 132) == 1


def test_a_launch_depends_on_shapes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from kernels.block_attention import kernel

    launches = Launches()
    monkeypatch.setattr(kernel, "attend", launches)
    monkeypatch.setattr(kernel, "join_splits", launches)
    q = torch.empty(2, 32, 8, 64, dtype=torch.bfloat16, device="meta")
    pages = torch.empty(50, 2, 64, 64, dtype=torch.bfloat16, device="meta")
    table, bounds = (torch.empty(2, size, dtype=torch.int32, device="meta") for size in (16, 32))
    out = kernel.paged_block_attention(q, pages, pages, table, bounds)
    assert out.shape == (2, 32, 8 * 64)
    assert launches.grids == [(1, 4, 4), (2 * 32 * 8 // kernel.JOIN_ROWS,)]
