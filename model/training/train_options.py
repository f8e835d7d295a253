"""What `seedling train` is told for the first stages. Left out: the stages' own numbers (schedule.py)."""

from pathlib import Path

import msgspec

from model.network.config import NetworkConfig
from model.training.schedule import Schedule


class TrainOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`rows` = rows a step, taken `micro_rows` at a time; a row has `clean_tokens` + `noisy_tokens` places. In the
    diffusion stages all noisy tokens of a row and `extra_head_rows` clean ones pass the head.

    `max_steps` ends the run after that many steps and then also drives the schedule (tests). `start_from` = checkpoint
    folder whose weights a new run begins with; `init` = a next-token model of the Hugging Face format instead.
    `checkpointing` keeps only the stream between layers for the backward pass: a third more work, far less memory.
    """

    shards: Path
    out: Path
    network: NetworkConfig
    minutes: float = 35.0
    max_steps: int | None = None
    seed: int = 0
    rows: int = 16
    micro_rows: int = 4
    clean_tokens: int = 512
    noisy_tokens: int = 512
    extra_head_rows: int = 256
    schedule: Schedule = Schedule()
    ema_decay: float = 0.98
    save_every_s: float = 180.0
    eval_every_s: float = 240.0
    eval_batches: int = 2
    resume: bool = False
    start_from: Path | None = None
    init: Path | None = None
    device: str = "cpu"
    compile: bool = True
    bf16: bool = True
    checkpointing: bool = False
    name: str = "seedling-9m"
