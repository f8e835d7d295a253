"""The confidence head compiled for GPUs that are not here: budgets and bytes of the README against the code's."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.kernels.moved_bytes import Launches, budgets, moved_by
from tests.kernels.triton_compile import ARCHS, Compiled, compile

pytest.importorskip("triton")

BUDGETS = budgets(Path(__file__).resolve().parents[2] / "kernels" / "confidence_head" / "README.md")
D, V, ELEMENT_SIZE = 4096, 155_136, 2  # the head of Stable-DiffCoder-8B
STATISTICS = dict.fromkeys(("best_ptr", "total_ptr", "moment_ptr", "asked_ptr"), "*fp32") | {"label_ptr": "*i32"}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))
        yield


@functools.cache
def read_stretch(num_rows: int, arch: int) -> Compiled:
    from kernels.confidence_head import kernel

    tile = kernel.tile_for(num_rows, ELEMENT_SIZE)
    signature = {
        "hidden_ptr": "*bf16",
        "head_ptr": "*bf16",
        "allowed_ptr": "*u8",
        "sets_ptr": "*i64",
        "ids_ptr": "*i64",
    }
    signature |= STATISTICS | dict.fromkeys(("R", "V", "hidden_stride_r", "head_stride_v"), "i32")
    constants = {"D": D, "M": 1, "HAS_SETS": True, "ROWS": tile.rows, "LABELS": tile.labels, "UPCAST": False}
    return compile(
        kernel.read_stretch,
        signature,
        constants | {"BLOCK_D": tile.features},
        arch,
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
        aligned=("V", "hidden_stride_r", "head_stride_v"),
    )


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("num_rows", [16, 32, 64])
def test_reading_stays_in_its_budget(num_rows: int, arch: int) -> None:
    compiled, budget = read_stretch(num_rows, arch), BUDGETS[f"{num_rows} rows", arch]
    assert compiled.spill_bytes == 0
    assert compiled.registers <= budget.registers
    assert compiled.shared_bytes <= budget.shared_bytes


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize(("num_rows", "most"), [(16, 1.15), (32, 1.15), (64, 1.27)])
def test_moves_what_the_readme_counts(num_rows: int, most: float, arch: int) -> None:
    from kernels.confidence_head.kernel import tile_for

    tile = tile_for(num_rows, ELEMENT_SIZE)
    assert tile.rows == num_rows
    moved = moved_by(read_stretch(num_rows, arch).ptx, tile.num_warps)
    num_stretches, num_turns = -(-V // tile.labels), D // tile.features
    total = num_stretches * (moved.outside + num_turns * moved.each_turn)
    counted = (V + num_rows) * D * ELEMENT_SIZE + num_rows * V
    assert total <= most * counted, f"{total / counted:.3f} of what the README counts"
    assert total >= counted, "or this test overlooks some of the loads"


@pytest.mark.parametrize("arch", ARCHS)
def test_joining_stays_in_its_budget(arch: int) -> None:
    from kernels.confidence_head import kernel

    signature = STATISTICS | {"ids_ptr": "*i64", "probs_ptr": "*fp32", "logsumexp_ptr": "*fp32", "entropy_ptr": "*fp32"}
    signature |= dict.fromkeys(("R", "num_stretches", "V"), "i32")
    compiled = compile(kernel.join_stretches, signature, {"M": 1, "BLOCK_X": 1024}, arch)
    budget = BUDGETS["joining 606 stretches", arch]
    assert compiled.spill_bytes == 0
    assert compiled.registers <= budget.registers
    assert compiled.shared_bytes <= budget.shared_bytes


def test_a_launch_depends_on_shapes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from kernels.confidence_head import kernel

    launches = Launches()
    monkeypatch.setattr(kernel, "read_stretch", launches)
    monkeypatch.setattr(kernel, "join_stretches", launches)
    hidden, head = (torch.empty(size, 64, dtype=torch.bfloat16, device="meta") for size in (70, 1000))
    allowed = torch.empty(4, 1000, dtype=torch.bool, device="meta")
    sets, asked = (torch.empty(70, dtype=torch.int64, device="meta") for _ in range(2))
    got = kernel.confidence_head(hidden, head, allowed, sets, asked)
    assert got.ids_R.shape == (70,)
    assert launches.grids == [(2, 4), (70,)]
