"""What it saves to run the passes of several users as one, and how often they then write the same text.

Lines behind warm prompts, as an engine meets them when 1, 2, 4 or 8 users ask at once: all canvases of a group take
each pass together (model/network/many_passes.py). A group of one is the lone path. The table gives the processor time
that a line costs on average, against the lone path's of the same run, and the share of lines with the lone path's text:
in 32-bit arithmetic that is all (tests hold it), in bf16 rounding may tip a token over. The bar: at least 99 %.
`python -m benchmarks.side_by_side [--shards DIR | --data FILE] [--limit N] [--compiled]` prints a table, then one line
of JSON. Left out: queues and sockets (load.py).
"""

import json
import sys
import time
from collections.abc import Sequence

import msgspec

from benchmarks.header import print_header
from benchmarks.options import line_arguments, rounded, run
from model.evaluation.options import load_model

SIZES = (1, 2, 4, 8)


class Group(msgspec.Struct, frozen=True):
    """What groups of one size wrote, in the order of the tasks, and the time that each group took."""

    texts: list[str]
    times_ms: list[float]

    @property
    def ms_a_line(self) -> float:
        return sum(self.times_ms) / len(self.texts)


def main() -> None:
    args = line_arguments("side_by_side", __doc__ or "").parse_args()
    checkpoint = load_model(args)  # before anything imports torch
    from benchmarks.lines import Preparer, line_set
    from benchmarks.writers import SideBySide, as_in_engine
    from model.checkpoints.load import default_checkpoint
    from model.evaluation.options import watched

    data = line_set(args)
    preparer = Preparer(checkpoint)
    tasks = [preparer.place_task(row.place, data.stop) for row in data.rows]
    mode = as_in_engine(checkpoint, args.model or default_checkpoint(), compiled=args.compiled)
    writer = SideBySide(checkpoint, max(SIZES))
    found: dict[int, Group] = {size: Group([], []) for size in SIZES}
    for first in watched(range(0, len(tasks), max(SIZES)), "groups"):
        for size in SIZES:  # taking turns, so that whatever slows the machine slows all
            for start in range(first, min(first + max(SIZES), len(tasks)), size):
                group = tasks[start : start + size]
                writer.warm(group)
                begun_s = time.process_time()
                found[size].texts.extend(line.text for line in writer.write(group))
                found[size].times_ms.append((time.process_time() - begun_s) * 1000)
    print_header("side_by_side")
    print(f"# {len(tasks)} places: {data.what}; the lone path runs {mode} layers")
    print(f"{'canvases':>9}{'ms a line':>11}{'of the lone path':>18}{'same text':>11}")
    lone = found[1].ms_a_line
    for size, group in found.items():
        ms = group.ms_a_line
        print(f"{size:9}{ms:11.2f}{ms / lone:18.2f}{agreement(found[1].texts, group.texts):11.1%}")
    result = {
        "places": len(tasks),
        "ms_a_line": {str(size): group.ms_a_line for size, group in found.items()},
        "same_text": {str(size): agreement(found[1].texts, group.texts) for size, group in found.items()},
    }
    print(json.dumps(rounded(result)))


def agreement(alone: Sequence[str], together: Sequence[str]) -> float:
    """The share of equal texts."""
    return sum(a == b for a, b in zip(alone, together, strict=True)) / len(alone)


if __name__ == "__main__":
    sys.exit(run(main))
