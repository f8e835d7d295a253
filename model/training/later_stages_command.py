"""`seedling train --stage order|certainty|edits|on-policy`: stages that start from a trained checkpoint, their reports.

Beside the checkpoint stand `orders.msgpack` and `figures.json` (order) or `curve.jsonl` (certainty, on-policy). Left
out: the stages themselves (constrained_order.py, certainty.py, instructed.py, on_policy.py), the first
ones (command.py).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from model.training.run_state import TrainError

if TYPE_CHECKING:
    from model.training.fine_tune import FineTuneOptions


def run_order(args: argparse.Namespace, start_from: Path) -> int:
    """Constrained order: prints the figures of held-out orders before and after. Raises TrainError or ShardError."""
    from model.training.compiled_forward import compiled_or_eager
    from model.training.constrained_order import constrain
    from model.training.two_stream import two_stream_hidden

    options = _options(args, start_from)
    figures = constrain(options, _say, two_stream_hidden if args.no_compile else compiled_or_eager())
    (args.out / "figures.json").write_bytes(msgspec.json.encode(figures) + b"\n")
    print(f"{'':10}{'nats/token':>12}{'left first':>12}{'named first':>12}{'structure':>12}")
    for name, figure in figures.items():
        shares = (figure.left_to_right, figure.declared_first, figure.structure_first)
        print(f"{name:10}{figure.nats_per_token:12.3f}" + "".join(f"{100 * share:11.1f}%" for share in shares))
    return 0


def run_certainty(args: argparse.Namespace, start_from: Path) -> int:
    """Certainty: prints the curve. Raises TrainError or ShardError."""
    from model.training.certainty import force_certainty
    from model.training.compiled_forward import compiled_or_eager
    from model.training.two_stream import two_stream_hidden

    curve = force_certainty(
        _options(args, start_from), _say, two_stream_hidden if args.no_compile else compiled_or_eager()
    )
    _write_curve(args.out, curve)
    return 0


def run_edits(args: argparse.Namespace, start_from: Path) -> int:
    """Instructed edits. Raises TrainError or ShardError."""
    from model.training.compiled_forward import compiled_or_eager
    from model.training.instructed import learn_edits
    from model.training.two_stream import two_stream_hidden

    forward = two_stream_hidden if args.no_compile else compiled_or_eager()
    num_steps = learn_edits(_options(args, start_from), _say, forward)
    print(f"{args.out}: {num_steps} steps; seedling eval edits --list says which kinds work")
    return 0


def run_on_policy(args: argparse.Namespace, start_from: Path) -> int:
    """On-policy: prints the curve. Raises TrainError or ShardError."""
    from model.training.compiled_forward import compiled_or_eager
    from model.training.on_policy import OnPolicyOptions, train_on_policy
    from model.training.shards import open_shards
    from model.training.two_stream import two_stream_hidden
    from model.training.verifier import python_verifier

    options = OnPolicyOptions(tune=_options(args, start_from), tau=args.tau, first_beta=args.beta)
    forward = two_stream_hidden if args.no_compile else compiled_or_eager()
    curve = train_on_policy(options, python_verifier(open_shards(args.shards).tokenizer), _say, forward)
    _write_curve(args.out, curve)
    return 0


def _write_curve(folder: Path, curve: Sequence[msgspec.Struct]) -> None:
    (folder / "curve.jsonl").write_bytes(b"".join(msgspec.json.encode(point) + b"\n" for point in curve))


def _options(args: argparse.Namespace, start_from: Path) -> "FineTuneOptions":
    from model.training.fine_tune import LATER_RATE, FineTuneOptions

    if (args.out / "model.safetensors").exists():
        raise TrainError(f"{args.out} already holds a checkpoint; name another folder")
    return FineTuneOptions(
        shards=args.shards,
        start_from=start_from,
        out=args.out,
        minutes=args.minutes,
        seed=args.seed,
        rate=LATER_RATE * args.rate,
        num_rows=args.micro_rows,
        clean_tokens=args.clean_tokens,
        noisy_tokens=args.noisy_tokens,
        bf16=not args.fp32,
        compile=not args.no_compile,
        device=args.device or "cpu",
    )


def _say(line: str) -> None:
    print(line, flush=True)
