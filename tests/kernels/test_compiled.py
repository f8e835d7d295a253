"""The small kernels compiled for A100, L4 and H100: nothing spills, and registers and shared memory stay in budget.

A budget is what the kernel needs today and a tenth more, the least over the three; a compiler that needs more makes the
kernel slower (fewer blocks at once) and should be noticed. Left out: block_attention, rope_kv_write and confidence_head
(in files of their own).
"""

from pathlib import Path
from typing import Any

import pytest

from tests.kernels.triton_compile import ARCHS, compile

pytest.importorskip("triton")

BUDGETED = "3.7."
"""The version in ci/constraints.txt. Others allot registers otherwise (3.6 gives canvas_update 123)."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def check(kernel: Any, arch: int, registers: int, shared_bytes: int) -> None:
    import triton

    assert kernel.spill_bytes == 0
    if not triton.__version__.startswith(BUDGETED):
        return
    assert kernel.registers <= registers, arch
    assert kernel.shared_bytes <= shared_bytes, arch


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize(("D", "has_residual", "registers"), [(4096, True, 64), (128, False, 64)])
def test_rms_norm(arch: int, D: int, has_residual: bool, registers: int) -> None:
    from kernels.rms_norm.kernel import num_warps, rms_norm_rows, tile

    together, block = tile(1024, D)
    pointers = dict.fromkeys(("x_ptr", "residual_ptr", "weight_ptr", "normed_ptr", "total_ptr"), "*bf16")
    counts = dict.fromkeys(("num_rows", "num_inner", "outer_stride", "inner_stride", "D"), "i32")
    compiled = compile(
        rms_norm_rows,
        pointers | counts | {"eps": "fp32"},
        {"HAS_RESIDUAL": has_residual, "ROWS": together, "BLOCK_D": block},
        arch,
        num_warps=num_warps(together * block),
        aligned=("outer_stride", "inner_stride", "D"),
    )
    check(compiled, arch, registers, 256)
    assert "ld.global.v4" in compiled.ptx, "16 bytes a load"


@pytest.mark.parametrize("arch", ARCHS)
def test_swiglu(arch: int) -> None:
    from kernels.swiglu.kernel import BLOCK, swiglu_rows

    signature = {"gate_up_ptr": "*bf16", "out_ptr": "*bf16", "F": "i32", "row_stride": "i32"}
    compiled = compile(swiglu_rows, signature, {"BLOCK_F": BLOCK}, arch, aligned=("F", "row_stride"))
    check(compiled, arch, 36, 0)
    assert "ld.global.v4" in compiled.ptx


@pytest.mark.parametrize("arch", ARCHS)
def test_canvas_update(arch: int) -> None:
    from kernels.canvas_update.kernel import move_rows

    pointers = {name: "*i64" for name in move_rows.arg_names if name.endswith("_ptr")} | {"is_new_ptr": "*i8"}
    counts = dict.fromkeys(("num_blocks", "N", "M", "mask_id", "pad_id"), "i32")
    constants = {"FILLS": (2, -1), "NUM_EXTRAS": 2, "BLOCK_N": 64, "BLOCK_M": 64}
    check(compile(move_rows, pointers | counts, constants, arch), arch, 64, 512)


@pytest.mark.parametrize("arch", ARCHS)
def test_diffusion_loss(arch: int) -> None:
    from kernels.diffusion_loss.kernel import BLOCK, NUM_WARPS, loss_rows

    signature = {"logits_ptr": "*bf16", "labels_ptr": "*i64", "weights_ptr": "*fp32", "sets_ptr": "*i64"}
    signature |= {"allowed_ptr": "*u8", "losses_ptr": "*fp32", "V": "i32", "row_stride": "i32"}
    compiled = compile(
        loss_rows,
        signature,
        {"WANTS_GRADIENT": True, "BLOCK_V": BLOCK},
        arch,
        num_warps=NUM_WARPS,
        aligned=("V", "row_stride"),
    )
    check(compiled, arch, 42, 8192)
    # Both passes over the logits and over the allowed labels: 4,096 labels by 256 threads are two loads of 16 bytes of
    # logits and one of labels, in each pass.
    assert compiled.ptx.count("ld.global.v4") == 6
    assert compiled.ptx.count("ld.global") <= 11
