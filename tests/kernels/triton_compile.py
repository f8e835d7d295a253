"""Compiling a Triton kernel for a GPU that is not here, and reading from ptxas what it costs.

Source: Triton's ahead-of-time path (triton.compile with an ASTSource and a GPUTarget) and the ptxas that its wheel
brings. Where kernel tests stand: those that compile are ordinary ones, tests/kernels/test_OP_compiled.py; those that
run a kernel stand in on_device/ and are run on a GPU, or else by test_interpreted.py in a process of their own, because
TRITON_INTERPRET counts only before Triton is imported and forbids compiling. Left out: running what was compiled.
"""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARCHS = (80, 89, 90)
"""A100; L4 and RTX 40; H100, H200 and H20."""


@dataclass(frozen=True)
class Compiled:
    """Registers of a thread, bytes that spill from them, shared memory of a block in bytes."""

    registers: int
    spill_bytes: int
    shared_bytes: int
    ptx: str


def compile(
    fn: Any,
    signature: Mapping[str, str],
    constexprs: Mapping[str, Any],
    arch: int,
    *,
    num_warps: int = 4,
    num_stages: int = 3,
    aligned: Sequence[str] = (),
) -> Compiled:
    """What `fn` costs on sm_`arch`. `signature`: name → type ("*bf16", "i32", "fp32") of each argument that is no
    constexpr, in order. Pointers are taken as aligned to 16 bytes, as torch's are; `aligned`: integers that are
    multiples of 16 (strides, widths), which the launcher would find out by itself.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = list(fn.arg_names)
    types = {name: signature.get(name, "constexpr") for name in names}
    missing = [name for name in names if types[name] == "constexpr" and name not in constexprs]
    assert not missing, f"neither type nor value for {missing}"
    attrs = {
        (names.index(name),): [["tt.divisibility", 16]]
        for name, kind in types.items()
        if kind.startswith("*") or name in aligned
    }
    source = ASTSource(fn=fn, signature=types, constexprs=dict(constexprs), attrs=attrs)
    options = {"num_warps": num_warps, "num_stages": num_stages}
    kernel = triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)
    ptx = str(kernel.asm["ptx"])
    registers, spill_bytes = _assembled(Path(triton.__file__).parent, ptx)
    return Compiled(registers, spill_bytes, int(kernel.metadata.shared), ptx)


def _assembled(triton_folder: Path, ptx: str) -> tuple[int, int]:
    """Registers and spilled bytes, from what ptxas says about its one kernel."""
    ptxas = triton_folder / "backends" / "nvidia" / "bin" / "ptxas"
    target = re.search(r"^\.target\s+(\w+)", ptx, re.MULTILINE)
    assert target is not None
    done = subprocess.run(
        [ptxas, "-v", f"-arch={target.group(1)}", "/dev/stdin", "-o", "/dev/null"],
        input=ptx,
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout + done.stderr
    registers = re.search(r"Used (\d+) registers", said)
    assert registers is not None, said
    spills = [int(num) for num in re.findall(r"(\d+) bytes spill (?:stores|loads)", said)]
    assert len(spills) >= 2, said
    return int(registers.group(1)), sum(spills)
