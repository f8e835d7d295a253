"""How often the shipped precision writes the same text where exact arithmetic would write it always.

In 32-bit arithmetic, eager, one thread, these texts are equal by construction (tests hold that); in bf16, packed or
compiled, rounding may tip a token over. The bar: each pair of ways agrees on at least 99 % of the completions. Ways:
plain layers, packed ones, compiled ones; the prompt in the cache as after a keystroke, or not; speculated, or one token
a forward. Left out: scores and times (twin.py), batches (there are none yet).
`python -m benchmarks.agreement [--shards DIR | --data FILE] [--limit N]` prints a table, then one line of JSON.
"""

import json
import sys
from collections.abc import Mapping, Sequence

import msgspec

from benchmarks.header import print_header
from benchmarks.options import line_arguments, rounded, run
from model.evaluation.options import load_model

PAIRS = (
    ("cached", "packed", "packed, cold cache"),
    ("packed", "packed", "plain"),
    ("compiled", "compiled", "packed"),
    ("speculated", "compiled", "compiled, one token a forward"),
)


def main() -> None:
    parser = line_arguments("agreement", __doc__ or "")
    parser.set_defaults(limit=500)
    args = parser.parse_args()
    checkpoint = load_model(args)  # before anything imports torch
    from benchmarks.lines import Preparer, line_set
    from benchmarks.writers import OurWriter, as_in_engine
    from model.checkpoints.load import default_checkpoint
    from model.evaluation.options import watched

    data = line_set(args)
    preparer = Preparer(checkpoint)
    tasks = [preparer.place_task(row.place, data.stop) for row in data.rows]
    cold = [msgspec.structs.replace(task, num_warm=0) for task in tasks]
    folder = args.model or default_checkpoint()
    texts: dict[str, list[str]] = {}
    for name in ("plain", "packed", "compiled"):
        loaded = load_model(args)
        if name != "plain":
            as_in_engine(loaded, folder, compiled=name == "compiled")
        writer = OurWriter(loaded)
        ways = {name: (writer.speculate, tasks)}
        if name == "packed":
            ways["packed, cold cache"] = (writer.speculate, cold)
        if name == "compiled":
            ways["compiled, one token a forward"] = (writer.one_by_one, tasks)
        for way, (write, its_tasks) in ways.items():
            texts[way] = []
            for task in watched(its_tasks, way):
                writer.warm(task)
                texts[way].append(write(task).text)
    shares = agreement(texts)
    print_header("agreement")
    print(f"# {len(tasks)} places: {data.what}")
    for name, first, second in PAIRS:
        print(f"{first + ' = ' + second:50}{shares[name]:8.1%}")
    print(json.dumps(rounded({"places": len(tasks), **shares})))


def agreement(texts: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """The share of equal texts of each pair."""
    return {
        name: sum(a == b for a, b in zip(texts[first], texts[second], strict=True)) / len(texts[first])
        for name, first, second in PAIRS
    }


if __name__ == "__main__":
    sys.exit(run(main))
