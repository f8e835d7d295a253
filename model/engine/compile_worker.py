"""`python -m model.engine.compile_worker`: one checkpoint's layers become a checked library on the disk.

Source: PyTorch's ahead-of-time Inductor. The engine starts this process (compiling.py), so that the compiler's memory,
its imports and a crash stay out of the engine. The library gets its name only after it was loaded and agreed with the
eager layers. The process ends with its parent: standard input is a pipe that closes then. Left out: where the library
belongs and when it is made.
"""

import argparse
import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.network.transformer import Transformer

EXAMPLE_ROWS, EXAMPLE_CACHED, EXAMPLE_CAPACITY = 32, 512, 1024  # typical sizes: the compiler tunes for them


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 when the library is in its place, 1 with a sentence on standard error when it disagreed."""
    options = _parser().parse_args(arguments)
    if options.with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(OSError, AttributeError):
        os.nice(19)
    # Imported here: priority and pipe come first.
    import torch

    from model.checkpoints.load import load_checkpoint
    from model.engine.compile_check import largest_difference, tolerance
    from model.network.compiled import load_compiled
    from model.network.packed import can_pack, pack_weights

    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.dtype)
    network = load_checkpoint(options.model, dtype=dtype).network
    made = options.work / "layers.so"
    compile_layers(network, made)
    if can_pack(network):
        pack_weights(network)
    difference = largest_difference(network, load_compiled(made, dtype))
    if not difference <= tolerance(dtype):
        print(f"the compiled layers differ from the eager ones by {difference:.1e}", file=sys.stderr)
        return 1
    os.replace(made, options.out)
    return 0


def compile_layers(network: "Transformer", library: Path) -> None:
    """Writes the library for one canvas: any number of rows from 2 on, behind any number of cached ones from 2 on.

    Weights stand in it, packed for this processor. The number of threads is the caller's `torch.get_num_threads()`.
    """
    import torch
    from torch import _inductor
    from torch.export import Dim, export

    from model.network.step_graph import StepGraph

    c, dtype = network.config, network.embed.weight.dtype
    inputs = (
        torch.randn(EXAMPLE_ROWS, c.d_model).to(dtype),
        torch.randn(EXAMPLE_ROWS, 2, c.d_head).to(dtype),
        torch.randn(c.num_layers, c.num_kv_heads, EXAMPLE_CAPACITY, c.d_head).to(dtype),
        torch.randn(c.num_layers, c.num_kv_heads, EXAMPLE_CAPACITY, c.d_head).to(dtype),
        torch.zeros(EXAMPLE_ROWS, EXAMPLE_CACHED + EXAMPLE_ROWS, dtype=dtype),
    )
    sizes = ({0: Dim.AUTO}, {0: Dim.AUTO}, {2: Dim.AUTO}, {2: Dim.AUTO}, {0: Dim.AUTO, 1: Dim.AUTO})
    with torch.no_grad():
        program = export(StepGraph(network).eval(), inputs, dynamic_shapes=sizes, strict=False)
        options = {"aot_inductor.output_path": str(library), "freezing": True}
        _inductor.aot_compile(program.module(), inputs, options=options)  # type: ignore[arg-type]


def _end_with_parent() -> None:
    """Nothing is ever written to standard input, so the end of a read is the end of the parent."""
    os.read(0, 1)
    os._exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m model.engine.compile_worker", description="Compiles the layers.")
    parser.add_argument("--model", type=Path, required=True, help="checkpoint folder")
    parser.add_argument("--dtype", required=True, choices=("float32", "bfloat16"), help="number format")
    parser.add_argument("--threads", type=int, required=True, help="threads of one operation")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is not finished")
    parser.add_argument("--out", type=Path, required=True, help="the library, on the same disk as --work")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input closes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
