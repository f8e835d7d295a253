"""`seedling train`: arguments and the sentence a user gets when something is wrong.

Left out: the loop (trainer.py). Environment that helps on Linux CPUs, because training allocates and frees the same
large tensors in every step: MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000
GLIBC_TUNABLES=glibc.malloc.hugetlb=1.
"""

import argparse
import os
import sys
from pathlib import Path

CONFIGS = ("small_9m", "base_30m", "tiny_test")
LIMITS = {
    "minutes": (0.001, 1_000_000),
    "warm_up": (0, 1),
    "clean_tokens": (128, 8192),
    "noisy_tokens": (64, 8192),
    "seed": (0, 2**31),
    "rows": (1, 65_536),
    "micro_rows": (1, 65_536),
    "rate": (0.001, 1000),
    "max_steps": (1, 2**31),
    "threads": (1, 1024),
    "save_minutes": (0.01, 10_000),
    "tau": (0.01, 0.99),
    "beta": (0, 100),
}
"""Lowest and highest sensible value of an argument."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shards", type=Path, required=True, help="folder of token shards, from `seedling corpus`")
    parser.add_argument("--out", type=Path, required=True, help="folder for the run and, at its end, the checkpoint")
    parser.add_argument("--minutes", type=float, default=35.0, help="wall time of the whole run, restarts included")
    parser.add_argument("--config", choices=CONFIGS, default="small_9m", help="shape of the network")
    parser.add_argument(
        "--stage",
        choices=("first", "order", "certainty", "edits", "on-policy"),
        default="first",
        help="first = warm-up, masks and edits; the others go on from the checkpoint of --from",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument(
        "--from", dest="start_from", type=Path, help="checkpoint folder whose weights the run begins with"
    )
    parser.add_argument(
        "--init",
        type=Path,
        metavar="HF_DIR",
        help="begin with a Llama, Qwen2 or Qwen3 model of the Hugging Face format, in its shape",
    )
    parser.add_argument("--warm-up", type=float, default=0.5, help="share of the time for next-token loss only, 0 to 1")
    parser.add_argument("--clean-tokens", type=int, default=512, help="clean tokens of a row")
    parser.add_argument("--noisy-tokens", type=int, default=512, help="noisy tokens of a row in the diffusion stages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=16, help="rows a step")
    parser.add_argument("--micro-rows", type=int, default=4, help="rows that pass the network at once")
    parser.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates")
    parser.add_argument("--max-steps", type=int, default=None, help="end after this many steps (drives the stages too)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda if there is one")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads")
    parser.add_argument("--no-compile", action="store_true", help="skip torch.compile (no C++ compiler needed)")
    parser.add_argument(
        "--checkpointing", action="store_true", help="run layers again in the backward pass: less memory, more time"
    )
    parser.add_argument("--fp32", action="store_true", help="no bf16 (CPUs without bf16 instructions)")
    parser.add_argument("--tau", type=float, default=0.7, help="on-policy: the threshold that is trained for")
    parser.add_argument(
        "--beta", type=float, default=0.2, help="on-policy: first weight of the cost, 0 = certainty only"
    )
    parser.add_argument(
        "--save-minutes", type=float, default=3.0, help="wall time between two saves (a large state takes a while)"
    )
    parser.add_argument("--name", default="seedling-9m", help="name of the model in its preset")


def run(args: argparse.Namespace) -> int:
    """Trains; 0 = done, 130 = stopped by the user (the run is saved), 2 = one sentence on stderr says what is wrong."""
    import matplotlib  # noqa: F401 (the loss curve needs it: better missed now than after the first minutes)
    import msgspec
    import torch

    from model.checkpoints.from_hf import read_config
    from model.checkpoints.load import CheckpointError
    from model.network import config as shapes
    from model.training.run_state import TrainError
    from model.training.schedule import Schedule
    from model.training.shards import ShardError, open_shards
    from model.training.start import foreign_tokenizer
    from model.training.train_options import TrainOptions
    from model.training.trainer import train

    schedule = Schedule()
    schedule = msgspec.structs.replace(
        schedule,
        warm_up_share=args.warm_up,
        muon_rate=schedule.muon_rate * args.rate,
        adamw_rate=schedule.adamw_rate * args.rate,
    )
    try:
        for name, (low, high) in LIMITS.items():
            value = getattr(args, name)
            if value is not None and not low <= value <= high:
                raise TrainError(f"--{name.replace('_', '-')} must be between {low} and {high}, not {value}")
        if args.threads is not None:
            torch.set_num_threads(args.threads)
        if (args.out / "model.safetensors").exists() and not (args.out / "resume.safetensors").exists():
            raise TrainError(f"{args.out} holds a checkpoint that is no run's; name another folder")
        if args.stage != "first":
            return _later_stage(args)
        device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
        if device == "cuda" and not torch.cuda.is_available():
            raise TrainError("--device cuda was asked for, but torch sees no CUDA device")
        tokenizer = open_shards(args.shards, "heldout").tokenizer
        if args.init is not None and args.start_from is not None:
            raise TrainError("--init and --from both say what the run begins with: give one of them")
        if args.init is not None:
            network = read_config(args.init, len(foreign_tokenizer(args.init, tokenizer).foreign_ids))
        else:
            network = getattr(shapes, args.config)(tokenizer.vocab_size)
        options = TrainOptions(
            shards=args.shards,
            out=args.out,
            network=network,
            minutes=args.minutes,
            max_steps=args.max_steps,
            seed=args.seed,
            rows=args.rows,
            micro_rows=args.micro_rows,
            clean_tokens=args.clean_tokens,
            noisy_tokens=args.noisy_tokens,
            start_from=args.start_from,
            init=args.init,
            schedule=schedule,
            resume=args.resume,
            device=device,
            compile=not args.no_compile,
            bf16=not args.fp32,
            checkpointing=args.checkpointing,
            save_every_s=args.save_minutes * 60,
            name=args.name,
        )
        scores = train(options)
    except (TrainError, ShardError, CheckpointError) as error:
        print(f"seedling train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if os.environ.get("RANK", "0") == "0":  # of the processes of torchrun one says it
        print(
            f"{args.out}: {scores.twin_bits_per_byte:.3f} bits per byte (twin), "
            f"{scores.masked_nats:.3f} nats per canvas token"
        )
    return 0


def _later_stage(args: argparse.Namespace) -> int:
    from model.training.later_stages_command import run_certainty, run_edits, run_on_policy, run_order
    from model.training.run_state import TrainError

    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise TrainError(f"--stage {args.stage} runs in one process: leave torchrun out")
    if args.start_from is None:
        raise TrainError(f"--stage {args.stage} goes on from a trained checkpoint: name its folder with --from")
    if args.resume:
        raise TrainError(f"--stage {args.stage} is short and begins anew: leave --resume out")
    stages = {"order": run_order, "certainty": run_certainty, "edits": run_edits, "on-policy": run_on_policy}
    return stages[args.stage](args, args.start_from)
