"""What all `seedling eval` commands share: arguments, the data file, the checkpoint, the report.

The last line of `--json` is one JSON object with shares 0..1; everything before it is for people. Imports torch only
where a checkpoint is loaded, so help and wrong use are quick. Left out: metrics (metrics.py) and decoding (decode.py).
"""

import argparse
import gzip
import json
import os
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from model.provenance import header

if TYPE_CHECKING:
    from model.checkpoints.load import Checkpoint

T = TypeVar("T")

FOLDER_VARIABLE = "SEEDLING_EVALS"
PROGRESS_S = 5.0


class EvalError(Exception):
    """Wrong use or unusable data, in one sentence for the user."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def add_common(parser: argparse.ArgumentParser, *, what_data: str | None) -> None:
    """The arguments of every evaluation. `what_data` is the help of --data: what the file holds; None = no --data."""
    if what_data is not None:
        parser.add_argument("--data", type=Path, metavar="FILE", help=what_data)
    parser.add_argument("--model", type=Path, metavar="DIR", help="checkpoint folder (default: the embedded one)")
    parser.add_argument("--limit", type=_at_least_one, metavar="N", help="score only N rows or places")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--threads", type=_at_least_one, metavar="N", help="CPU threads (default: the engine's)")
    parser.add_argument("--fp32", action="store_true", help="32-bit numbers (default: the engine's choice)")


def data_file(args: argparse.Namespace, name: str) -> Path:
    """--data, else `name` in the folder SEEDLING_EVALS. EvalError if there is no such file."""
    if args.data is not None:
        if not args.data.is_file():
            raise EvalError(f"there is no file {args.data}")
        return args.data
    folder = os.environ.get(FOLDER_VARIABLE)
    path = Path(folder).expanduser() / name if folder else None
    if path is not None and path.is_file():
        return path
    missing = f"{path} does not exist" if path else f"no data was given ({name} is meant)"
    raise EvalError(f"{missing}: name the file with --data FILE, or its folder with {FOLDER_VARIABLE}")


def load_model(args: argparse.Namespace) -> "Checkpoint":
    """The checkpoint of --model on CUDA if there is one, else on the CPU, with the engine's dtype and threads.

    Raises CheckpointError. Call it before anything else imports torch: only then do its threads wait passively, as the
    engine's do.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    import torch

    from model.checkpoints.load import default_checkpoint, load_checkpoint
    from model.engine.generation import default_dtype, default_num_threads

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(args.threads or default_num_threads())
    dtype = torch.float32 if args.fp32 else default_dtype(device)
    return load_checkpoint(args.model or default_checkpoint(), device=device, dtype=dtype)


def read_rows(path: Path, row_type: type[T], limit: int | None) -> list[T]:
    """The first `limit` rows of a JSONL file or a JSON array, perhaps gzipped. EvalError if damaged, foreign, empty."""
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise EvalError(f"{path} cannot be read ({error})") from None
    try:
        if data.lstrip().startswith(b"["):
            rows = msgspec.json.decode(data, type=list[row_type])[:limit]
        else:
            rows = []
            for line in data.splitlines():
                if len(rows) == limit:
                    break
                if line.strip():
                    rows.append(msgspec.json.decode(line, type=row_type))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EvalError(f"{path} is damaged or of another kind ({error})") from None
    if not rows:
        raise EvalError(f"{path} has no rows")
    return rows


def watched(rows: Sequence[T], what: str) -> Iterator[T]:
    """The rows one by one, with a line on stderr every few seconds where somebody looks at it."""
    begun = shown = time.monotonic()
    for index, row in enumerate(rows):
        now = time.monotonic()
        if sys.stderr.isatty() and index and now - shown >= PROGRESS_S:
            shown = now
            left_s = (now - begun) / index * (len(rows) - index)
            print(f"{what}: {index} of {len(rows)}, about {left_s:.0f} s left", file=sys.stderr)
        yield row


def report(table: Sequence[tuple[str, str]], result: dict, args: argparse.Namespace) -> int:
    """Prints what was run and the table, then with --json `result` as the last line. Gives the exit code 0."""
    print("\n".join(header(" ".join(["seedling", *sys.argv[1:]]))))
    if name := result.get("model"):
        print(f"# model {name}")
    width = max((len(label) for label, _ in table), default=0)
    for label, value in table:
        print(f"{label:<{width}}  {value}")
    if args.json:
        print(json.dumps(result))
    return 0


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


_at_least_one.__name__ = "number"  # argparse names it in its sentence
