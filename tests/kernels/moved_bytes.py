"""Bytes that a compiled kernel asks of global memory and gives to it, read from its PTX; and the budgets of a README.

Every load, store and asynchronous copy counts with its full width for every thread, whatever its predicate says, so the
sums are upper bounds. A kernel may have one loop: what stands in it counts once a turn. Copies before the loop are the
first turns' of the software pipeline, which drops as many at its end, so they count with the turns. Left out: atomics,
bulk copies (TMA), what caches save.

`Counted` is the other way to count: what Triton's interpreter loads and stores in a whole launch, masks heeded.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

LABEL = re.compile(r"(\$L__BB\w+):")
BRANCH = re.compile(r"\bbra(?:\.uni)?\s+(\$L__BB\w+);")
ACCESS = re.compile(r"\b(?:ld|st)\.global(?:\.\w+)*?(?:\.v(?P<num>\d))?\.b(?P<bits>\d+)\b")
COPY = re.compile(r"\bcp\.async\.c[ag]\.shared\.global .*?, 0x(?P<bytes>[0-9a-f]+)")


class Moved(NamedTuple):
    """Bytes of one program: outside its loop, and in each turn of it."""

    outside: int
    each_turn: int


def moved_by(ptx: str, num_warps: int) -> Moved:
    lines = ptx.splitlines()
    assert "cp.async.bulk" not in ptx
    assert not re.search(r"\b(atom|red)\.global", ptx)
    labels = {match.group(1): i for i, line in enumerate(lines) if (match := LABEL.match(line))}
    jumps = [(labels[match.group(1)], i) for i, line in enumerate(lines) if (match := BRANCH.search(line))]
    loops = [(start, stop) for start, stop in jumps if start < stop]
    assert len(loops) <= 1, "one loop at most"
    start, stop = loops[0] if loops else (len(lines), len(lines))
    outside = each_turn = copies_before = 0
    for i, line in enumerate(lines):
        access, copy = ACCESS.search(line), COPY.search(line)
        if access:
            num_bytes = int(access["num"] or 1) * int(access["bits"]) // 8
        elif copy:
            num_bytes = int(copy["bytes"], 16)
        else:
            continue
        if start <= i <= stop:
            each_turn += num_bytes
        elif copy:
            copies_before += num_bytes
        else:
            outside += num_bytes
    assert (copies_before > 0) <= (each_turn > 0)
    num_threads = 32 * num_warps
    return Moved(outside * num_threads, each_turn * num_threads)


class Budget(NamedTuple):
    registers: int
    shared_bytes: int


def budgets(readme: Path) -> dict[tuple[str, int], Budget]:
    """(case, architecture) → budget, from the table with `compiled` in its head: cells of `registers / bytes`."""
    lines = iter(readme.read_text("utf-8").splitlines())
    archs = next(
        [int(arch) for arch in re.findall(r"sm_(\d+)", line)] for line in lines if line.startswith("| compiled")
    )
    found = {}
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            break
        for arch, cell in zip(archs, cells[1:], strict=True):
            if match := re.fullmatch(r"(\d+) / ([\d,]+)", cell):
                found[cells[0], arch] = Budget(int(match[1]), int(match[2].replace(",", "")))
    return found


class Counted:
    """Stands before the interpreter's memory while a test runs; `num_bytes` grows with each load and store."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from triton.runtime import interpreter

        self._memory: Any = interpreter._interpreter
        self.num_bytes = 0
        monkeypatch.setattr(interpreter, "_interpreter", self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)

    def load(self, addresses: Any, mask: Any, other: Any, dtype: Any) -> Any:
        values = self._memory.load(addresses, mask, other, dtype)
        self.num_bytes += int(mask.sum()) * values.itemsize
        return values

    def store(self, addresses: Any, values: Any, mask: Any) -> Any:
        self.num_bytes += int(mask.sum()) * values.itemsize
        return self._memory.store(addresses, values, mask)


class Launches:
    """Stands for a kernel and keeps the grid of each launch; with tensors on the "meta" device, which have no values, a
    launcher that asked the device for any would fail.
    """

    def __init__(self) -> None:
        self.grids: list[tuple[int, ...]] = []

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        return lambda *_args, **_kwargs: self.grids.append(grid)
