"""Arguments of the benchmarks that write lines, and how wrong use ends: one sentence, exit code 2.

Imports no torch, so that `load_model` (model/evaluation/options.py) can choose how its threads wait. Left out: what
the arguments mean for the places (lines.py).
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model.evaluation.options import EvalError

NUM_LINES = 400


def line_arguments(name: str, about: str) -> argparse.ArgumentParser:
    """A parser with the arguments of places, model and machine. `load_model` reads some of them."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=about.partition("\n")[0])
    places = parser.add_mutually_exclusive_group()
    places.add_argument("--shards", type=Path, metavar="DIR", help="held-out lines of `seedling corpus build`")
    places.add_argument("--data", type=Path, metavar="FILE", help="rows of SantaCoder-FIM (default: own source)")
    parser.add_argument("--model", type=Path, metavar="DIR", help="checkpoint folder (default: the embedded one)")
    parser.add_argument("--limit", type=at_least_one, default=NUM_LINES, metavar="N", help="lines to write")
    parser.add_argument("--threads", type=at_least_one, metavar="N", help="CPU threads (default: the engine's)")
    parser.add_argument("--fp32", action="store_true", help="32-bit numbers (default: the engine's choice)")
    parser.add_argument("--compiled", action="store_true", help="with compiled layers (made first, if there are none)")
    return parser


def run(main: Callable[[], None]) -> int:
    """The exit code of a benchmark; a wrong argument or unusable data is one sentence on stderr."""
    try:
        main()
    except EvalError as error:
        print(f"benchmarks: {error.sentence}", file=sys.stderr)
        return 2
    return 0


def rounded(value: Any) -> Any:
    """A JSON value whose floats have four digits behind the point: more is noise, and one line is long enough."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


at_least_one.__name__ = "number"  # argparse names it in its sentence
